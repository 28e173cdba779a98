# Tier 1 takes nine tenths of the batch's time.
12:00:00 batch "status":"PROCESSING","total_tiers":2,"started_at":"@12:00:00"
12:00:01 tier.0 "status":"PROCESSING","started_at":"@12:00:01"
12:01:00 tier.0 "status":"COMPLETED","processed_documents":500,"total_documents":500
? 12:01:01 scaling program_starting -tier_dominates
12:01:01 tier.1 "status":"PROCESSING"
12:01:10..12:10:00/10s tier.1.progress "processed_documents":9..500,"total_documents":500
12:10:01 tier.1 "status":"COMPLETED"
12:10:02 batch "status":"COMPLETED"
? 12:11:00 ok progress status=COMPLETED +tier_dominates -hand_over
