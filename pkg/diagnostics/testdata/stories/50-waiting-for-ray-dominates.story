# Eight of ten minutes were spent waiting for Ray, and one more until the first document.
12:00:00 batch "status":"PROCESSING","total_tiers":1,"started_at":"@12:00:00"
12:00:01 job.raysubmit_a "tier_num":0,"status":"PENDING","submitted_at":"@12:00:01"
12:08:00 job.raysubmit_a "tier_num":0,"status":"RUNNING","started_at":"@12:08:00"
12:09:00..12:10:00/10s tier.0.progress "processed_documents":100..700,"total_documents":700
12:10:01 tier.0 "status":"COMPLETED"
12:10:02 batch "status":"COMPLETED","completed_at":"@12:10:02"
? 12:11:00 ok progress status=COMPLETED +waiting_dominates
