// Package relay turns the reports of Ray clusters into Headway's events, so that a pipeline's code needn't change.
//
//	sources            one state machine (package machine)            the log
//	jobs API     ─┐
//	event export ─┤  inputs    ┌───────┐  facts that are new   job, tier and stage
//	export files ─┼───────────▶│ State │ ───────────────────▶  events, with derived ids
//	KubeRay      ─┤            └───────┘
//	state API    ─┘
//
// This package is the loop around that machine: it asks clusters, follows files, receives exported events, hands over what it learned,
// and publishes what becomes due. Relay.sources is the table of what is watched, cluster.probes of what a cluster can tell.
//
// A source yields Observations: pure data, each with the time at which the fact became true by the cluster's
// own clock. A job is the join of all that was observed of one submission in one session of a cluster:
//
//	PENDING ──▶ RUNNING ──▶ SUCCEEDED │ FAILED │ STOPPED
//	   └────────────┴──────────▲            ▲
//	                           └ forgotten ─┘  FAILED, error type "orphaned"; a real outcome replaces it
//
// It is order-free and idempotent: the same observations in any order, any number of times, from any of the
// sources, end in the same state. An end absorbs what is said of the life before; of several ends the latest by its own time
// stands; an outcome that Ray told stands above one that was concluded from Ray's silence. So a source that
// lags, repeats itself or starts over moves nothing back.
//
// Events carry ids derived from session, submission and fact, and the fact's own time. Several relays, restarts and replays
// publish the same events, and Headway folds equal events once: nothing is kept on disk.
//
// Causes are judged as of one moment by a pure function (see machine.Judge): infeasible is only ever the autoscaler's own word, and
// a node on its way is never called infeasible.
//
// Every cluster has goroutines, connections and timeouts of its own: one that hangs hurts no other.
package relay
