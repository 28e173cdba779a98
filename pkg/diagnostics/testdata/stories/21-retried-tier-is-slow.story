# Attempt 2 runs at a quarter of attempt 1's pace.
12:00:00 batch "status":"PROCESSING","total_tiers":1
12:00:10..12:05:10/10s tier.0.progress "processed_documents":40..1200,"total_documents":5000
12:05:20 tier.0 "status":"FAILED","error":"preempted"
12:06:00 tier.0 "status":"PROCESSING","attempt":2
12:06:10..12:12:10/10s tier.0.progress "attempt":2,"processed_documents":10..360
? 12:12:15 ok progress +slower_than_before
