# Ray says that no node type can ever hold the job. After a minute of grace that is stuck at once, with what it needs.
policy {"actions":[{"Kind":"resize","Command":"pipelinectl resize {batch_id} --tier {tier_num} --now {demand}"},{"Kind":"retry","Href":"https://pipelines.example.com/{batch_id}/retry?tier={tier_num}&attempt={next_attempt}"}]}
12:00:00 batch "status":"PROCESSING","total_tiers":1,"tiers":[{"tier_num":0,"requires_gpu":true}]
12:00:00 job.raysubmit_a "tier_num":0,"status":"PENDING","submitted_at":"@12:00:00","dashboard_url":"https://ray.example.com/#/jobs/raysubmit_a"
12:00:08 job.raysubmit_a "tier_num":0,"status":"PENDING","waiting_on":{"kind":"resources","since":"@12:00:05","demand":{"GPU":1,"accelerator_type:H200":0.001},"offered":{"GPU":0},"nodes_pending":0,"infeasible":true,"detail":"No available node types can fulfill resource request"}
? 12:01:05 scaling cluster_cold_start
? 12:01:05.000000001 stuck ray_job_unschedulable actions=open,resize,stop,retry
