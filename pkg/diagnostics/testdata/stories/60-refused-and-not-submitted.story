# KubeRay's own ends: an object that it refuses, one whose submitter gave up, and one that its deadline ended in a queue.
12:00:00 batch "status":"PROCESSING","total_tiers":3
12:00:05 job.refused "tier_num":0,"status":"FAILED","error_type":"ValidationFailed","message":"The RayJob spec is invalid","ended_at":"@12:00:05"
? 12:00:10 degraded progress category=pipeline
12:10:00 job.second "tier_num":1,"status":"PENDING","submitted_at":"@12:10:00"
12:12:00 job.second "tier_num":1,"status":"FAILED","error_type":"SubmissionFailed","message":"Job submission has failed. Reason: BackoffLimitExceeded","ended_at":"@12:12:00"
12:20:00 job.third "tier_num":2,"status":"PENDING","submitted_at":"@12:20:00","waiting_on":{"kind":"quota","code":"CAPACITY:QUEUED","since":"@12:20:00","detail":"queue team-a: place 3 of 7"}
12:30:00 job.third "tier_num":2,"status":"FAILED","error_type":"DeadlineExceeded","message":"The RayJob has passed the activeDeadlineSeconds","ended_at":"@12:30:00"
? 12:31:00 degraded progress
