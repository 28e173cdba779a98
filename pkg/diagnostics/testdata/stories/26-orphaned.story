# Ray restarted and forgot the job; the relay says so rather than inventing a failure of the pipeline.
12:00:00 batch "status":"PROCESSING","total_tiers":1
12:00:05 job.raysubmit_a "tier_num":0,"status":"RUNNING"
12:10:00 job.raysubmit_a "tier_num":0,"status":"FAILED","error_type":"orphaned","message":"the cluster knows no such job any more"
? 12:11:00 degraded progress category=orphaned
