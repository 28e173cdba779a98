# All documents lack the field that the extractor needs: look at the extractor before it.
12:00:00 batch "status":"PROCESSING","total_tiers":1
12:00:05 tier.0 "status":"PROCESSING","counts":{"fetched":500,"after_filter":400,"missing_inputs":399}
? 12:00:30 ok progress -funnel
12:01:00 tier.0.progress "counts":{"missing_inputs":400}
? 12:01:10 ok progress +funnel
