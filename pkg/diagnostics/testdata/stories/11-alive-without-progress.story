# Heartbeats with the same count go on: alive, but nothing moves. 30 minutes after the last progress it is stuck.
12:00:00 batch "status":"PROCESSING","total_tiers":1
12:00:00 job.raysubmit_a "tier_num":0,"status":"RUNNING","started_at":"@12:00:00"
12:00:10..12:10:00/10s tier.0.progress "processed_documents":10..600,"total_documents":1000
12:10:30..13:00:00/30s tier.0.progress "processed_documents":600,"total_documents":1000
? 12:30:00 ok progress
? 12:40:00 ok progress
? 12:40:00.000000001 stuck no_progress actions=logs,stop
? 13:00:00 stuck no_progress eta=none
