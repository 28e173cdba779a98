package api

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/headwayhq/headway/pkg/push"
	"github.com/headwayhq/headway/pkg/viewstore"
)

// loadAtOnce bounds how many views one read asks for, so that no answer holds the store for long.
const loadAtOnce = 256

// storeViews reads from the view store of the present stream identity.
type storeViews struct {
	store atomic.Pointer[viewstore.Store]
}

func newStoreViews(s *viewstore.Store) *storeViews {
	v := &storeViews{}
	v.store.Store(s)
	return v
}

func (v *storeViews) identity() (string, int) {
	s := v.store.Load()
	return s.Identity(), s.Fold()
}

func toFence(f *viewstore.Fence) *fence {
	if f == nil {
		return nil
	}
	return &fence{
		identity: f.Identity, fold: f.Fold, cursor: f.Cursor, watermark: time.Unix(0, f.Watermark).UTC(),
		asOf: f.AsOf(), complete: f.Complete,
	}
}

func (v *storeViews) load(ctx context.Context, p int, keys []push.Key) (first *fence, values [][]byte, err error) {
	store, missing := v.store.Load(), false
	for len(keys) > 0 {
		n := min(len(keys), loadAtOnce)
		asked := make([]viewstore.Key, n)
		for i, k := range keys[:n] {
			asked[i] = viewstore.Key{Namespace: k.Namespace, Batch: k.Name}
		}
		f, got, err := store.Load(ctx, p, nil, asked)
		if err != nil {
			return nil, nil, err
		}
		if first == nil { // the earliest: what is told of the rest is then at least as new
			first = toFence(f)
		}
		for _, v := range got {
			values = append(values, v.Bytes)
			missing = missing || v.Missing
		}
		keys = keys[n:]
	}
	if missing && first != nil { // one is being rebuilt: it isn't absent
		first.complete = false
	}
	return first, values, nil
}

func (v *storeViews) fences(ctx context.Context) ([]*fence, error) {
	all, err := v.store.Load().Fences(ctx)
	if err != nil {
		return nil, err
	}
	out := make([]*fence, len(all))
	for i, f := range all {
		out[i] = toFence(f)
	}
	return out, nil
}

func (v *storeViews) rows(ctx context.Context, ns string) ([][]byte, error) {
	return v.store.Load().Rows(ctx, ns)
}

func (v *storeViews) rowsSince(ctx context.Context, ns string, p int, revision uint64) ([][]byte, error) {
	return v.store.Load().RowsSince(ctx, ns, p, revision)
}
