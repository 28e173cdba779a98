// Package answer says what a batch's view comes to, for people and for programs: the snapshot, the list row, the estimate
// of the end, insights, next actions, performance, and the explanation of a verdict.
package answer
