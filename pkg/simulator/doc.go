// Package simulator generates the events of a workload as real pipelines send them: an orchestrator, tiers
// with several extractors, Ray jobs that queue, start cold, warm up, fail and are retried, documents at
// uneven rates, and batches that make no progress. It is pure and seeded: equal configurations give equal events.
//
// Times are virtual until they are scaled: a batch takes some minutes, Config.Speed shortens them.
package simulator
