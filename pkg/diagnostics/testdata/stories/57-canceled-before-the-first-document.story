# Canceled while the job warmed up: there was no first document that a cold start could have led to.
12:00:00 batch "status":"PROCESSING","total_tiers":1
12:00:05 job.raysubmit_a "tier_num":0,"status":"RUNNING"
12:05:00 batch "status":"CANCELED"
12:05:01 job.raysubmit_a "tier_num":0,"status":"STOPPED","exit_code":143
? 12:06:00 ok progress status=CANCELED -waiting_dominates category=none
