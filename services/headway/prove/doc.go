// Command prove is the proving ground: it runs Headway's programs as processes against a real nats-server and a real
// Redis (one server, sentinels or a cluster), gives them a workload whose outcome it can compute by itself, injects faults into every part, and checks
// what was promised.
//
//	go run ./services/headway/prove                       # short, with a random seed
//	go run ./services/headway/prove --time 2h             # of any duration
//	go run ./services/headway/prove --seed 7 --only kill  # again, and only the faults whose name begins so
//	go run ./services/headway/prove --redis cluster       # on a cluster of three with replicas
//	go run ./services/headway/prove --bugs                # check that the checks detect deliberate bugs: see seededBugs
//
// The parts:
//
//	cluster   builds and starts the programs, the servers, and a proxy on each connection between them
//	workload  scripts of batches: what is sent, and what Headway must answer in the end
//	journal   each attempt to send, as acknowledged, failed or unknown
//	faults    what fails, and at which seam: a fault can be triggered at the moment when a certain message
//	          passes a proxy, such as between the commit's execution and its reply
//	watchers  event stream clients, pollers, readers of announcements and of readiness, which check what they receive
//	ledger    reads the log and folds it offline, as the product would
//	checks    compares everything once nothing changes any more
//
// A run is a number of rounds. In each, batches begin while faults are injected one after the other. Then the faults stop, the
// last batches end, all timers pass, and everything is compared. A violation of a promise ends the program
// with a non-zero exit code and is printed with the seed that led to it.
package main
