# A relay looked at the processes of a job that stands still. The stack says where it hangs, and a new stretch of work makes it old.
12:00:00 batch "status":"PROCESSING","total_tiers":1
12:00:00 job.raysubmit_a "tier_num":0,"status":"RUNNING","started_at":"@12:00:00","cluster":"gpu-a"
12:00:10..12:10:00/10s tier.0.progress "processed_documents":10..600,"total_documents":1000
12:10:30..13:00:00/30s tier.0.progress "processed_documents":600,"total_documents":1000
12:41:00 proof.raysubmit_a "kind":"stack","process":"driver","name":"pid 830","text":"barrier (dist.py:88)\nmain (train.py:12)","frame":"train.py:88 dist.barrier","frame_since":"@12:41:00","looks":1
12:41:00 proof.raysubmit_a "kind":"log","process":"driver","text":"epoch 3\nwaiting for 3 of 4 ranks"
12:41:01 proof.raysubmit_a "kind":"stack","process":"worker","unavailable":"Profiling is off on this cluster: start its head with RAY_DASHBOARD_ENABLE_PROFILING=1."
12:43:00 proof.raysubmit_a "cluster":"gpu-a","kind":"stack","process":"driver","name":"pid 830","text":"barrier (dist.py:88)\nmain (train.py:12)","frame":"train.py:88 dist.barrier","frame_since":"@12:41:00","looks":3
13:01:00..13:10:00/10s tier.0.progress "processed_documents":610..900,"total_documents":1000
13:10:10..15:50:00/30s tier.0.progress "processed_documents":900,"total_documents":1000
? 12:40:30 stuck no_progress
? 12:44:00 stuck no_progress actions=logs,stop
? 13:05:00 ok progress
? 15:45:00 stuck no_progress
