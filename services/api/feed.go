package api

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/headwayhq/headway/pkg/diagnostics"
	"github.com/headwayhq/headway/pkg/push"
	"github.com/headwayhq/headway/pkg/viewstore"
)

const (
	identityEvery = 2 * time.Second
	feedRetry     = 500 * time.Millisecond
)

// storeFeed receives what the view store pushes. A subscription that ended, or that belongs to a deleted log, is
// replaced with one to the same channels.
type storeFeed struct {
	views     *storeViews
	partition func(ns, batch string) int
	present   func(context.Context) (string, error) // identity; nil: it doesn't change
	log       *slog.Logger
	sub       atomic.Pointer[viewstore.Subscription]
}

func newStoreFeed(v *storeViews, partition func(ns, batch string) int, present func(context.Context) (string, error), log *slog.Logger) *storeFeed {
	f := &storeFeed{views: v, partition: partition, present: present, log: log}
	f.sub.Store(v.store.Load().Subscribe(context.Background()))
	return f
}

func storeKey(k push.Key) viewstore.Key { return viewstore.Key{Namespace: k.Namespace, Batch: k.Name} }

func (f *storeFeed) watch(ctx context.Context, k push.Key) error {
	return f.add(func(sub *viewstore.Subscription) error {
		return sub.Add(ctx, f.partition(k.Namespace, k.Name), storeKey(k))
	})
}

func (f *storeFeed) watchRows(ctx context.Context, ns string) error {
	return f.add(func(sub *viewstore.Subscription) error { return sub.AddNamespace(ctx, ns) })
}

func (f *storeFeed) unwatch(k push.Key) {
	f.remove(func(sub *viewstore.Subscription) { sub.Remove(f.partition(k.Namespace, k.Name), storeKey(k)) })
}

func (f *storeFeed) unwatchRows(ns string) {
	f.remove(func(sub *viewstore.Subscription) { sub.RemoveNamespace(ns) })
}

// add repeats to if the subscription was replaced meanwhile, because the new one may have been created from the old one
// before the addition.
func (f *storeFeed) add(to func(*viewstore.Subscription) error) error {
	for {
		sub := f.sub.Load()
		err := to(sub)
		if f.sub.Load() == sub {
			return err
		}
	}
}

func (f *storeFeed) remove(from func(*viewstore.Subscription)) {
	for {
		sub := f.sub.Load()
		from(sub)
		if f.sub.Load() == sub {
			return
		}
	}
}

// run runs one subscription after the other until ctx ends.
func (f *storeFeed) run(ctx context.Context, to hearer) error {
	if err := f.add(func(sub *viewstore.Subscription) error { return sub.AddNamespaces(ctx) }); err != nil {
		return err
	}
	for {
		err := f.deliver(ctx, f.sub.Load(), to)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			f.log.Warn("subscription to views ended", "error", err)
			select {
			case <-ctx.Done():
				return nil
			case <-time.After(feedRetry):
			}
		}
		f.sub.Store(f.sub.Load().Over(context.WithoutCancel(ctx), f.views.store.Load()))
		to.missed()
	}
}

// deliver returns nil when other views have to be read from now on.
func (f *storeFeed) deliver(ctx context.Context, sub *viewstore.Subscription, to hearer) error {
	running, stop := context.WithCancel(ctx)
	defer stop()
	changed := make(chan struct{})
	go func() {
		defer close(changed)
		f.follow(running)
		stop()
	}()
	err := sub.Run(running, f.handler(to))
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
			f.log.Warn("event log recreated, reading the views of the new one", "identity", id)
			f.views.store.Store(store.WithIdentity(id))
			return
		}
	}
}

func (f *storeFeed) handler(to hearer) viewstore.Handler {
	return viewstore.Handler{
		View: func(key viewstore.Key, p int, record viewstore.Fence, value []byte) {
			if id, fold := f.views.identity(); id != record.Identity || fold != record.Fold {
				return
			}
			f.views.saw(p, record.Cursor)
			if len(value) <= diagnostics.HeaderSize {
				value = nil
			}
			to.heardView(push.Key{Namespace: key.Namespace, Name: key.Batch}, p, toFence(&record), value)
		},
		Row:         func(ns string, _ int, row []byte) { to.heardRow(ns, row) },
		Namespace:   func(ns string, _ int) { to.heardNamespace(ns) },
		Reconnected: func() { to.missed() },
	}
}
