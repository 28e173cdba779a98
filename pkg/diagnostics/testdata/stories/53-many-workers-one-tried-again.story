# Three workers share a tier, each counting for itself; one dies and its task is tried again under its key, from 0: nothing counts twice.
12:00:00 batch "status":"PROCESSING","total_tiers":1,"tiers":[{"tier_num":0,"requires_gpu":false,"total_documents":1200}]
12:00:01 tier.0 "status":"PROCESSING","total_documents":1200
12:00:10..12:06:50/10s tier.0.progress "worker":"task-a","processed_documents":10..400
12:00:12..12:06:52/10s tier.0.progress "worker":"task-b","processed_documents":10..400
12:00:14..12:03:14/10s tier.0.progress "worker":"task-c","processed_documents":10..180
12:03:40..12:10:20/10s tier.0.progress "worker":"task-c","processed_documents":10..400
12:05:00 tier.0.progress "worker":"task-b","failed_documents":1,"errors":[{"error_type":"runtime","message":"no such codec","affected_count":1}]
12:05:01 tier.0.progress "worker":"task-a","failed_documents":2,"errors":[{"error_type":"runtime","message":"no such codec","affected_count":2}]
? 12:03:30 ok progress tier=0 eta=high -overtaken
? 12:06:00 degraded progress tier=0 +failed_documents -overtaken
12:10:21 tier.0 "status":"COMPLETED"
12:10:22 batch "status":"COMPLETED_WITH_ERRORS"
? 12:30 degraded progress status=COMPLETED_WITH_ERRORS progress=100 eta=none +failed_documents -overtaken
