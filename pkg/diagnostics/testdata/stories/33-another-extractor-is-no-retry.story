# A job of another extractor doesn't replace the failed one: the tier stays degraded.
12:00:00 batch "status":"PROCESSING","total_tiers":1
12:00:05 job.raysubmit_a "tier_num":0,"extractor":"clip","status":"RUNNING","submitted_at":"@12:00:05"
12:01:00 job.raysubmit_a "tier_num":0,"extractor":"clip","status":"FAILED","error_type":"RUNTIME_ENV_SETUP_FAILURE","ended_at":"@12:01:00"
12:01:05 job.raysubmit_b "tier_num":0,"extractor":"whisper","status":"RUNNING","submitted_at":"@12:01:05"
? 12:01:30 degraded job_warming_up -retries
