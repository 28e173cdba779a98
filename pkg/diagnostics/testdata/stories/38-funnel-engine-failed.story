# 500 documents were submitted to the engine and none was ever written.
12:00:00 batch "status":"PROCESSING","total_tiers":1
12:00:05 tier.0 "status":"PROCESSING","counts":{"fetched":500,"submitted":500,"written":0}
? 12:00:30 ok progress -funnel
12:09:00 tier.0 "status":"FAILED","error_type":"runtime"
? 12:10:00 degraded progress +funnel category=pipeline
