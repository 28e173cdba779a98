# A tier that says that it needs no GPU gets five minutes, not twenty.
12:00:00 batch "status":"PROCESSING","total_tiers":1,"tiers":[{"tier_num":0,"requires_gpu":false}]
12:00:00 job.raysubmit_a "tier_num":0,"status":"PENDING","submitted_at":"@12:00:00"
? 12:05:00 scaling cluster_cold_start
? 12:05:00.000000001 stuck ray_job_pending
