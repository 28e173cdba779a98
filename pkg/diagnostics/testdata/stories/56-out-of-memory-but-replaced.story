# A job ran out of memory, another did its work: a warning for the next time, nothing critical. Two tiers of equal length: neither dominates.
12:00:00 batch "status":"PROCESSING","total_tiers":2
12:00:05 job.raysubmit_a "tier_num":0,"status":"RUNNING","submitted_at":"@12:00:05"
12:01:00 job.raysubmit_a "tier_num":0,"status":"FAILED","error_type":"NODE_OUT_OF_MEMORY","ended_at":"@12:01:00"
12:01:05 job.raysubmit_b "tier_num":0,"status":"RUNNING","submitted_at":"@12:01:05"
12:01:20..12:05:00/20s job.raysubmit_b "tier_num":0,"status":"RUNNING","processed_documents":20..400,"total_documents":400
12:05:05 job.raysubmit_b "tier_num":0,"status":"SUCCEEDED"
12:05:05 tier.1 "status":"PROCESSING"
12:05:10..12:10:00/10s tier.1.progress "processed_documents":10..400,"total_documents":400
12:10:06 tier.1 "status":"COMPLETED"
12:10:07 batch "status":"COMPLETED"
? 12:11:00 ok progress status=COMPLETED +out_of_memory -driver_died -tier_dominates category=none
