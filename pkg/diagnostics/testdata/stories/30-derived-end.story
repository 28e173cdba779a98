# Nobody said the end, but all tiers said that they completed: so the batch has.
12:00:00 batch "status":"PROCESSING","total_tiers":2
12:00:05 tier.0 "status":"PROCESSING"
12:01:00 tier.0 "status":"COMPLETED"
? 12:01:30 scaling pipeline_no_job status=PROCESSING
12:01:40 tier.1 "status":"PROCESSING"
12:02:00 tier.1 "status":"COMPLETED"
? 12:02:01 ok progress status=COMPLETED
