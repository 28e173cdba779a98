// Package crdt has the values that join: whatever order their words come in, and however often, they end the same.
//
//	Register   last writer wins      texts, gauges, settings
//	Earliest   minimum               times that were given
//	Counter    maximum               cumulative counts
//	Series     maximum per bucket    progress over time
//	Smallest   bounded set           jobs, errors, stages: the smallest keys are kept
//	Highest    bounded set           attempts, announcements: the highest keys are kept
//
// Each has a way to say something, which reports whether anything changed, and most a Join with another of their kind.
package crdt
