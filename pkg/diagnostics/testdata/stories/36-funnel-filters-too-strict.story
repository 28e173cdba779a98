# The filters removed all of 800 documents. Of three documents nothing would be said.
12:00:00 batch "status":"PROCESSING","total_tiers":2
12:00:05 tier.0 "status":"PROCESSING","counts":{"fetched":3,"after_filter":0}
12:00:20 tier.0 "status":"COMPLETED"
? 12:00:30 scaling pipeline_no_job -funnel
12:01:00 tier.1 "status":"PROCESSING","counts":{"fetched":800,"after_filter":0}
12:01:20 tier.1 "status":"COMPLETED"
? 12:02:00 ok progress +funnel
