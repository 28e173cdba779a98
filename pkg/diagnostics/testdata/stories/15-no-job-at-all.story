# The tier is at work, says the orchestrator, and no job was ever seen: a pipeline without Ray, that is starting.
12:00:00 batch "status":"PROCESSING","total_tiers":1
12:00:05 tier.0 "status":"PROCESSING"
? 12:10:00 scaling program_starting
? 12:30:05 scaling program_starting
? 12:30:05.000000001 stuck no_progress actions=
