# Four workers measure the same stage; one takes five times as long as the others.
12:00:00 batch "status":"PROCESSING","total_tiers":1
12:01:00 stage.0 "stage":"embed","component":"clip","worker":"w1","count":100,"total_ms":10000,"max_ms":200,"buckets":[[50,10],[100,60],[200,30]]
12:01:00 stage.0 "stage":"embed","component":"clip","worker":"w2","count":100,"total_ms":11000,"max_ms":210,"buckets":[[50,10],[100,60],[250,30]]
12:01:00 stage.0 "stage":"embed","component":"clip","worker":"w3","count":100,"total_ms":9000,"max_ms":190,"buckets":[[50,20],[100,60],[200,20]]
12:01:00 stage.0 "stage":"embed","component":"clip","worker":"w4","count":19,"total_ms":9500,"max_ms":700,"buckets":[[1000,19]]
? 12:01:10 ok progress -slow_worker
12:02:00 stage.0 "stage":"embed","component":"clip","worker":"w4","count":100,"total_ms":50000,"max_ms":800,"buckets":[[1000,100]]
? 12:02:10 ok progress +slow_worker
