# The supervisor could not start in time.
12:00:00 batch "status":"PROCESSING","total_tiers":1
12:15:00 job.raysubmit_a "tier_num":0,"status":"FAILED","error_type":"JOB_SUPERVISOR_ACTOR_START_TIMEOUT","message":"Job supervisor actor failed to start within 900.0 seconds."
? 12:16:00 degraded progress category=timeout
