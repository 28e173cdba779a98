# The node died, and the job that replaces it waits: no progress, and the job is PENDING again.
12:00:00 batch "status":"PROCESSING","total_tiers":1
12:00:00 job.raysubmit_a "tier_num":0,"status":"RUNNING","started_at":"@12:00:00","submitted_at":"@11:59:50"
12:00:10..12:10:00/10s job.raysubmit_a "tier_num":0,"status":"RUNNING","processed_documents":10..600,"total_documents":1000
12:10:05 job.raysubmit_b "tier_num":0,"status":"PENDING","submitted_at":"@11:59:55"
12:10:06 job.raysubmit_a "tier_num":0,"status":"FAILED","error_type":"JOB_SUPERVISOR_ACTOR_DIED","message":"node died"
? 12:20:00 degraded progress +driver_died category=infrastructure
? 12:41:00 stuck no_progress
