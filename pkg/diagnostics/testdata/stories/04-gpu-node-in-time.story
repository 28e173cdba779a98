# A GPU node is launched for nine minutes. Inside the window that is scaling, with its cause; then work begins.
12:00:00 batch "status":"PROCESSING","total_tiers":1,"tiers":[{"tier_num":0,"requires_gpu":true,"total_documents":1000}]
12:00:01 job.raysubmit_a "tier_num":0,"status":"PENDING","submitted_at":"@12:00:01","dashboard_url":"https://ray.example.com/#/jobs/raysubmit_a"
12:00:08 job.raysubmit_a "tier_num":0,"status":"PENDING","waiting_on":{"kind":"node_launch","since":"@12:00:02","demand":{"GPU":1},"offered":{"GPU":0},"nodes_pending":1}
? 12:05:00 scaling cluster_cold_start actions=open -waiting_dominates
12:09:30 job.raysubmit_a "tier_num":0,"status":"RUNNING","started_at":"@12:09:30"
? 12:09:45 scaling job_warming_up
12:10:00..12:12:00/10s tier.0.progress "processed_documents":50..650,"total_documents":1000
? 12:12:00 ok progress -waiting_dominates
