# A draft, which is submitted later. A draft is never stuck; what was submitted and nobody begins is, after an hour.
12:00 batch "status":"DRAFT","name":"Spring catalogue","bucket_id":"bkt_1","total_tiers":2,"created_at":"@12:00"
? 13:00 ok progress status=DRAFT
14:00 batch "status":"PENDING","submitted_at":"@14:00"
? 15:00 ok progress status=PENDING category=none
? 18:00 stuck pipeline_not_submitted status=PENDING
