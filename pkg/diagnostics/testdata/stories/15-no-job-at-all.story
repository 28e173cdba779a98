# The tier is at work, says the orchestrator, but no Ray job was ever seen.
12:00:00 batch "status":"PROCESSING","total_tiers":1
12:00:05 tier.0 "status":"PROCESSING"
? 12:10:00 scaling awaiting_job
? 12:20:05 scaling awaiting_job
? 12:20:05.000000001 stuck no_ray_job actions=
