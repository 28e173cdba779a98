# The orchestrator gave up before any tier began: what it said is the next step, and nothing is "nothing to do".
12:00:00 batch "status":"PROCESSING","total_tiers":2
12:00:20 batch "status":"FAILED","error":"The bucket bkt_7 doesn't exist.","error_type":"validation"
? 12:01:00 degraded progress status=FAILED category=pipeline
