# Two stages share the time evenly, and a single one dominates nothing.
12:00:00 batch "status":"PROCESSING","total_tiers":1
12:02:00 stage.0 "stage":"decode","component":"ffmpeg","count":1000,"total_ms":20000,"max_ms":90
? 12:02:10 scaling program_starting -stage_dominates
12:02:30 stage.0 "stage":"embed","component":"clip","count":1000,"total_ms":20100,"max_ms":90
12:02:30 stage.0 "stage":"write","component":"clip","count":1000,"total_ms":10100,"max_ms":90
? 12:02:40 scaling program_starting -stage_dominates
