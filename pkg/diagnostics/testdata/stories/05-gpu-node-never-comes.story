# The window of a GPU tier is 20 minutes: at its end exactly the batch is still scaling, a nanosecond later it is stuck.
12:00:00 batch "status":"PROCESSING","total_tiers":1,"tiers":[{"tier_num":0,"requires_gpu":true}]
12:00:00 job.raysubmit_a "tier_num":0,"status":"PENDING","submitted_at":"@12:00:00"
? 12:20:00 scaling cluster_cold_start
? 12:20:00.000000001 stuck ray_job_pending actions=stop eta=none
? 13:00:00 stuck ray_job_pending
