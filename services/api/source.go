package api

import (
	"context"
	"fmt"
	"math"
	"sync/atomic"
	"time"

	"github.com/headwayhq/headway/pkg/diagnostics"
	"github.com/headwayhq/headway/pkg/push"
)

// views is where fences and views are read. The adapter of the view store implements it, as it does rows.
type views interface {
	// identity and fold of what is read.
	identity() (string, int)
	// load reads each asked partition's fence, and the views, at one moment; all partitions in one round trip.
	load(ctx context.Context, asks []ask) []loaded
	// fences reads the records of all partitions, in order; nil where there is none.
	fences(ctx context.Context) ([]*fence, error)
}

// ask names views of one partition.
type ask struct {
	partition int
	keys      []push.Key
}

// loaded answers an ask: a nil fence means that there is no record.
type loaded struct {
	fence *fence
	views []stored
	err   error
}

// rows is where the rows of lists are read.
type rows interface {
	// rows reads all rows of a namespace, rowsSince those of one partition with a greater revision.
	rows(ctx context.Context, ns string) ([][]byte, error)
	rowsSince(ctx context.Context, ns string, p int, revision uint64) ([][]byte, error)
	// namespaces reads those with rows in partitions whose number of them isn't the one in counts, and brings counts
	// up to date.
	namespaces(ctx context.Context, counts []int64) ([]string, error)
}

type store interface {
	views
	rows
}

// feed is the subscription to changes. Its methods are idempotent; those that begin one return when what is read from
// then on and what is heard leave no gap.
type feed interface {
	watch(ctx context.Context, k push.Key) error
	unwatch(k push.Key)
	watchRows(ctx context.Context, ns string) error
	unwatchRows(ns string)
	// run delivers to s, one call at a time, until ctx ends.
	run(ctx context.Context, to hearer) error
}

// hearer takes what a feed delivers.
type hearer interface {
	heardView(k push.Key, p int, f *fence, value []byte) // nil: it must be read
	heardRow(ns string, row []byte)
	heardNamespace(ns string) // a first row of it
	missed()                  // anything may have been
}

// Policies gives the thresholds of health per namespace, and the hash that names them all.
type Policies interface {
	For(namespace string) diagnostics.Policy
	Hash() string
}

// source is the hub's view of the view store. It remembers the newest fence of each partition, which
// tells at which moment warm views are evaluated.
type source struct {
	views     views
	reads     *bundle
	feed      feed
	policies  Policies
	partition func(ns, batch string) int
	fresh     time.Duration           // up to which age a watermark vouches for absence
	newest    []atomic.Pointer[fence] // never goes back within one identity
	latest    []atomic.Pointer[fence] // as read last, whatever it says
	completed []atomic.Bool           // complete when it was read, now or before
	freshAt   atomic.Int64            // when all fences were read last
}

func newSource(v views, f feed, p Policies, partitions int, partition func(ns, batch string) int, fresh time.Duration) *source {
	return &source{
		views: v, reads: &bundle{load: v.load}, feed: f, policies: p, partition: partition, fresh: fresh,
		newest: make([]atomic.Pointer[fence], partitions), latest: make([]atomic.Pointer[fence], partitions),
		completed: make([]atomic.Bool, partitions),
	}
}

// see remembers f if it is newer than what is known of partition p. A fence from before a rollback of the
// store is kept: what is evaluated never goes back.
func (s *source) see(p int, f *fence) {
	if f == nil {
		return
	}
	for {
		old := s.newest[p].Load()
		if old != nil && old.identity == f.identity &&
			(f.cursor < old.cursor || f.cursor == old.cursor && !f.watermark.After(old.watermark) && f.complete == old.complete) {
			return
		}
		if s.newest[p].CompareAndSwap(old, f) {
			return
		}
	}
}

func (s *source) present(c *content) *fence {
	return s.newest[s.partition(c.view.Namespace, c.view.Batch)].Load()
}

