// Package judge derives what follows from a view: the state of tiers and jobs, the verdict on the batch's health with its
// evidence, what is due to be published, and the next moment at which one of these can change.
//
// Nothing here reads a clock: the moment is handed in. Derive once, and ask as often as needed.
package judge
