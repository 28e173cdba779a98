# Every document is processed, but the tier never completes: its driver hangs at the end.
12:00:00 batch "status":"PROCESSING","total_tiers":1
12:00:00 job.raysubmit_a "tier_num":0,"status":"RUNNING","started_at":"@12:00:00"
12:00:10..12:10:00/10s tier.0.progress "processed_documents":10..600,"total_documents":600
? 12:11:00 ok progress progress=99.99 eta=none
? 12:45:00 stuck no_progress progress=99.99
