# Three jobs of one extractor in turn, the first two lost in the same way: a failing node may hide behind retries.
12:00:00 batch "status":"PROCESSING","total_tiers":1
12:00:05 job.raysubmit_a "tier_num":0,"extractor":"clip","status":"RUNNING","submitted_at":"@12:00:05"
12:01:00 job.raysubmit_a "tier_num":0,"extractor":"clip","status":"FAILED","error_type":"JOB_SUPERVISOR_ACTOR_DIED","ended_at":"@12:01:00"
12:01:05 job.raysubmit_b "tier_num":0,"extractor":"clip","status":"RUNNING","submitted_at":"@12:01:05"
? 12:01:30 scaling job_warming_up +retries
12:02:00 job.raysubmit_b "tier_num":0,"extractor":"clip","status":"FAILED","error_type":"JOB_SUPERVISOR_ACTOR_DIED","ended_at":"@12:02:00"
12:02:05 job.raysubmit_c "tier_num":0,"extractor":"clip","status":"RUNNING","submitted_at":"@12:02:05"
12:02:20..12:03:20/10s tier.0.progress "processed_documents":50..350,"total_documents":1000
? 12:03:30 ok progress +retries -driver_died
