package viewstore

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
)

// Handler takes what a subscription delivers, one call at a time. Pub/sub is a hint: after Reconnected
// anything may have been missed.
type Handler struct {
	View        func(Key, int, Fence, []byte) // key, partition, record of the commit, stored value (of a large view only its header)
	Row         func(namespace string, partition int, row []byte)
	Namespace   func(namespace string, partition int) // it has its first view in that partition; may be nil
	Reconnected func()
}

// Subscription delivers pushes until its context ends. Its methods are safe for concurrent use.
type Subscription struct {
	s     *Store
	ps    *redis.PubSub
	quiet time.Duration // after which the connection is asked whether it lives
	lost  atomic.Bool   // something may have been missed, not yet said

	mu       sync.Mutex
	running  bool // Run receives
	mute     bool // a confirmation didn't come, and nothing else since
	awaiting map[string][]*confirmation
}

// confirmation is what one call waits for.
type confirmation struct {
	left int // channels
	done chan struct{}
}

// Subscribe opens a subscription to nothing yet. Run delivers.
func (s *Store) Subscribe(ctx context.Context) *Subscription {
	return &Subscription{s: s, ps: s.rdb.Subscribe(ctx), quiet: quietPing, awaiting: map[string][]*confirmation{}}
}

// Add subscribes to a view. While Run receives, it returns when Redis has confirmed it, so that what is read then and
// what is pushed from then on leave no gap; after confirmWithin it returns all the same, as a push is a hint. It must
// not be called by a Handler, which would keep Run from receiving.
func (sub *Subscription) Add(ctx context.Context, p int, k Key) error {
	return sub.add(ctx, sub.s.base(p)+"push:"+k.member())
}

// Remove ends the subscription to a view.
func (sub *Subscription) Remove(ctx context.Context, p int, k Key) error {
	return sub.told(sub.ps.Unsubscribe(ctx, sub.s.base(p)+"push:"+k.member()))
}

// AddNamespace subscribes to the list rows of a namespace, and returns as Add does.
func (sub *Subscription) AddNamespace(ctx context.Context, ns string) error {
	return sub.add(ctx, sub.rowChannels(ns)...)
}

func (sub *Subscription) add(ctx context.Context, channels ...string) error {
	c := sub.expect(channels)
	if err := sub.told(sub.ps.Subscribe(ctx, channels...)); err != nil || c == nil {
		sub.forget(c, channels)
		return err
	}
	limit := time.NewTimer(confirmWithin)
	defer limit.Stop()
	select {
	case <-c.done:
		return nil
	case <-ctx.Done():
		sub.forget(c, channels)
		return ctx.Err()
	case <-limit.C:
		sub.forget(c, channels)
		sub.mu.Lock()
		defer sub.mu.Unlock()
		sub.mute = true // who comes next doesn't wait as long again
		return nil
	}
}

// expect is nil where there is nothing to wait for: nobody receives, or nothing comes.
func (sub *Subscription) expect(channels []string) *confirmation {
	sub.mu.Lock()
	defer sub.mu.Unlock()
	if !sub.running || sub.mute {
		return nil
	}
	c := &confirmation{left: len(channels), done: make(chan struct{})}
	for _, name := range channels {
		sub.awaiting[name] = append(sub.awaiting[name], c)
	}
	return c
}

func (sub *Subscription) forget(c *confirmation, channels []string) {
	if c == nil {
		return
	}
	sub.mu.Lock()
	defer sub.mu.Unlock()
	for _, name := range channels {
		rest := slices.DeleteFunc(sub.awaiting[name], func(x *confirmation) bool { return x == c })
		if sub.awaiting[name] = rest; len(rest) == 0 {
			delete(sub.awaiting, name)
		}
	}
}

// received notes that something came, and whom it lets go on.
func (sub *Subscription) received(m any) {
	sub.mu.Lock()
	defer sub.mu.Unlock()
	sub.mute = false
	confirmed, ok := m.(*redis.Subscription)
	if !ok || confirmed.Kind != "subscribe" {
		return
	}
	for _, c := range sub.awaiting[confirmed.Channel] {
		if c.left--; c.left == 0 {
			close(c.done)
		}
	}
	delete(sub.awaiting, confirmed.Channel)
}

