# Killed by the kernel: exit code 137 with the words. More memory, or smaller batches.
policy {"actions":[{"Kind":"resize","Command":"pipelinectl memory {batch_id} --tier {tier_num} --double"},{"Kind":"resubmit","Command":"pipelinectl resubmit {batch_id} --from {tier_num}"}]}
12:00:00 batch "status":"PROCESSING","total_tiers":1
12:00:05 job.raysubmit_a "tier_num":0,"status":"RUNNING","resources":{"num_cpus":2,"memory_bytes":4294967296}
12:02:10 job.raysubmit_a "tier_num":0,"status":"FAILED","exit_code":137,"error_type":"JOB_ENTRYPOINT_COMMAND_ERROR","message":"Worker killed: out of memory (OOM), 15.9 GB of 16 GB used."
12:02:12 tier.0 "status":"FAILED"
12:02:15 batch "status":"FAILED","error":"tier 0 failed"
? 12:03:00 degraded progress status=FAILED +out_of_memory -driver_died category=infrastructure actions=logs,resize,resubmit
