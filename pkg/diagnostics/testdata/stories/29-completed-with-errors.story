# Most documents went through. Which failed, and of what, is counted by type.
policy {"actions":[{"Kind":"resubmit","Href":"https://pipelines.example.com/{namespace}/{batch_id}?from={tier_num}"}]}
12:00:00 batch "status":"PROCESSING","total_tiers":1
12:00:05 tier.0 "status":"PROCESSING"
12:00:10..12:03:00/10s tier.0.progress "processed_documents":20..900,"total_documents":1000,"failed_documents":0..60
12:03:05 tier.0 "status":"COMPLETED","processed_documents":940,"failed_documents":60,"errors":[{"error_type":"validation","message":"unsupported codec","component":"decoder","stage":"decode","affected_count":45,"affected_document_ids":["doc_9","doc_4","doc_7"],"recovery_suggestion":"convert to h264"},{"error_type":"network","message":"store timed out","component":"store","stage":"write","affected_count":15,"affected_document_ids":["doc_1"]}]
12:03:06 batch "status":"COMPLETED_WITH_ERRORS"
? 12:04:00 degraded progress status=COMPLETED_WITH_ERRORS +failed_documents actions=resubmit category=none
