# One of three stages takes four fifths of the time, and it is named with its quantiles.
12:00:00 batch "status":"PROCESSING","total_tiers":1
12:00:05 tier.0 "status":"PROCESSING"
12:02:00 stage.0 "stage":"decode","component":"ffmpeg","count":1000,"total_ms":20000,"max_ms":90,"buckets":[[10,200],[30,750],[100,50]]
12:02:00 stage.0 "stage":"embed","component":"clip","count":15,"total_ms":1500,"max_ms":190,"buckets":[[200,15]]
? 12:02:10 scaling program_starting -stage_dominates
12:03:00 stage.0 "stage":"embed","component":"clip","count":1000,"total_ms":100000,"max_ms":900,"buckets":[[50,100],[100,500],[200,380],[1000,20]]
12:03:00 stage.0 "stage":"write","component":"qdrant","count":1000,"total_ms":5000,"max_ms":40,"buckets":[[5,800],[50,200]]
12:03:30 tier.0 "status":"COMPLETED","processed_documents":1000,"total_documents":1000
12:03:31 batch "status":"COMPLETED"
? 12:04:00 ok progress status=COMPLETED +stage_dominates
