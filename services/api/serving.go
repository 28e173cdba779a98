package api

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync/atomic"
	"time"

	"github.com/headwayhq/headway/pkg/viewstore"
)

// How readers change from one fold version to the next (rule 17). Sequences of the log are comparable across versions, so what is
// shown never goes back: the previous version answers until the new one has read as far as what was shown.

const (
	servingEvery  = 500 * time.Millisecond // between two checks of the serving version: readers follow within 2 s
	handoverLimit = 10 * time.Second       // after which the new version answers, whatever its progress
)

// versions is what a storeViews knows about fold versions.
type versions struct {
	folds   []int           // that this api can read
	serving atomic.Int64    // the serving version at the last check; 0: none, or not known
	shown   []atomic.Uint64 // the greatest cursor of each partition in any answer
	before  atomic.Pointer[predecessor]
}

// predecessor is the previously read version.
type predecessor struct {
	store  *viewstore.Store
	until  time.Time
	passed []atomic.Bool // by partition: the present version has reached what was shown, and answers from then on
}

func newVersions(s *viewstore.Store, folds []int) versions {
	if len(folds) == 0 {
		folds = []int{s.Fold()}
	}
	return versions{folds: folds, shown: make([]atomic.Uint64, s.Partitions())}
}

// saw records the cursor of an answer.
func (v *versions) saw(p int, cursor uint64) {
	for {
		old := v.shown[p].Load()
		if cursor <= old || v.shown[p].CompareAndSwap(old, cursor) {
			return
		}
	}
}

// load reads from the present version, and from the previous one where that has shown a later cursor.
func (v *storeViews) load(ctx context.Context, asks []ask) []loaded {
	store, before := v.store.Load(), v.before.Load()
	out := loadFrom(ctx, store, asks)
	if before != nil && before.store != store && time.Now().Before(before.until) {
		v.loadShown(ctx, before, asks, out)
	}
	for i, got := range out {
		if got.fence != nil {
			v.saw(asks[i].partition, got.fence.cursor)
		}
	}
	return out
}

// loadShown replaces the answers of partitions that haven't reached what was shown with those of the previous version.
func (v *storeViews) loadShown(ctx context.Context, before *predecessor, asks []ask, out []loaded) {
	var again []ask
	var of []int
	for i, got := range out {
		p := asks[i].partition
		switch {
		case got.err != nil || before.passed[p].Load():
		case got.fence != nil && got.fence.cursor >= v.shown[p].Load():
			before.passed[p].Store(true)
		default:
			again, of = append(again, asks[i]), append(of, i)
		}
	}
	if len(again) == 0 {
		return
	}
	for n, older := range loadFrom(ctx, before.store, again) {
		if f := out[of[n]].fence; older.err == nil && older.fence != nil && (f == nil || older.fence.cursor > f.cursor) {
			out[of[n]] = older
		}
	}
}

// followServing returns when another fold version has to be read from now on, or when ctx ends.
func (v *storeViews) followServing(ctx context.Context, log *slog.Logger) {
	tick := time.NewTicker(servingEvery)
	defer tick.Stop()
	for {
		if v.follow(ctx, log) {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// follow moves to the version that serves, if this api can read it.
func (v *storeViews) follow(ctx context.Context, log *slog.Logger) (moved bool) {
	store := v.store.Load()
	limited, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	now, err := store.Serving(limited)
	if err != nil {
		return false // keep reading the present version
	}
	v.serving.Store(int64(now.Fold))
	if now.Fold == store.Fold() || !slices.Contains(v.folds, now.Fold) {
		return false
	}
	v.before.Store(&predecessor{store, time.Now().Add(handoverLimit), make([]atomic.Bool, len(v.shown))})
	if !v.store.CompareAndSwap(store, store.WithFold(now.Fold)) {
		return false // the log was recreated meanwhile
	}
	log.Info("serving fold version changed", "fold", now.Fold, "before", store.Fold())
	return true
}

// unreadable says that this api can't read the serving version; "" if it can. The views of its own version
// stay correct while a process folds them. The api continues to show them, since there may be no other api yet.
func (v *storeViews) unreadable() string {
	serving := int(v.serving.Load())
	if serving == 0 || slices.Contains(v.folds, serving) {
		return ""
	}
	return fmt.Sprintf("Fold version %d serves, which this api can't read: it shows the views of version %d. Replace it with an api of the version that serves.",
		serving, v.store.Load().Fold())
}

// follow returns when other views have to be read: those of another stream identity, or of another fold version.
func (f *storeFeed) follow(ctx context.Context) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	identity := make(chan struct{})
	go func() {
		defer close(identity)
		defer stop()
		f.followIdentity(ctx)
	}()
	f.views.followServing(ctx, f.log)
	stop()
	<-identity
}

// handOver replaces the rows with those of another fold version. A row stays if that version hasn't reached it yet. The
// caller holds load.
func (x *index) handOver(ctx context.Context, l *lists) error {
	fences, err := l.source.views.fences(ctx)
	if err != nil {
		return fmt.Errorf("api: fences: %w", err)
	}
	raw, err := l.rows.rows(ctx, x.ns)
	if err != nil {
		return fmt.Errorf("api: rows: %w", err)
	}
	all, err := parseRows(raw)
	if err != nil {
		return err
	}
	clear(x.cursor) // so that all partitions are read again
	x.replace(all, func(old *row) bool {
		p := l.source.partition(x.ns, old.batch)
		return p >= len(fences) || fences[p] == nil || old.revision > fences[p].cursor
	}, l.source.partition)
	return nil
}

// replace replaces all present rows with rows, except those for which keep returns true.
func (x *index) replace(rows []*row, keep func(*row) bool, partition func(ns, batch string) int) {
	x.mu.Lock()
	defer x.mu.Unlock()
	next := make(map[string]*row, len(rows))
	clear(x.seen)
	for _, r := range rows {
		next[r.batch] = r
		if p := partition(x.ns, r.batch); p < len(x.seen) {
			x.seen[p] = max(x.seen[p], r.revision)
		}
	}
	for batch, old := range x.rows {
		switch r := next[batch]; {
		case keep(old):
			kept := *old
			kept.revision-- // so that the same revision of the new version takes its place
			kept.place = nil
			next[batch] = &kept
		case r != nil && bytes.Equal(r.json, old.json):
			same := *old // because readers of what was shown use the place that it has there
			same.place.Value = &same
			next[batch] = &same
			continue
		}
		x.changes.Remove(old.place)
	}
	x.rows, x.listing, x.ends = next, newListing(), nil
	for _, r := range next {
		x.listing.change(nil, r)
		r.end = 0
		x.await(r)
		if r.place == nil {
			x.version++
			r.version, r.place = x.version, x.changes.PushBack(r)
		}
	}
	x.tell()
}
