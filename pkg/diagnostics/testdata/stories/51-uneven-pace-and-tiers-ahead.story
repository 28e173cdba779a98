# Two tiers of five are over, the third moves unevenly: an estimate with a wide spread, and it says on what it rests.
12:00:00 batch "status":"PROCESSING","total_tiers":5,"started_at":"@12:00:00"
12:00:05 tier.0 "status":"PROCESSING"
12:00:10..12:05:00/10s tier.0.progress "processed_documents":10..500,"total_documents":500
12:05:01 tier.0 "status":"COMPLETED"
12:05:10 tier.1 "status":"PROCESSING"
12:05:30..12:25:00/30s tier.1.progress "processed_documents":10..500,"total_documents":500
12:25:01 tier.1 "status":"COMPLETED"
12:25:10 tier.2 "status":"PROCESSING"
? 12:25:20 scaling program_starting eta=low
12:25:30..12:28:00/10s tier.2.progress "processed_documents":5..100,"total_documents":500
12:29:00..12:30:00/10s tier.2.progress "processed_documents":200..260,"total_documents":500
? 12:30:05 ok progress eta=low tier=2
