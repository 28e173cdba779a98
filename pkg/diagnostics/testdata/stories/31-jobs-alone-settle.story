# A pipeline that reports nothing but its Ray jobs: five silent minutes after the last one, the detector settles it.
12:00:00 job.raysubmit_a "tier_num":0,"status":"PENDING"
12:00:20 job.raysubmit_a "tier_num":0,"status":"RUNNING"
12:00:30..12:02:30/10s job.raysubmit_a "tier_num":0,"status":"RUNNING","processed_documents":10..130,"total_documents":130
? 12:01:30 ok progress status=PROCESSING
12:02:40 job.raysubmit_a "tier_num":0,"status":"SUCCEEDED"
? 12:07:40 ok progress status=PROCESSING
12:07:41 batch "status":"COMPLETED","settled":true
? 12:08:00 ok progress status=COMPLETED
