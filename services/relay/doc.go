// Package relay turns the reports of Ray clusters into Headway's events, so that no pipeline has to be changed to send them.
//
//	sources            one state machine (package machine)            the log
//	jobs API     ─┐
//	event export ─┤  inputs    ┌───────┐  facts that are new   job, tier and stage
//	export files ─┼───────────▶│ State │ ───────────────────▶  events, with derived ids
//	KubeRay      ─┤            └───────┘
//	state API    ─┘
//
// This package is the loop around that machine: it polls clusters, follows files, receives exported events, passes them to the
// machine as inputs, and publishes the events that become due. Relay.sources is the table of what is watched,
// and cluster.probes the table of what can be learned from a cluster.
//
// A source yields Observations: plain data, each with the time at which the fact became true by the cluster's
// own clock. A job is the join of all that was observed of one submission in one session of a cluster:
//
//	PENDING ──▶ RUNNING ──▶ SUCCEEDED │ FAILED │ STOPPED
//	   └────────────┴──────────▲            ▲
//	                           └ forgotten ─┘  FAILED, error type "orphaned"; a real outcome replaces it
//
// The join is commutative and idempotent: the same observations in any order, any number of times, from any of the
// sources, end in the same state. An end wins over everything observed before it. Of several ends the latest by its own time
// counts, and an outcome that Ray reported takes precedence over one concluded from Ray's silence. So a source that
// lags, repeats itself or starts over can't move a job back.
//
// Events carry ids derived from session, submission and fact, and the fact's own time. Several relays, restarts and replays
// publish the same events, and Headway folds equal events once, so the relay needs no disk.
//
// Causes are judged as of one moment by a pure function (see machine.Judge): a wait is called infeasible
// only if the autoscaler reports it so and no node that could fit is being launched.
//
// Every cluster has its own goroutines, connections and timeouts, so that one that hangs doesn't affect the others.
package relay
