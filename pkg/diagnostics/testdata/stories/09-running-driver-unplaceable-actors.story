# The driver runs, and its actors wait for a GPU that nobody has: Ray shows RUNNING, Headway the cause.
12:00:00 batch "status":"PROCESSING","total_tiers":1
12:00:00 job.raysubmit_a "tier_num":0,"status":"PENDING","submitted_at":"@12:00:00"
12:00:04 job.raysubmit_a "tier_num":0,"status":"RUNNING","started_at":"@12:00:04"
12:00:20 job.raysubmit_a "tier_num":0,"status":"RUNNING","waiting_on":{"kind":"resources","since":"@12:00:10","demand":{"GPU":4},"offered":{"GPU":1},"infeasible":true}
? 12:01:00 scaling job_warming_up
? 12:01:11 stuck ray_job_unschedulable actions=logs,stop
12:02:00 job.raysubmit_a "tier_num":0,"status":"RUNNING","waiting_on":null
? 12:02:01 scaling job_warming_up
