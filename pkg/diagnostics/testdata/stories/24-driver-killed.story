# SIGTERM from outside: a node that was drained. The driver died, nothing of the pipeline's own did wrong.
12:00:00 batch "status":"PROCESSING","total_tiers":1
12:02:00 job.raysubmit_a "tier_num":0,"status":"FAILED","exit_code":143,"error_type":"JOB_ENTRYPOINT_COMMAND_ERROR","message":"Job entrypoint command failed with exit code 143."
? 12:03:00 degraded progress +driver_died -out_of_memory category=infrastructure
