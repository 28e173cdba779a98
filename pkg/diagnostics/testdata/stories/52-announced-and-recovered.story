# The detector announced that the batch was stuck, and later that it is ok again: both stand in the timeline.
12:00:00 batch "status":"PROCESSING","total_tiers":1
12:00:05 job.raysubmit_a "tier_num":0,"status":"PENDING","submitted_at":"@12:00:05"
12:20:06 health "ordinal":0,"batch_id":"btch_1","namespace":"search","from":"ok","to":"stuck","blocked_reason":"ray_job_pending: raysubmit_a is still PENDING","stuck_seconds":1200,"revision":"id_1-1-2","as_of":"@12:20:06"
? 12:21:00 stuck ray_job_pending
12:25:00 job.raysubmit_a "tier_num":0,"status":"RUNNING","started_at":"@12:25:00"
12:25:30..12:26:30/10s tier.0.progress "processed_documents":50..350,"total_documents":1000
12:26:31 health "ordinal":1,"batch_id":"btch_1","namespace":"search","from":"stuck","to":"ok","revision":"id_1-1-9","as_of":"@12:26:31"
? 12:26:40 ok progress
