// Package ingest is the one writer: it reads the event log, folds it and commits views.
//
// A process owns the partitions that rendezvous hashing over the live members gives it. One unfiltered
// reader serves all of them; a partition claimed while the reader was elsewhere catches up on another one, alone or in a
// group, and is then attached, without a gap (router.go, group.go). Each owned partition is one value (partition.go): the expected
// fence, the cache of views and the queue of messages belong together. Any refusal, and
// any error whose outcome is unknown, drops all of them, and the partition is claimed again.
//
//	claim ──▶ catch up ──▶ attached ──▶ (fold, commit)* ──▶ release
//	  ▲          │             │              │
//	  └──────────┴─────────────┴── refused ◀──┘
//
// What arrives while a commit is in flight is the next batch. So an idle process commits at once, and a busy one in bulk.
package ingest
