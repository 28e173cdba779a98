// Package view holds the state of one batch: the fold that makes it from events, and its encoding.
//
// A View is a join-semilattice: its value is a function of the set of events folded into it. Any order, any duplication
// and any split that is joined again give the same bytes.
package view