// refresh reads all fences.
func (s *source) refresh(ctx context.Context) ([]*fence, error) {
	begun := time.Now()
	all, err := s.views.fences(ctx)
	if err != nil {
		return nil, fmt.Errorf("api: fences: %w", waited("Redis", begun, err))
	}
	for p, f := range all {
		if p < len(s.newest) {
			s.see(p, f)
			s.latest[p].Store(f)
			if f != nil && f.complete {
				s.completed[p].Store(true)
			}
		}
	}
	s.freshAt.Store(begun.UnixNano())
	return all, nil
}

// incomplete counts the partitions that were never complete.
func (s *source) incomplete() (n int) {
	for p := range s.completed {
		if !s.completed[p].Load() {
			n++
		}
	}
	return n
}

// age is that of the oldest watermark, in seconds.
func (s *source) age(now time.Time) float64 {
	oldest := 0.0
	for p := range s.latest {
		f := s.latest[p].Load()
		if f == nil || f.watermark.Unix() <= 0 {
			return math.Inf(1)
		}
		oldest = max(oldest, now.Sub(f.watermark).Seconds())
	}
	return oldest
}

// refreshedWithin reports whether all fences were read at most d ago.
func (s *source) refreshedWithin(d time.Duration) bool {
	return time.Since(time.Unix(0, s.freshAt.Load())) <= d
}

func (s *source) Watch(ctx context.Context, k push.Key) error { return s.feed.watch(ctx, k) }
func (s *source) Unwatch(k push.Key)                          { s.feed.unwatch(k) }

// Read implements push.Source.
func (s *source) Read(ctx context.Context, k push.Key) (push.Reading, error) {
	p := s.partition(k.Namespace, k.Name)
	begun := time.Now()
	f, got, err := s.reads.read(ctx, p, k)
	if err != nil {
		return push.Reading{}, fmt.Errorf("api: read p%02d: %w", p, waited("Redis", begun, err))
	}
	f = s.known(f)
	s.see(p, f)
	r := push.Reading{Position: f.position()}
	if got.held != present {
		r.Absent = s.absence(p, f, got.held, time.Now())
		return r, nil
	}
	if r.Frame, err = newFrame(got.value, f, s.policies, s.present); err != nil {
		r.Absent = s.absence(p, f, missing, time.Now()) // unreadable: its partition's owner makes it anew
	}
	return r, nil
}

// known stands in for a record that isn't there: nothing read, nothing complete.
func (s *source) known(f *fence) *fence {
	if f != nil {
		return f
	}
	id, fold := s.views.identity()
	return &fence{identity: id, fold: fold}
}

// Look implements push.Source. A partition that can't be read is looked at again with the next repair; the others
// aren't held up by it.
func (s *source) Look(ctx context.Context, keys []push.Key) ([]push.Look, error) {
	of := map[int]int{} // partition to ask
	var asks []ask
	var at [][]int
	for i, k := range keys {
		p := s.partition(k.Namespace, k.Name)
		n, there := of[p]
		if !there {
			n = len(asks)
			of[p] = n
			asks, at = append(asks, ask{partition: p}), append(at, nil)
		}
		asks[n].keys, at[n] = append(asks[n].keys, k), append(at[n], i)
	}
	out := make([]push.Look, len(keys))
	var failed error
	for n, got := range s.views.load(ctx, asks) {
		if got.err != nil {
			failed = fmt.Errorf("api: look p%02d: %w", asks[n].partition, got.err)
			continue
		}
		f := s.known(got.fence)
		s.see(asks[n].partition, f)
		for i, j := range at[n] {
			out[j].Position = f.position()
			if got.views[i].held != present {
				continue
			}
			if h, err := diagnostics.ParseHeader(got.views[i].value); err == nil {
				out[j].Seq = h.Revision
			}
		}
	}
	return out, failed
}
