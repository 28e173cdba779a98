# Actors wait for GPUs that others hold: feasible, so a warning, no verdict, and work goes on.
12:00:00 batch "status":"PROCESSING","total_tiers":1
12:00:04 job.raysubmit_a "tier_num":0,"status":"RUNNING","started_at":"@12:00:04"
12:00:20 job.raysubmit_a "tier_num":0,"status":"RUNNING","waiting_on":{"kind":"resources","since":"@12:00:10","demand":{"GPU":1},"offered":{"GPU":2},"infeasible":false}
12:00:30..12:04:00/10s tier.0.progress "processed_documents":10..240,"total_documents":1000
? 12:04:05 ok progress eta=medium
