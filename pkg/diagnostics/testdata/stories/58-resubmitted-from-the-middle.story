# Tier 1 of 2 took an hour and stays; only tier 2 of 2 runs again. The sums are those of the second attempt.
08:00:00 batch "status":"PROCESSING","total_tiers":2
08:00:10 job.raysubmit_a "tier_num":0,"attempt":1,"status":"PENDING","submitted_at":"@08:00:10"
08:10:00 job.raysubmit_a "tier_num":0,"attempt":1,"status":"RUNNING"
08:15:00..08:55:00/300s tier.0.progress "processed_documents":0..1000,"total_documents":1000
09:00:00 job.raysubmit_a "tier_num":0,"attempt":1,"status":"SUCCEEDED"
09:00:01 tier.0 "status":"COMPLETED"
09:01:00 tier.1 "status":"FAILED","error":"disk full"
09:01:10 batch "status":"FAILED"
? 09:02:00 degraded progress status=FAILED
12:00:00 batch "status":"PROCESSING","attempt":2
12:00:05 tier.1 "status":"PROCESSING","attempt":2
12:00:10 job.raysubmit_b "tier_num":1,"attempt":2,"status":"PENDING","submitted_at":"@12:00:10"
12:01:00 job.raysubmit_b "tier_num":1,"attempt":2,"status":"RUNNING"
12:01:10..12:04:00/10s tier.1.progress "attempt":2,"processed_documents":50..1000,"total_documents":1000
12:04:05 job.raysubmit_b "tier_num":1,"attempt":2,"status":"SUCCEEDED"
12:04:06 tier.1 "attempt":2,"status":"COMPLETED"
12:04:07 batch "status":"COMPLETED","attempt":2
? 12:05:00 ok progress status=COMPLETED
