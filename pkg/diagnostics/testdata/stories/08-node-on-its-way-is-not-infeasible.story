# The same demand, but a node of a fitting type is on its way: nothing is said too early.
12:00:00 batch "status":"PROCESSING","total_tiers":1
12:00:00 job.raysubmit_a "tier_num":0,"status":"PENDING","submitted_at":"@12:00:00"
12:00:08 job.raysubmit_a "tier_num":0,"status":"PENDING","waiting_on":{"kind":"node_launch","since":"@12:00:05","demand":{"GPU":1},"offered":{"GPU":0},"nodes_pending":1,"infeasible":false}
? 12:10:00 scaling cluster_cold_start
? 12:15:05 scaling cluster_cold_start
? 12:15:05.000000001 stuck capacity_node_launching
