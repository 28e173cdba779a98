// Package diagnostics is the pure core of Headway: events, the fold, verdicts and answers.
//
//	bytes ──Decode──▶ Event ──Fold──▶ View ──Assess, NextCheck, Due──▶ Verdict, moment, publication
//	                                   │  ▲
//	                            Append │  │ Parse, Join
//	                                   ▼  │
//	                                  bytes          View ──Render, NewRow──▶ Snapshot, Row
//
// The law: a View is a function of the set of events folded into it. Any order, any duplication and any
// split that is joined again give the same bytes. So arrival order means nothing, a replay reproduces
// every view, and a lost one is rebuilt.
//
// Nothing here reads a clock, does I/O, logs or starts a goroutine: "now" is a value, handed in. The module
// requires nothing but the standard library. Times are nanoseconds since 1970 UTC inside, RFC 3339 outside.
// Functions that only read a View may run at once; Fold and Join need it alone.
//
// This package is the face. The work is done below it, where each package imports only those before it:
//
//	internal/crdt    values that join: stamps, registers, counters, series, bounded sets
//	internal/event   scanner, decoder, validation, canonical JSON
//	internal/view    the view, its fold, and one walk over its fields that encodes and joins
//	internal/cause   signals, what jobs wait for, categories of failures
//	internal/judge   derivation, verdicts, what is due, the next check
//	internal/answer  snapshots, rows, estimates, insights, explanations, next actions
package diagnostics
