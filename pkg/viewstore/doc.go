// Package viewstore is the adapter to Redis, which stores the materialized views: a cache that can be lost
// at any moment and is then rebuilt from the event log.
//
// All keys of a partition share the hash tag {pNN}, so one script commits any number of its batches
// atomically, on Redis Cluster too. These keys begin with hw:{pNN}:<identity>-<fold>:
//
//	fence               who owns the partition, how far the log is folded, how many views there are
//	v:<ns>:<batch>      stored value of a view: header and canonical state; of a large view header and core only
//	p:<ns>:<batch>      hash of the parts of a large view, so that a commit writes only those that changed
//	cat                 the catalogue: hash of <ns>:<batch> → header of the stored value
//	due                 sorted set of <ns>:<batch> by the time of the next check, ms rounded up; +inf: none
//	list:<ns>           sorted set of batches by revision, to find what has changed since a revision
//	rows:<ns>           hash of batch → list row (JSON)
//	ns                  hash of namespace → number of its views
//	unc                 sorted set of <ns>:<batch> by the first sequence that no checkpoint covers
//
// These keys belong to no partition:
//
//	hw:members:<identity>-<fold>   sorted set of the processes that share the partitions, by the end of their time to live
//	hw:serving:<identity>          the fold version whose verdicts are announced and whose views are read
//	hw:versions                    hash of <identity>-<fold> → last heartbeat and number of partitions
//
// The channels are push:<ns>:<batch> (fence, newline, stored value), rowpush:<ns> (list row) and nspush (a namespace that
// has its first view).
//
// A view leaves Redis only with its entries, in one step with a new fence, once a checkpoint covers it (Drop).
//
// A commit keeps their sizes equal: the fence's views = HLEN cat = ZCARD due = the sum of ns = the sum of
// ZCARD list:* = the sum of HLEN rows:*. So the loss of a key is noticed by a load that finds no view (which is absent
// only if the catalogue has as many entries as the fence counts, and none for that view), by the next commit, or by Verify.
//
// Safety is based on the fence. A worker may write only what it derived from the fence that it
// expects. Every script compares the whole fence first and refuses if it differs:
//
//	no fence  ──Claim──▶ owned(token, cursor) ──Commit──▶ owned(token, cursor′) ──Release──▶ free(cursor′)
//	                        │                                 │                                │
//	                        └── lease expires ───▶ claimable ─┴──── Claim(other token) ◀───────┘
//
// A wipe leaves no fence, a rollback an older one, and another owner another token. Each of them differs from what
// the worker expects, so a process that has lost its partition can't write. Lease times are Redis TIME. They only make takeovers
// orderly; safety doesn't depend on them.
//
// Pushes use PUBLISH, not SPUBLISH. One connection then receives all partitions, on a cluster too, and the in-memory
// stand-in (miniredis), which supports neither SPUBLISH nor functions, passes the same tests.
//
// A Store is safe for concurrent use.
package viewstore
