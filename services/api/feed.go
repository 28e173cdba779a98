package api

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/headwayhq/headway/pkg/diagnostics"
	"github.com/headwayhq/headway/pkg/push"
	"github.com/headwayhq/headway/pkg/viewstore"
)

const (
	identityEvery = 2 * time.Second
	feedRetry     = 500 * time.Millisecond
	unwatchWithin = 2 * time.Second
)

// storeFeed hands what the view store pushes to the hub and the lists. What is wanted is kept here, so
// that a subscription that broke, or belongs to a stream that is no more, is made anew.
type storeFeed struct {
	svc       *Service
	views     *storeViews
	partition func(ns, batch string) int
	present   func(context.Context) (string, error) // identity; nil: it doesn't change
	stale     *staleSet

	order sync.Mutex // orders what is said to the subscription
	sub   *viewstore.Subscription

	mu    sync.Mutex
	keys  map[push.Key]struct{}
	names map[string]struct{}
	drop  []func() // unwatched, not yet told
	wake  chan struct{}
}

func newStoreFeed(s *Service, v *storeViews, partition func(ns, batch string) int, present func(context.Context) (string, error)) *storeFeed {
	return &storeFeed{
		svc: s, views: v, partition: partition, present: present, stale: newStaleSet(),
		sub:  v.store.Load().Subscribe(context.Background()),
		keys: map[push.Key]struct{}{}, names: map[string]struct{}{}, wake: make(chan struct{}, 1),
	}
}

func storeKey(k push.Key) viewstore.Key { return viewstore.Key{Namespace: k.Namespace, Batch: k.Name} }

func (f *storeFeed) watch(ctx context.Context, k push.Key) error {
	f.order.Lock()
	defer f.order.Unlock()
	f.mu.Lock()
	f.keys[k] = struct{}{}
	f.mu.Unlock()
	return f.sub.Add(ctx, f.partition(k.Namespace, k.Name), storeKey(k))
}

func (f *storeFeed) watchRows(ctx context.Context, ns string) error {
	f.order.Lock()
	defer f.order.Unlock()
	f.mu.Lock()
	f.names[ns] = struct{}{}
	f.mu.Unlock()
	return f.sub.AddNamespace(ctx, ns)
}

// unwatch only notes it: it is called under locks that must not wait for the store.
func (f *storeFeed) unwatch(k push.Key) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.keys, k)
	f.later(func() {
		if _, again := f.keys[k]; !again {
			f.remove(func(ctx context.Context) error {
				return f.sub.Remove(ctx, f.partition(k.Namespace, k.Name), storeKey(k))
			})
		}
	})
}

func (f *storeFeed) unwatchRows(ns string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.names, ns)
	f.later(func() {
		if _, again := f.names[ns]; !again {
			f.remove(func(ctx context.Context) error { return f.sub.RemoveNamespace(ctx, ns) })
		}
	})
}

func (f *storeFeed) later(do func()) {
	f.drop = append(f.drop, do)
	select {
	case f.wake <- struct{}{}:
	default:
	}
}

// remove is called with mu and order held; mu is given back while the store is told.
func (f *storeFeed) remove(tell func(context.Context) error) {
	f.mu.Unlock()
	defer f.mu.Lock()
	ctx, cancel := context.WithTimeout(context.Background(), unwatchWithin)
	defer cancel()
	_ = tell(ctx) // a push that nobody wants is ignored
}

func (f *storeFeed) unwatching(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-f.wake:
		}
		for f.unwatchOne() {
		}
	}
}

func (f *storeFeed) unwatchOne() bool {
	f.order.Lock()
	defer f.order.Unlock()
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.drop) == 0 {
		return false
	}
	do := f.drop[0]
	f.drop = f.drop[1:]
	do()
	return true
}

// run delivers until ctx ends.
func (f *storeFeed) run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return f.stale.run(ctx, f.svc.hub) })
	g.Go(func() error { return f.unwatching(ctx) })
	g.Go(func() error { return f.deliver(ctx) })
	return g.Wait()
}

// deliver runs one subscription after the other.
func (f *storeFeed) deliver(ctx context.Context) error {
	for {
		f.order.Lock()
		sub := f.sub
		f.order.Unlock()
		err := f.deliverFrom(ctx, sub)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			f.svc.log.Warn("api: the subscription to views ended", "error", err)
			select {
			case <-ctx.Done():
				return nil
			case <-time.After(feedRetry):
			}
		}
		f.renew(ctx)
	}
}

// deliverFrom returns nil when the stream's identity has changed.
func (f *storeFeed) deliverFrom(ctx context.Context, sub *viewstore.Subscription) error {
	running, stop := context.WithCancel(ctx)
	defer stop()
	changed := make(chan struct{})
	go func() {
		defer close(changed)
		f.followIdentity(running)
		stop()
	}()
	err := sub.Run(running, f.handler())
	ended := running.Err() != nil
	stop()
	<-changed
	if ended {
		return nil
	}
	return err
}

// followIdentity returns when the log has another identity than the store that is read, or ctx ends.
func (f *storeFeed) followIdentity(ctx context.Context) {
	if f.present == nil {
		<-ctx.Done()
		return
	}
	tick := time.NewTicker(identityEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		limited, cancel := context.WithTimeout(ctx, identityEvery)
		id, err := f.present(limited)
		cancel()
		if store := f.views.store.Load(); err == nil && id != store.Identity() {
			f.svc.log.Warn("api: the log is another one; its views are read from now on", "identity", id)
			f.views.store.Store(store.WithIdentity(id))
			return
		}
	}
}

// renew makes the subscription anew, with all that is wanted, and has everything compared.
func (f *storeFeed) renew(ctx context.Context) {
	store := f.views.store.Load()
	f.order.Lock()
	f.sub = store.Subscribe(context.WithoutCancel(ctx))
	f.mu.Lock()
	keys, names := slices.Collect(maps.Keys(f.keys)), slices.Collect(maps.Keys(f.names))
	f.mu.Unlock()
	for _, k := range keys {
		_ = f.sub.Add(ctx, f.partition(k.Namespace, k.Name), storeKey(k)) // made good when it connects again
	}
	for _, ns := range names {
		_ = f.sub.AddNamespace(ctx, ns)
	}
	f.order.Unlock()
	f.svc.hub.Repair()
	f.svc.lists.renew(ctx)
}

func (f *storeFeed) handler() viewstore.Handler {
	return viewstore.Handler{
		View: func(key viewstore.Key, p int, record viewstore.Fence, value []byte) {
			if id, _ := f.views.identity(); id != record.Identity {
				return
			}
			k := push.Key{Namespace: key.Namespace, Name: key.Batch}
			if len(value) <= diagnostics.HeaderSize {
				f.svc.source.see(p, toFence(&record))
				f.stale.add(k)
				return
			}
			f.svc.pushed(k, p, toFence(&record), value)
		},
		Row: func(ns string, _ int, row []byte) {
			if err := f.svc.lists.changed(ns, row); err != nil {
				f.svc.log.Error("api: a pushed row can't be read", "error", err)
			}
		},
		Reconnected: func() {
			f.svc.hub.Repair()
			f.svc.lists.repairSoon()
		},
	}
}
