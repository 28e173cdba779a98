// Package viewstore is the adapter to Redis, which holds the materialized views: a cache that can be lost
// at any moment and heals itself from the event log.
//
// All keys of a partition share the hash tag {pNN}, so one script commits any number of its batches
// atomically, on Redis Cluster too. Under hw:{pNN}:<identity>-<fold>: stand
//
//	fence               the partition's record: who owns it, how far the log is folded, how many views there are
//	v:<ns>:<batch>      stored value of a view: header and canonical state
//	cat                 the catalogue: hash of <ns>:<batch> → header of the stored value
//	due                 sorted set of <ns>:<batch> by the moment of the next check, ms rounded up; +inf: none
//	list:<ns>           sorted set of batches by revision: what changed since
//	rows:<ns>           hash of batch → list row (JSON)
//	ns                  hash of namespace → number of its views
//
// Beside the partitions, each a key of its own:
//
//	hw:members:<identity>-<fold>   sorted set of who shares the partitions, by the end of its time to live
//	hw:serving:<identity>          the fold version whose verdicts are announced and whose views are read
//	hw:versions                    hash of <identity>-<fold> → last heartbeat and number of partitions
//
// and the channels push:<ns>:<batch> (record, newline, stored value), rowpush:<ns> (list row) and nspush (namespace that
// has its first view).
//
// A commit keeps them equal in number: the record's views = HLEN cat = ZCARD due = the sum of ns = that of
// ZCARD list:* = that of HLEN rows:*. So a key that vanished is noticed, by a load that misses a view (which is absent
// only if the catalogue holds what the record counts and not that view), by the next commit, or by Verify.
//
// The fence is the safety argument. A worker may write only what it derived from the record it believes
// in; every script compares the whole record first and refuses otherwise:
//
//	no record ──Claim──▶ owned(token, cursor) ──Commit──▶ owned(token, cursor′) ──Release──▶ free(cursor′)
//	                        │                                 │                                │
//	                        └─── lease passes ───▶ claimable ─┴──── Claim(other token) ◀───────┘
//
// A wipe leaves no record, a rollback an older one, another owner a foreign token: each differs from what
// the worker believes, so a zombie can't write. Lease times are Redis TIME; they only make takeovers
// orderly, safety doesn't rest on them.
//
// Pushes go by PUBLISH, not SPUBLISH: one connection then hears all partitions, on a cluster too, and the in-memory
// stand-in (miniredis), which knows neither SPUBLISH nor functions, passes the same tests.
//
// A Store is safe for concurrent use.
package viewstore
