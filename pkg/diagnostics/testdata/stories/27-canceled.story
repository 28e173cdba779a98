# Canceled: a stopped job is no failure then, and a late heartbeat reopens nothing.
12:00:00 batch "status":"PROCESSING","total_tiers":2
12:00:05 job.raysubmit_a "tier_num":0,"status":"RUNNING"
12:00:20..12:02:00/10s tier.0.progress "processed_documents":10..100,"total_documents":1000
12:03:00 batch "status":"CANCELED"
12:03:01 job.raysubmit_a "tier_num":0,"status":"STOPPED"
12:03:30 tier.0.progress "processed_documents":105
? 12:04:00 ok progress status=CANCELED category=none eta=none
? 14:00:00 ok progress status=CANCELED
