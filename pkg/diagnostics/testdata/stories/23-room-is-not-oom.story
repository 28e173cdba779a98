# The near miss: a message about a room. And exit code 1 with no type that is known stays unknown.
12:00:00 batch "status":"PROCESSING","total_tiers":1
12:02:10 job.raysubmit_a "tier_num":0,"status":"FAILED","exit_code":1,"message":"no room left in the boom barrier"
? 12:03:00 degraded progress -out_of_memory -driver_died category=none actions=logs
