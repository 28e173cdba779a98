# Tier 1 was due at the end of tier 0, and came after ten minutes: longer than its own work.
12:00:00 batch "status":"PROCESSING","total_tiers":2
12:00:05 tier.0 "status":"PROCESSING"
12:04:00 tier.0 "status":"COMPLETED","processed_documents":500,"total_documents":500
? 12:10:00 scaling pipeline_no_job tier=0 -hand_over
12:14:00 job.raysubmit_b "tier_num":1,"status":"PENDING","submitted_at":"@12:14:00"
12:14:10 job.raysubmit_b "tier_num":1,"status":"RUNNING"
12:15:00 tier.1.progress "processed_documents":500,"total_documents":500
12:16:00 tier.1 "status":"COMPLETED"
12:16:01 batch "status":"COMPLETED"
? 12:17:00 ok progress status=COMPLETED +hand_over
