# There was nothing to do.
12:00:00 batch "status":"SKIPPED","total_tiers":1
? 12:01:00 ok progress status=SKIPPED actions=
