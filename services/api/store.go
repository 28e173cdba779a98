package api

import (
	"context"
	"slices"
	"sync/atomic"
	"time"

	"github.com/headwayhq/headway/pkg/viewstore"
)

// loadAtOnce limits the number of views in one read, so that no answer blocks the store for long.
const loadAtOnce = 256

// storeViews reads from the view store of the present stream identity.
type storeViews struct {
	store atomic.Pointer[viewstore.Store]
	versions
}

func newStoreViews(s *viewstore.Store, folds ...int) *storeViews {
	v := &storeViews{versions: newVersions(s, folds)}
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
	out := &fence{
		identity: f.Identity, fold: f.Fold, cursor: f.Cursor, watermark: time.Unix(0, f.Watermark).UTC(),
		asOf: f.AsOf(), complete: f.Complete,
	}
	if f.GoneBefore != 0 {
		out.goneBefore = time.Unix(0, f.GoneBefore).UTC()
	}
	return out
}

func toStored(v viewstore.Value) stored {
	switch {
	case v.Missing:
		return stored{held: missing}
	case len(v.Bytes) == 0:
		return stored{held: absent}
	}
	return stored{held: present, value: v.Bytes}
}

func loadFrom(ctx context.Context, store *viewstore.Store, asks []ask) []loaded {
	var parts []viewstore.Ask
	var of []int // the ask to which each part belongs
	for i, a := range asks {
		for keys := range slices.Chunk(a.keys, loadAtOnce) {
			part := viewstore.Ask{Partition: a.partition, Keys: make([]viewstore.Key, len(keys))}
			for j, k := range keys {
				part.Keys[j] = storeKey(k)
			}
			parts, of = append(parts, part), append(of, i)
		}
	}
	out := make([]loaded, len(asks))
	for n, got := range store.LoadMany(ctx, parts) {
		to := &out[of[n]]
		if to.views == nil { // keep the fence of the first part: the others are at least as new
			to.fence = toFence(got.Fence)
		}
		if got.Err != nil {
			to.err = got.Err
			continue
		}
		for _, value := range got.Values {
			to.views = append(to.views, toStored(value))
		}
	}
	return out
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

func (v *storeViews) namespaces(ctx context.Context, counts []int64) ([]string, error) {
	store := v.store.Load()
	now, err := store.NamespaceCounts(ctx)
	if err != nil {
		return nil, err
	}
	var grown []int
	for p, n := range now {
		if n != counts[p] {
			grown = append(grown, p)
		}
	}
	if len(grown) == 0 {
		return nil, nil
	}
	names, err := store.Namespaces(ctx, grown)
	if err != nil {
		return nil, err
	}
	for i, p := range grown {
		counts[p] = int64(len(names[i]))
	}
	return slices.Concat(names...), nil
}
