# A job was stopped by somebody, and nothing replaced it. The window runs from its end.
policy {"actions":[{"Kind":"retry","Label":"Run tier {tier_num} again","Command":"pipelinectl retry {batch_id} --tier {tier_num}"}]}
12:00:00 batch "status":"PROCESSING","total_tiers":1
12:00:01 tier.0 "status":"PROCESSING"
12:00:05 job.raysubmit_a "tier_num":0,"status":"PENDING","submitted_at":"@12:00:05"
12:03:00 job.raysubmit_a "tier_num":0,"status":"STOPPED","ended_at":"@12:03:00"
? 12:23:00 scaling awaiting_job
? 12:23:01 stuck no_ray_job actions=retry