// receiving says whether Run receives; when it ends, nobody waits any longer.
func (sub *Subscription) receiving(on bool) {
	sub.mu.Lock()
	defer sub.mu.Unlock()
	sub.running = on
	for name, all := range sub.awaiting {
		for _, c := range all {
			if c.left > 0 {
				c.left = 0
				close(c.done)
			}
		}
		delete(sub.awaiting, name)
	}
}

// AddNamespaces subscribes to the first row of every new namespace, and returns as Add does.
func (sub *Subscription) AddNamespaces(ctx context.Context) error {
	return sub.add(ctx, sub.channels("nspush")...)
}

// RemoveNamespace ends the subscription to the list rows of a namespace.
func (sub *Subscription) RemoveNamespace(ctx context.Context, ns string) error {
	return sub.told(sub.ps.Unsubscribe(ctx, sub.rowChannels(ns)...))
}

// told notes that the client could not write: it then connects anew by itself, and nothing that is received
// shows it.
func (sub *Subscription) told(err error) error {
	if err != nil {
		sub.lost.Store(true)
	}
	return err
}

func (sub *Subscription) rowChannels(ns string) []string { return sub.channels("rowpush:" + ns) }

// channels of that name, one for each partition.
func (sub *Subscription) channels(name string) []string {
	out := make([]string, sub.s.partitions)
	for p := range out {
		out[p] = sub.s.base(p) + name
	}
	return out
}

// Close ends the subscription.
func (sub *Subscription) Close() error { return sub.ps.Close() }

const (
	quietPing    = 15 * time.Second
	reconnectGap = 200 * time.Millisecond

	confirmWithin = time.Second
)

// Run delivers until ctx ends. A lost connection is made again, with all subscriptions; so is one that stays
// silent when asked, which a network that went away leaves behind.
func (sub *Subscription) Run(ctx context.Context, h Handler) error {
	stop := context.AfterFunc(ctx, func() { _ = sub.ps.Close() })
	defer stop()
	sub.receiving(true)
	defer sub.receiving(false)
	asked := false
	for {
		m, err := sub.receive(ctx, asked)
		var timeout net.Error
		switch {
		case ctx.Err() != nil:
			_ = sub.ps.Close() // the one begun above may be still under way; who adds from now on is told
			return ctx.Err()
		case !asked && errors.As(err, &timeout) && timeout.Timeout():
			asked = sub.told(sub.ps.Ping(ctx)) == nil
			continue
		case errors.Is(err, redis.ErrClosed):
			return fmt.Errorf("viewstore: subscription: %w", err)
		case err != nil:
			sub.lost.Store(true)
			asked = false
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(reconnectGap):
			}
			continue
		}
		asked = false
		sub.received(m)
		if sub.lost.Swap(false) {
			h.Reconnected()
		}
		if m, ok := m.(*redis.Message); ok {
			sub.deliver(m, h)
		}
	}
}

// receive waits for as long as a connection may be quiet. Once asked, it has that long to answer: an end
// of the context, unlike a timeout, makes the client give the connection up.
func (sub *Subscription) receive(ctx context.Context, asked bool) (any, error) {
	if !asked {
		return sub.ps.ReceiveTimeout(ctx, sub.quiet)
	}
	ctx, cancel := context.WithTimeout(ctx, max(sub.quiet/3, time.Second))
	defer cancel()
	return sub.ps.Receive(ctx)
}

func (sub *Subscription) deliver(m *redis.Message, h Handler) {
	rest, ok := strings.CutPrefix(m.Channel, "hw:{p")
	if !ok {
		return
	}
	number, rest, _ := strings.Cut(rest, "}:")
	p, err := strconv.Atoi(number)
	if err != nil {
		return
	}
	_, rest, _ = strings.Cut(rest, ":")
	kind, rest, _ := strings.Cut(rest, ":")
	switch kind {
	case "rowpush":
		h.Row(rest, p, []byte(m.Payload))
	case "nspush":
		if h.Namespace != nil {
			h.Namespace(m.Payload, p)
		}
	case "push":
		record, value, _ := strings.Cut(m.Payload, "\n")
		if f, err := ParseFence(record); err == nil {
			h.View(parseMember(rest), p, f, []byte(value))
		}
	}
}
