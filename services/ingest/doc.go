// Package ingest is the one writer: it reads the event log, folds it and commits views.
//
// A process owns the partitions that rendezvous hashing over the live members gives it. One unfiltered
// reader serves all of them; a partition claimed while the reader was elsewhere catches up on a reader of its own and is
// then attached, without a gap (router.go). Each owned partition is one value (partition.go): the record
// believed in, the cache of views, and what waits to be folded live and die together. Any refusal,
// any error whose outcome is unknown, drops all of it, and the partition is claimed anew.
//
//	claim ──▶ catch up ──▶ attached ──▶ (fold, commit)* ──▶ release
//	  ▲          │             │              │
//	  └──────────┴─────────────┴── refused ◀──┘
//
// What piles up while a commit is in flight is the next batch: at once when idle, in bulk under load.
package ingest
