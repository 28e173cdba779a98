# A tier fails by its own code. The batch goes on being PROCESSING: degraded, and the tier can be retried.
policy {"dashboardURL":"https://ray.example.com/{cluster}/#/jobs/{submission_id}","actions":[{"Kind":"retry","Command":"pipelinectl retry {batch_id} --tier {tier_num} --attempt {next_attempt}"}]}
12:00:00 batch "status":"PROCESSING","total_tiers":1
12:00:05 job.raysubmit_a "tier_num":0,"status":"RUNNING","cluster":"eu 1","started_at":"@12:00:05"
12:00:20..12:02:00/10s tier.0.progress "processed_documents":10..100,"total_documents":1000
12:02:10 job.raysubmit_a "tier_num":0,"status":"FAILED","error_type":"JOB_ENTRYPOINT_COMMAND_ERROR","exit_code":1,"message":"Job entrypoint command failed with exit code 1.\nValueError: unknown codec","ended_at":"@12:02:10"
12:02:11 tier.0 "status":"FAILED","error":"Ray job failed","error_type":"runtime"
? 12:03:00 degraded progress category=pipeline actions=open,logs,retry eta=none -driver_died -out_of_memory
