package ingest

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"time"

	"github.com/headwayhq/headway/pkg/eventlog"
	"github.com/headwayhq/headway/pkg/viewstore"
)

// upgrade is what an epoch knows of its fold version beside others (rule 17).
type upgrade struct {
	store *viewstore.Store
	log   atomic.Pointer[eventlog.Info] // as last read
	lead  atomic.Bool                   // this member removes outdated versions, on behalf of all members

	// The state at the start of the rebuild.
	began time.Time
	start viewstore.Rebuild

	// The version that served at the last check, and its cursors then.
	served   viewstore.Serving
	cursors  []uint64
	lookedAt time.Time // when it was last asked for other versions
	only     bool      // there was none

	serves bool // this version served at the last check
}

// lookAtVersions measures the progress of this version, and makes it the serving one when it may take over.
func (e *epoch) lookAtVersions(ctx context.Context, members []string, records []viewstore.Record) error {
	fences := make([]*viewstore.Fence, len(records))
	folded := make([]*viewstore.Fence, len(records)) // what this process has folded and not committed included
	for p, r := range records {
		fences[p], folded[p] = r.Fence, r.Fence
		if own := e.get(p); own != nil && r.Fence != nil && r.Fence.Token == own.token {
			ahead := *r.Fence
			ahead.Cursor = max(ahead.Cursor, own.reading.Load())
			folded[p] = &ahead
		}
	}
	e.upgrade.lead.Store(slices.Min(members) == e.s.o.Member)
	e.s.health.measured(e.upgrade.measure(folded, time.Now()))
	got, err := e.upgrade.serve(ctx, fences)
	if err == nil && time.Since(e.upgrade.lookedAt) > aloneEvery {
		var alone bool
		if alone, err = e.upgrade.alone(ctx); err == nil {
			e.upgrade.lookedAt, e.upgrade.only = time.Now(), alone
		}
	}
	// Another version may still be gone back to: it would miss what is removed, and not understand a checkpoint (rule 32).
	e.archives.Store(err == nil && e.upgrade.serves && e.upgrade.only)
	e.metrics.batches.serve(e.upgrade.serves)
	if got {
		e.s.log.Info("fold version started serving", "fold", e.version)
	}
	return err
}

// serve makes this fold version the one that serves, when it may: at once if none serves and there is no other;
// otherwise when all partitions are complete and have passed where those of the serving version were at the previous check.
// An older version never takes over, nor does one that an operator has left.
func (u *upgrade) serve(ctx context.Context, fences []*viewstore.Fence) (got bool, err error) {
	fold := u.store.Fold()
	now, err := u.store.Serving(ctx)
	if err == nil {
		u.serves = now.Fold == fold
	}
	if err != nil || now.Fold == fold || !now.Yields(fold) {
		return false, err
	}
	if now.Fold == 0 {
		alone, err := u.alone(ctx)
		if err != nil || !alone && !viewstore.Covers(fences, nil) {
			return false, err
		}
	} else {
		before, known := u.cursors, u.served == now
		theirs, err := u.store.WithFold(now.Fold).Fences(ctx)
		if err != nil {
			return false, err
		}
		u.served, u.cursors = now, viewstore.Cursors(theirs)
		if !known || !viewstore.Covers(fences, before) {
			return false, nil
		}
	}
	next, err := u.store.Serve(ctx, now)
	u.serves = err == nil && next.Fold == fold
	return u.serves, err
}

// aloneEvery is the interval at which other versions are looked for.
const aloneEvery = 2 * time.Second

// alone reports whether no other fold version of this identity has ever been seen.
func (u *upgrade) alone(ctx context.Context) (bool, error) {
	all, _, err := u.store.Versions(ctx)
	for _, k := range all {
		if k.Identity == u.store.Identity() && k.Fold != u.store.Fold() {
			return false, err
		}
	}
	return true, err
}

// measure returns how far the views are folded from the log, and the rate since the claim.
func (u *upgrade) measure(fences []*viewstore.Fence, now time.Time) viewstore.Rebuild {
	info := u.log.Load()
	r := viewstore.RebuildOf(fences, info.First, info.Last)
	if u.began.IsZero() || r.Folded < u.start.Folded { // the second condition: a claim makes a partition incomplete again
		u.began, u.start = now, r
	}
	return r.Since(u.start, now.Sub(u.began))
}

// removeOutdated regularly removes the views of versions that are no longer needed, until ctx ends. Only one of several
// members does it.
func (e *epoch) removeOutdated(ctx context.Context) {
	ticker := time.NewTicker(e.s.o.RemoveEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		if !e.upgrade.lead.Load() {
			continue
		}
		all, now, err := e.upgrade.store.Versions(ctx)
		for _, k := range viewstore.Outdated(all, now, e.s.o.KeepVersions) {
			keys, rerr := e.upgrade.store.Remove(ctx, k)
			e.s.log.Info("outdated views removed", "version", k.String(), "heartbeat", k.Heartbeat, "keys", keys)
			err = errors.Join(err, rerr)
		}
		if err != nil && ctx.Err() == nil {
			e.s.log.Warn("removing outdated views failed", "error", err)
		}
	}
}

// leaveWithin limits how long the end of a process waits for removing its membership.
const leaveWithin = 500 * time.Millisecond

// leave removes the membership when the process ends. An epoch that is followed by another one stays a member, so that its
// partitions don't move without a reason.
func (e *epoch) leave(ctx context.Context) {
	if ctx.Err() == nil {
		return
	}
	limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaveWithin)
	defer cancel()
	if err := e.upgrade.store.Leave(limited, e.s.o.Member); err != nil {
		e.s.log.Debug("removing own membership failed", "error", err) // it expires by itself
	}
}
