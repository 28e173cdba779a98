// Package crdt has values that join: updates in any order, and any number of times, give the same result.
//
//	Register   last writer wins      texts, gauges, settings
//	Earliest   minimum               given times
//	Counter    maximum               cumulative counts
//	Series     maximum per bucket    progress over time
//	Smallest   bounded set           jobs, errors, stages: the smallest keys are kept
//	Highest    bounded set           attempts, announcements: the highest keys are kept
//
// Each has an update method that reports whether anything changed, and most have a Join with another value of the same type.
package crdt
