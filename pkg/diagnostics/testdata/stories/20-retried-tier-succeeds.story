# The tier is run again as attempt 2, faster: what failed before is history.
12:00:00 batch "status":"PROCESSING","total_tiers":1
12:00:05 tier.0 "status":"PROCESSING"
12:00:10..12:04:10/10s tier.0.progress "processed_documents":10..250,"total_documents":1000
12:04:20 tier.0 "status":"FAILED","error":"lost connection","error_type":"network"
? 12:05:00 degraded progress category=infrastructure
12:06:00 tier.0 "status":"PROCESSING","attempt":2,"total_documents":1000
12:06:10..12:10:10/10s tier.0.progress "attempt":2,"processed_documents":20..980
? 12:10:15 ok progress eta=high -slower_than_before
12:10:30 tier.0 "attempt":2,"status":"COMPLETED","processed_documents":1000
12:10:31 batch "status":"COMPLETED"
? 12:11:00 ok progress status=COMPLETED category=none
