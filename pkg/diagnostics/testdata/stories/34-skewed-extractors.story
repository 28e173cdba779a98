# Two extractors in one tier, one four times slower: the tier waits for it.
12:00:00 batch "status":"PROCESSING","total_tiers":1
12:00:05 job.raysubmit_a "tier_num":0,"extractor":"clip","status":"RUNNING","started_at":"@12:00:05"
12:00:05 job.raysubmit_b "tier_num":0,"extractor":"whisper","status":"RUNNING","started_at":"@12:00:05"
12:00:15..12:04:05/10s job.raysubmit_a "tier_num":0,"extractor":"clip","status":"RUNNING","processed_documents":40..960,"total_documents":2000
12:00:15..12:04:05/10s job.raysubmit_b "tier_num":0,"extractor":"whisper","status":"RUNNING","processed_documents":10..240,"total_documents":2000
? 12:00:45 ok progress -skewed_extractors
? 12:04:10 ok progress +skewed_extractors
