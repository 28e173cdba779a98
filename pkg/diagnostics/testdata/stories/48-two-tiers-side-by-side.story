# Two tiers are open at once. One waits inside its window, the other moves: that is ok, and the wait is the evidence.
12:00:00 batch "status":"PROCESSING","total_tiers":2
12:00:05 job.raysubmit_a "tier_num":0,"status":"RUNNING","submitted_at":"@12:00:01","started_at":"@12:00:05"
12:00:10..12:09:00/10s tier.0.progress "processed_documents":10..540,"total_documents":1000
12:00:30 job.raysubmit_b "tier_num":1,"status":"PENDING","submitted_at":"@12:00:30"
? 12:08:00 ok cluster_cold_start eta=low
? 12:20:31 stuck ray_job_pending
