# One extractor of a tier failed, the other goes on: the failed one is named, with its logs.
12:00:00 batch "status":"PROCESSING","total_tiers":1
12:00:05 job.raysubmit_a "tier_num":0,"extractor":"text","status":"RUNNING"
12:00:05 job.raysubmit_b "tier_num":0,"extractor":"image","status":"RUNNING"
12:01:00..12:05:00/30s job.raysubmit_b "tier_num":0,"extractor":"image","status":"RUNNING","processed_documents":50..450,"total_documents":1000
12:03:00 job.raysubmit_a "tier_num":0,"extractor":"text","status":"FAILED","exit_code":1,"message":"ValueError: page 3 has no text"
? 12:05:10 degraded progress category=pipeline actions=logs -driver_died -retries
