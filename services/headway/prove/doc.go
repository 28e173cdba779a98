// Command prove is the proving ground: it runs Headway's programs as processes against a real nats-server and a real
// redis-server, gives them a workload whose outcome it can compute by itself, makes everything fail that can fail, and
// checks what was promised.
//
//	go run ./services/headway/prove                       # short, with a seed of its own
//	go run ./services/headway/prove --time 2h             # as long as you like
//	go run ./services/headway/prove --seed 7 --only kill  # again, and only the faults whose name begins so
//	go run ./services/headway/prove --bugs                # prove that it would notice: see seededBugs
//
// The parts:
//
//	cluster   builds and starts the programs, the servers, and a proxy on each connection between them
//	workload  scripts of batches: what is sent, and what Headway must say of it in the end
//	journal   each attempt to send, as acknowledged, failed or unknown
//	faults    what is made to fail, and at which seam: a fault can be sprung at the very moment when a certain message
//	          passes a proxy, such as between the commit's execution and its reply
//	watchers  event stream clients, pollers, readers of announcements and of readiness, who check what they are told
//	ledger    reads the log and folds it offline, as the product would
//	checks    compares, when everything has come to rest
//
// A run is a number of rounds. In each, batches begin while faults come one after the other; then faults end, the last
// batches come to their end, all timers pass, and everything is compared. A violation of a promise ends the program
// with a non-zero exit code and is printed with the seed that led to it.
package main
