# The orchestrator says that the tier was over three minutes before its job began: their clocks differ.
12:00:00 batch "status":"PROCESSING","total_tiers":1
12:00:10 tier.0 "status":"COMPLETED","completed_at":"@12:00:10"
12:03:30 job.raysubmit_a "tier_num":0,"status":"SUCCEEDED","started_at":"@12:03:20","ended_at":"@12:03:30"
? 12:04:00 ok progress status=COMPLETED +clocks_disagree
