# Documents are counted, but nobody says of how many: no percentage and no estimate.
12:00:00 batch "status":"PROCESSING","total_tiers":1
12:00:10..12:05:00/10s tier.0.progress "processed_documents":10..300
? 12:00:45 ok progress -total_unknown eta=none
? 12:05:05 ok progress +total_unknown eta=none progress=0
