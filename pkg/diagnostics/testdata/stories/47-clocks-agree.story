# A minute of difference is no disagreement: events take their time.
12:00:00 batch "status":"PROCESSING","total_tiers":1
12:00:05 tier.0 "status":"PROCESSING"
12:00:10 tier.0 "status":"COMPLETED","completed_at":"@12:00:10"
12:01:30 job.raysubmit_a "tier_num":0,"status":"SUCCEEDED","started_at":"@12:01:10","ended_at":"@12:01:30"
? 12:04:00 ok progress status=COMPLETED -clocks_disagree
