# The batch failed, and is submitted again as attempt 2: the first attempt's failure no longer counts.
12:00:00 batch "status":"PROCESSING","total_tiers":1
12:00:10 tier.0 "status":"FAILED","error":"bad credentials","error_type":"authentication"
12:00:20 batch "status":"FAILED"
? 12:01:00 degraded progress status=FAILED category=pipeline
13:00:00 batch "status":"PROCESSING","attempt":2
13:00:05 tier.0 "status":"PROCESSING","attempt":2
13:00:10 job.raysubmit_b "tier_num":0,"attempt":2,"status":"PENDING","submitted_at":"@13:00:10"
? 13:00:30 scaling cluster_cold_start status=PROCESSING category=none
13:01:00 job.raysubmit_b "tier_num":0,"attempt":2,"status":"RUNNING"
13:01:10..13:02:00/10s tier.0.progress "attempt":2,"processed_documents":100..600,"total_documents":600
13:02:05 tier.0 "attempt":2,"status":"COMPLETED"
13:02:06 batch "status":"COMPLETED","attempt":2
? 13:03:00 ok progress status=COMPLETED
