# A run as it should be: two tiers, one after the other, at a steady pace.
12:00:00 batch "status":"PENDING","name":"Spring catalogue","pipeline":"media","owner":"search","labels":{"team":"search"},"bucket_id":"bkt_1","total_tiers":2,"total_objects":2000,"tiers":[{"tier_num":0,"requires_gpu":false,"total_documents":2000,"collections":[{"collection_id":"col_a","collection_name":"Films","expected_documents":2000}]},{"tier_num":1,"requires_gpu":true,"total_documents":2000}]
12:00:02 batch "status":"PROCESSING","started_at":"@12:00:02"
12:00:03 job.raysubmit_a "tier_num":0,"status":"PENDING","submitted_at":"@12:00:03","dashboard_url":"https://ray.example.com/#/jobs/raysubmit_a"
? 12:00:10 scaling cluster_cold_start tier=0 progress=0 eta=none -waiting_dominates
12:00:15 job.raysubmit_a "tier_num":0,"status":"RUNNING","started_at":"@12:00:15"
12:00:16 tier.0 "status":"PROCESSING","started_at":"@12:00:15"
? 12:00:20 scaling job_warming_up eta=none
12:00:30..12:10:30/10s tier.0.progress "processed_documents":20..2000,"total_documents":2000
? 12:05:30 ok progress status=PROCESSING tier=0 eta=low -slowing -total_unknown -overtaken
12:10:32 tier.0 "status":"COMPLETED","completed_at":"@12:10:32","processed_documents":2000
12:10:32 job.raysubmit_a "tier_num":0,"status":"SUCCEEDED","ended_at":"@12:10:32","exit_code":0
12:10:33 collection.col_a "tier_num":0,"document_count":2000
12:10:35 job.raysubmit_b "tier_num":1,"status":"PENDING","submitted_at":"@12:10:35"
12:10:50 job.raysubmit_b "tier_num":1,"status":"RUNNING","started_at":"@12:10:50"
12:11:00..12:21:00/10s tier.1.progress "processed_documents":20..2000
? 12:16:00 ok progress tier=1 eta=high -tier_dominates
12:21:02 tier.1 "status":"COMPLETED","processed_documents":2000
12:21:02 job.raysubmit_b "tier_num":1,"status":"SUCCEEDED"
12:21:03 batch "status":"COMPLETED","completed_at":"@12:21:03"
? 12:30 ok progress status=COMPLETED progress=100 eta=none actions= category=none -hand_over -waiting_dominates -retries -failed_documents
