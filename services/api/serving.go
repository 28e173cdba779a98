package api

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync/atomic"
	"time"

	"github.com/headwayhq/headway/pkg/viewstore"
)

// How fold versions follow one another for readers (rule 17). The log's sequences compare across versions, so what is
// shown never goes back: until the new version has read as far as what was shown of the one before, that one answers.

const (
	servingEvery  = 500 * time.Millisecond // between two looks at which version serves: readers follow within 2 s
	handoverLimit = 10 * time.Second       // after which the new version answers, however far it has come
)

// versions is what a storeViews knows of fold versions.
type versions struct {
	folds   []int           // that this api can read
	serving atomic.Int64    // the version that serves, as looked at last; 0: none, or not known
	shown   []atomic.Uint64 // the greatest cursor of each partition that an answer was made of
	before  atomic.Pointer[predecessor]
}

// predecessor is the version that was read before.
type predecessor struct {
	store  *viewstore.Store
	until  time.Time
	passed []atomic.Bool // by partition: the present version has come to what was shown, and answers from then on
}

func newVersions(s *viewstore.Store, folds []int) versions {
	if len(folds) == 0 {
		folds = []int{s.Fold()}
	}
	return versions{folds: folds, shown: make([]atomic.Uint64, s.Partitions())}
}

// saw notes how far an answer reaches.
func (v *versions) saw(p int, cursor uint64) {
	for {
		old := v.shown[p].Load()
		if cursor <= old || v.shown[p].CompareAndSwap(old, cursor) {
			return
		}
	}
}

// load reads from the present version, and from the one before where that has come further and was shown.
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

// loadShown replaces the answers of partitions that haven't come to what was shown yet by those of the version before.
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

// followServing returns when another fold version is to be read from now on, or ctx ends.
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
		return false // what was read so far is read on
	}
	v.serving.Store(int64(now.Fold))
	if now.Fold == store.Fold() || !slices.Contains(v.folds, now.Fold) {
		return false
	}
	v.before.Store(&predecessor{store, time.Now().Add(handoverLimit), make([]atomic.Bool, len(v.shown))})
	if !v.store.CompareAndSwap(store, store.WithFold(now.Fold)) {
		return false // the log became another one meanwhile
	}
	log.Info("another fold version serves, its views are read from now on", "fold", now.Fold, "before", store.Fold())
	return true
}

// unreadable says that another version serves than those this api can read; "" where that isn't so. Its own version's
// views stay true while somebody folds them: they are shown on, since no other api may be there yet.
func (v *storeViews) unreadable() string {
	serving := int(v.serving.Load())
	if serving == 0 || slices.Contains(v.folds, serving) {
		return ""
	}
	return fmt.Sprintf("Fold version %d serves, which this api can't read: it shows the views of version %d. Replace it with an api of the version that serves.",
		serving, v.store.Load().Fold())
}

// follow returns when other views are to be read: those of another stream identity, or of another fold version.
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

// handOver replaces the rows by those of another fold version. A row stays where that version hasn't come to it yet. It is
// called with load held.
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
	clear(x.cursor) // all partitions are asked again
	x.replace(all, func(old *row) bool {
		p := l.source.partition(x.ns, old.batch)
		return p >= len(fences) || fences[p] == nil || old.revision > fences[p].cursor
	}, l.source.partition)
	return nil
}

// replace puts rows in the place of all that are held, but for those to keep.
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
			next[batch] = old
			continue
		}
		x.changes.Remove(old.place)
	}
	x.rows, x.counts = next, counts{}
	for _, r := range next {
		x.counts.add(r, 1)
		if r.place == nil {
			x.version++
			r.version, r.place = x.version, x.changes.PushBack(r)
		}
	}
	for _, s := range x.orders {
		s.rows = slices.AppendSeq(s.rows[:0], maps.Values(next))
		slices.SortFunc(s.rows, s.compare)
	}
	close(x.changed)
	x.changed = make(chan struct{})
}
