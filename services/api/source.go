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

// views reads fences and views. The adapter of the view store implements it, like rows.
type views interface {
	// identity and fold of what is read.
	identity() (string, int)
	// load reads each asked partition's fence, and the views, at one moment; all partitions in one round trip.
	load(ctx context.Context, asks []ask) []loaded
	// fences reads the fences of all partitions, in order; nil where there is none.
	fences(ctx context.Context) ([]*fence, error)
}

// ask names views of one partition.
type ask struct {
	partition int
	keys      []push.Key
}

// loaded answers an ask: a nil fence means that the partition has none.
type loaded struct {
	fence *fence
	views []stored
	err   error
}

// rows reads the rows of lists.
type rows interface {
	// rows reads all rows of a namespace, rowsSince those of one partition with a greater revision.
	rows(ctx context.Context, ns string) ([][]byte, error)
	rowsSince(ctx context.Context, ns string, p int, revision uint64) ([][]byte, error)
	// namespaces reads the namespaces of partitions whose number of namespaces differs from counts, and updates
	// counts.
	namespaces(ctx context.Context, counts []int64) ([]string, error)
}

type store interface {
	views
	rows
}

// feed is the subscription to changes. Its methods are idempotent. Those that add a subscription return when there is no gap between
// later reads and the changes delivered.
type feed interface {
	watch(ctx context.Context, k push.Key) error
	unwatch(k push.Key)
	watchRows(ctx context.Context, ns string) error
	unwatchRows(ns string)
	// run delivers to s, one call at a time, until ctx ends.
	run(ctx context.Context, to hearer) error
}

// hearer receives what a feed delivers.
type hearer interface {
	heardView(k push.Key, p int, f *fence, value []byte) // value is nil if the view must be read
	heardRow(ns string, row []byte)
	heardNamespace(ns string) // it has its first row
	missed()                  // anything may have been missed
}

// Policies returns the thresholds of health per namespace, and a hash that identifies them all.
type Policies interface {
	For(namespace string) diagnostics.Policy
	Hash() string
}

// source connects the hub to the view store. It remembers the newest fence of each partition, which
// determines the moment at which views in memory are evaluated.
type source struct {
	views     views
	reads     *bundle
	feed      feed
	policies  Policies
	linkHosts []string // to which links of answers may lead; none: all
	archive   Archive  // may be nil
	partition func(ns, batch string) int
	fresh     time.Duration           // maximum age of a watermark for claiming absence
	newest    []atomic.Pointer[fence] // never goes back within one identity
	latest    []atomic.Pointer[fence] // as last read, whether it is newer or not
	completed []atomic.Bool           // was complete in any read so far
	freshAt   atomic.Int64            // when all fences were last read
	clock     *clock
}

func newSource(v views, f feed, p Policies, partitions int, partition func(ns, batch string) int, fresh time.Duration) *source {
	return &source{
		views: v, reads: &bundle{load: v.load}, feed: f, policies: p, partition: partition, fresh: fresh,
		newest: make([]atomic.Pointer[fence], partitions), latest: make([]atomic.Pointer[fence], partitions),
		completed: make([]atomic.Bool, partitions), clock: newClock(partitions, partition),
	}
}

// see remembers f if it is newer than the known fence of partition p. After a rollback of the store the newer fence
// is kept, so that the moment of evaluation never goes back.
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
			if s.clock.renew != nil {
				s.clock.moved(p, f.asOf)
			}
			return
		}
	}
}

// present is the newest known fence of a batch's partition.
func (s *source) present(k push.Key) *fence { return s.newest[s.partition(k.Namespace, k.Name)].Load() }

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

// incomplete counts the partitions that have never been complete.
func (s *source) incomplete() (n int) {
	for p := range s.completed {
		if !s.completed[p].Load() {
			n++
		}
	}
	return n
}

// age is the age of the oldest watermark, in seconds.
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
func (s *source) Unwatch(k push.Key)                          { s.feed.unwatch(k); s.clock.forget(k) }

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
		if r.Absent = s.absence(p, f, got.held, time.Now()); !certain(r.Absent) {
			return r, nil
		}
		frame, err := s.recall(ctx, k, f)
		if err != nil {
			return push.Reading{}, err
		}
		if frame != nil {
			r.Absent, r.Frame, r.Kept = nil, frame, true
		}
		return r, nil
	}
	if r.Frame, err = s.frame(k, got.value, f); err != nil {
		r.Absent = s.absence(p, f, missing, time.Now()) // unreadable: the partition's owner rebuilds it
	}
	return r, nil
}

// frame creates the frame of a stored value.
func (s *source) frame(k push.Key, value []byte, f *fence) (*push.Frame, error) {
	c, err := s.newContent(k, value, f)
	if err != nil {
		return nil, err
	}
	return s.clock.frame(c), nil
}

// known returns f, or the fence of a partition without one: nothing folded, not complete.
func (s *source) known(f *fence) *fence {
	if f != nil {
		return f
	}
	id, fold := s.views.identity()
	return &fence{identity: id, fold: fold}
}

// Look implements push.Source. A partition that can't be read is read again with the next repair, and doesn't affect
// the others.
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
			if held := got.views[i].held; held != present {
				out[j].Gone = s.archive != nil && certain(s.absence(asks[n].partition, f, held, time.Now()))
				continue
			}
			if h, err := diagnostics.ParseHeader(got.views[i].value); err == nil {
				out[j].Seq = h.Revision
			}
		}
	}
	return out, failed
}
