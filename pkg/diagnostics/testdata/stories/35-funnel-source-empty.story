# Tier 1 found nothing to do: what feeds it wrote nothing.
12:00:00 batch "status":"PROCESSING","total_tiers":2
12:00:05 tier.0 "status":"COMPLETED","started_at":"@12:00:05"
12:01:00 tier.1 "status":"PROCESSING","counts":{"fetched":0}
? 12:01:10 scaling program_starting -funnel
12:01:20 tier.1 "status":"COMPLETED","counts":{"fetched":0}
12:01:21 batch "status":"COMPLETED"
? 12:02:00 ok progress status=COMPLETED +funnel
