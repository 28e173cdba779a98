// Package diagnostics is the pure core of Headway: events, the fold, verdicts and answers.
//
//	bytes ──Decode──▶ Event ──Fold──▶ View ──Assess, NextCheck, Due──▶ Verdict, time, publication
//	                                   │  ▲
//	                            Append │  │ Parse, Join
//	                                   ▼  │
//	                                  bytes          View ──Render, NewRow──▶ Snapshot, Row
//
// The basic law: a View is a function of the set of messages folded into it. Any order, any duplication and any
// split that is joined again give the same bytes. So the order of arrival doesn't matter, a replay reproduces
// every view, and a lost view can be rebuilt.
//
// Nothing here reads a clock, does I/O, logs or starts a goroutine: "now" is an argument. The module
// requires nothing but the standard library. Times are nanoseconds since 1970 UTC inside, RFC 3339 outside.
// Functions that only read a View may run concurrently; Fold and Join need exclusive access.
//
// This package is the public face of the core. The packages below it do the work, and each of them imports only those before it:
//
//	internal/crdt    values that join: stamps, registers, counters, series, bounded sets
//	internal/event   scanner, decoder, validation, canonical JSON
//	internal/view    the view, its fold, and one walk over its fields that encodes and joins
//	internal/cause   signals, what jobs wait for, categories of failures
//	internal/judge   derivation, verdicts, what is due, the next check
//	internal/answer  snapshots, rows, estimates, insights, explanations, next actions
package diagnostics
