# All tiers are over, one failed, and nobody ever said how the batch ended.
12:00:00 batch "status":"PROCESSING","total_tiers":2
12:00:05 tier.0 "status":"PROCESSING"
12:05:00 tier.0 "status":"COMPLETED"
12:05:05 tier.1 "status":"PROCESSING"
12:08:00 tier.1 "status":"FAILED","error":"orchestrator gave up","error_type":"timeout"
? 12:10:00 degraded progress category=timeout eta=none
? 12:38:01 stuck not_finalized category=timeout
