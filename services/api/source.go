package api

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/headwayhq/headway/pkg/diagnostics"
	"github.com/headwayhq/headway/pkg/push"
)

// views is where views, fences and rows are read. The adapter of the view store implements it.
type views interface {
	// identity and fold of what is read; it is the same for the life of a views.
	identity() (string, int)
	// load reads the fence of partition p and the stored values of keys at one moment; a nil fence means
	// that there is no record, a nil value that there is none.
	load(ctx context.Context, p int, keys []push.Key) (*fence, [][]byte, error)
	// fences reads the records of all partitions, in order.
	fences(ctx context.Context) ([]*fence, error)
	// rows reads all list rows of a namespace, rowsSince those of one partition with a greater revision.
	rows(ctx context.Context, ns string) ([][]byte, error)
	rowsSince(ctx context.Context, ns string, p int, revision uint64) ([][]byte, error)
}

// feed is the subscription to changes. Its methods are idempotent.
type feed interface {
	watch(ctx context.Context, k push.Key) error
	unwatch(k push.Key)
	watchRows(ctx context.Context, ns string) error
	unwatchRows(ns string)
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
	feed      feed
	policies  Policies
	partition func(ns, batch string) int
	newest    []atomic.Pointer[fence] // never goes back within one identity
	latest    []atomic.Pointer[fence] // as read last, whatever it says
	freshAt   atomic.Int64            // when all fences were read last
}

func newSource(v views, f feed, p Policies, partitions int, partition func(ns, batch string) int) *source {
	return &source{
		views: v, feed: f, policies: p, partition: partition,
		newest: make([]atomic.Pointer[fence], partitions), latest: make([]atomic.Pointer[fence], partitions),
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
	all, err := s.views.fences(ctx)
	if err != nil {
		return nil, fmt.Errorf("api: fences: %w", err)
	}
	for p, f := range all {
		if p < len(s.newest) {
			s.see(p, f)
			s.latest[p].Store(f)
		}
	}
	s.freshAt.Store(time.Now().UnixNano())
	return all, nil
}

func (s *source) Watch(ctx context.Context, k push.Key) error { return s.feed.watch(ctx, k) }
func (s *source) Unwatch(k push.Key)                          { s.feed.unwatch(k) }

// Read implements push.Source.
func (s *source) Read(ctx context.Context, k push.Key) (push.Reading, error) {
	p := s.partition(k.Namespace, k.Name)
	f, values, err := s.views.load(ctx, p, []push.Key{k})
	if err != nil {
		return push.Reading{}, fmt.Errorf("api: read p%02d: %w", p, err)
	}
	f = s.known(f)
	s.see(p, f)
	r := push.Reading{Position: f.position()}
	if len(values) == 1 && len(values[0]) > 0 {
		if r.Frame, err = newFrame(values[0], f, s.policies, s.present); err != nil {
			return push.Reading{}, fmt.Errorf("api: read p%02d: %w", p, err)
		}
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

// Look implements push.Source: one read per partition concerned, all at once.
func (s *source) Look(ctx context.Context, keys []push.Key) ([]push.Look, error) {
	of := map[int][]int{}
	for i, k := range keys {
		p := s.partition(k.Namespace, k.Name)
		of[p] = append(of[p], i)
	}
	out := make([]push.Look, len(keys))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(8)
	for p, at := range of {
		g.Go(func() error {
			asked := make([]push.Key, len(at))
			for i, j := range at {
				asked[i] = keys[j]
			}
			f, values, err := s.views.load(ctx, p, asked)
			if err != nil {
				return fmt.Errorf("api: look p%02d: %w", p, err)
			}
			f = s.known(f)
			s.see(p, f)
			for i, j := range at {
				out[j].Position = f.position()
				if i < len(values) && len(values[i]) > 0 {
					h, err := diagnostics.ParseHeader(values[i])
					if err != nil {
						return fmt.Errorf("api: look p%02d: %w", p, err)
					}
					out[j].Seq = h.Revision
				}
			}
			return nil
		})
	}
	return out, g.Wait()
}

// pushed takes in a view that was heard of, with the fence of the commit that wrote it.
func (s *Service) pushed(k push.Key, p int, f *fence, value []byte) {
	s.source.see(p, f)
	frame, err := newFrame(value, f, s.policies, s.source.present)
	if err != nil {
		s.log.Error("api: a pushed view can't be read", "partition", p, "error", err)
		return
	}
	s.hub.Publish(k, frame)
}
