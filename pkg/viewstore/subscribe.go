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

// Handler gets what a subscription delivers, one call at a time. Pub/sub is only a hint: after Reconnected,
// anything may have been missed.
type Handler struct {
	View        func(Key, int, Fence, []byte) // key, partition, fence of the commit, stored value (for a large view only its header)
	Row         func(namespace string, partition int, row []byte)
	Namespace   func(namespace string, partition int) // the partition has the first row of a namespace; may be nil
	Reconnected func()
}

// Subscription delivers pushes until its context ends. Its methods are safe for concurrent use. Add and Remove
// only record what is wanted. Run sends everything recorded meanwhile to Redis in one command, so that any number of
// callers waits for one round trip.
type Subscription struct {
	s     *Store
	ps    *redis.PubSub
	quiet time.Duration // after which a ping checks the connection
	lost  atomic.Bool   // something may have been missed, and the handler doesn't know yet
	wake  chan struct{} // there is something to send

	mu       sync.Mutex
	running  bool // Run is receiving
	ended    bool // Run has returned
	mute     bool // the server never confirmed within the timeout, and has sent nothing else since
	channels map[string]*channel
	noted    []string // channels that may have to be subscribed to or unsubscribed from
	awaiting map[string][]*confirmation
}

// channel is what is known of one channel.
type channel struct {
	partition int
	suffix    string // the name without the store's prefix
	wanted    bool
	told      bool
	confirmed bool
}

// confirmation is what one call waits for.
type confirmation struct {
	left int // channels
	done chan struct{}
}

// Subscribe opens a subscription to nothing yet. Run delivers.
func (s *Store) Subscribe(ctx context.Context) *Subscription {
	return &Subscription{
		s: s, ps: s.rdb.Subscribe(ctx), quiet: quietPing, wake: make(chan struct{}, 1),
		channels: map[string]*channel{}, awaiting: map[string][]*confirmation{},
	}
}

// Over opens a subscription of another store to the same channels as sub.
func (sub *Subscription) Over(ctx context.Context, s *Store) *Subscription {
	next := s.Subscribe(ctx)
	sub.mu.Lock()
	defer sub.mu.Unlock()
	for _, c := range sub.channels {
		if c.wanted {
			next.want(channel{partition: c.partition, suffix: c.suffix})
		}
	}
	return next
}

// Add subscribes to a view. While Run is receiving, Add returns when Redis has confirmed the subscription, so that there is no gap between
// a read after that and the pushes. After confirmWithin it returns in any case, because a push is only a hint. A Handler must
// not call it, since that would keep Run from receiving.
func (sub *Subscription) Add(ctx context.Context, p int, k Key) error {
	return sub.add(ctx, channel{partition: p, suffix: "push:" + k.member()})
}

// AddNamespace subscribes to the list rows of a namespace, and returns as Add does.
func (sub *Subscription) AddNamespace(ctx context.Context, ns string) error {
	return sub.add(ctx, sub.everywhere("rowpush:"+ns)...)
}

// AddNamespaces subscribes to the first row of each namespace in each partition, and returns as Add does.
func (sub *Subscription) AddNamespaces(ctx context.Context) error {
	return sub.add(ctx, sub.everywhere("nspush")...)
}

// Remove ends the subscription to a view. It doesn't wait.
func (sub *Subscription) Remove(p int, k Key) {
	sub.remove(channel{partition: p, suffix: "push:" + k.member()})
}

// RemoveNamespace ends the subscription to the list rows of a namespace. It doesn't wait.
func (sub *Subscription) RemoveNamespace(ns string) { sub.remove(sub.everywhere("rowpush:" + ns)...) }

// everywhere is a channel of each partition.
func (sub *Subscription) everywhere(suffix string) []channel {
	out := make([]channel, sub.s.partitions)
	for p := range out {
		out[p] = channel{partition: p, suffix: suffix}
	}
	return out
}

func (sub *Subscription) add(ctx context.Context, channels ...channel) error {
	c, names, err := sub.expect(channels)
	if err != nil || c == nil {
		return err
	}
	limit := time.NewTimer(confirmWithin)
	defer limit.Stop()
	select {
	case <-c.done:
		return nil
	case <-ctx.Done():
		sub.forget(c, names)
		return ctx.Err()
	case <-limit.C:
		sub.forget(c, names)
		sub.mu.Lock()
		defer sub.mu.Unlock()
		sub.mute = true // the next caller doesn't wait that long again
		return nil
	}
}

// expect records what is wanted. The confirmation is nil if there is nothing to wait for: Run isn't receiving,
// the server doesn't confirm, or everything is confirmed already.
func (sub *Subscription) expect(channels []channel) (*confirmation, []string, error) {
	sub.mu.Lock()
	defer sub.mu.Unlock()
	if sub.ended {
		return nil, nil, fmt.Errorf("viewstore: subscription: %w", redis.ErrClosed)
	}
	var names []string
	for _, c := range channels {
		if name, confirmed := sub.want(c); !confirmed {
			names = append(names, name)
		}
	}
	if !sub.running || sub.mute || len(names) == 0 {
		return nil, nil, nil
	}
	c := &confirmation{left: len(names), done: make(chan struct{})}
	for _, name := range names {
		sub.awaiting[name] = append(sub.awaiting[name], c)
	}
	return c, names, nil
}

// want must be called with mu held, or before the subscription is shared.
func (sub *Subscription) want(c channel) (name string, confirmed bool) {
	name = sub.s.base(c.partition) + c.suffix
	held := sub.channels[name]
	if held == nil {
		held = &c
		sub.channels[name] = held
	}
	held.wanted = true
	if !held.told {
		sub.note(name)
	}
	return name, held.confirmed
}

func (sub *Subscription) remove(channels ...channel) {
	sub.mu.Lock()
	defer sub.mu.Unlock()
	for _, c := range channels {
		name := sub.s.base(c.partition) + c.suffix
		if held := sub.channels[name]; held != nil {
			held.wanted = false
			sub.note(name)
		}
	}
}

func (sub *Subscription) note(name string) {
	sub.noted = append(sub.noted, name)
	select {
	case sub.wake <- struct{}{}:
	default:
	}
}

// tellAtOnce limits the channels of one command.
const tellAtOnce = 4096

// tell sends to Redis what has been recorded, until ctx ends. What it can't write, the client sends again on its next
// connection.
func (sub *Subscription) tell(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-sub.wake:
		}
		on, off := sub.untold()
		for names := range slices.Chunk(on, tellAtOnce) {
			_ = sub.told(sub.ps.Subscribe(ctx, names...))
		}
		for names := range slices.Chunk(off, tellAtOnce) {
			_ = sub.told(sub.ps.Unsubscribe(ctx, names...))
		}
	}
}

func (sub *Subscription) untold() (on, off []string) {
	sub.mu.Lock()
	defer sub.mu.Unlock()
	for _, name := range sub.noted {
		c := sub.channels[name]
		switch {
		case c == nil:
		case c.wanted && !c.told:
			c.told = true
			on = append(on, name)
		case !c.wanted:
			delete(sub.channels, name)
			if c.told {
				off = append(off, name)
			}
		}
	}
	sub.noted = nil
	return on, off
}

func (sub *Subscription) forget(c *confirmation, channels []string) {
	sub.mu.Lock()
	defer sub.mu.Unlock()
	for _, name := range channels {
		rest := slices.DeleteFunc(sub.awaiting[name], func(x *confirmation) bool { return x == c })
		if sub.awaiting[name] = rest; len(rest) == 0 {
			delete(sub.awaiting, name)
		}
	}
}

// received records that something arrived, and wakes the callers that it confirms.
func (sub *Subscription) received(m any) {
	sub.mu.Lock()
	defer sub.mu.Unlock()
	sub.mute = false
	confirmed, ok := m.(*redis.Subscription)
	if !ok || confirmed.Kind != "subscribe" {
		return
	}
	if c := sub.channels[confirmed.Channel]; c != nil {
		c.confirmed = c.told
	}
	for _, c := range sub.awaiting[confirmed.Channel] {
		if c.left--; c.left == 0 {
			close(c.done)
		}
	}
	delete(sub.awaiting, confirmed.Channel)
}

// receiving records whether Run is receiving. When it ends, nobody waits any longer.
func (sub *Subscription) receiving(on bool) {
	sub.mu.Lock()
	defer sub.mu.Unlock()
	sub.running, sub.ended = on, !on
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

// told records that the client could not write. The client then reconnects by itself, without passing on anything that shows it.
func (sub *Subscription) told(err error) error {
	if err != nil {
		sub.lost.Store(true)
	}
	return err
}

// Close ends the subscription.
func (sub *Subscription) Close() error { return sub.ps.Close() }

const (
	quietPing    = 15 * time.Second
	reconnectGap = 200 * time.Millisecond

	confirmWithin = time.Second
)

// Run delivers until ctx ends. A lost connection is reopened, with all subscriptions. So is one that doesn't answer
// a ping, as after a network failure.
func (sub *Subscription) Run(ctx context.Context, h Handler) error {
	stop := context.AfterFunc(ctx, func() { _ = sub.ps.Close() })
	defer stop()
	sub.receiving(true)
	defer sub.receiving(false)
	var telling sync.WaitGroup
	defer telling.Wait()
	running, end := context.WithCancel(ctx)
	defer end()
	telling.Go(func() { sub.tell(running) })
	asked := false
	for {
		m, err := sub.receive(ctx, asked)
		var timeout net.Error
		switch {
		case ctx.Err() != nil:
			_ = sub.ps.Close() // the command begun above may still be in progress; Run reports the error to later callers of Add
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

// receive waits for as long as a connection may be quiet. After a ping, the server has that long to answer. An end
// of the context, unlike a timeout, makes the client close the connection.
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
	case "nspush":
		if h.Namespace != nil {
			h.Namespace(m.Payload, p)
		}
	case "rowpush":
		h.Row(rest, p, []byte(m.Payload))
	case "push":
		record, value, _ := strings.Cut(m.Payload, "\n")
		if f, err := ParseFence(record); err == nil {
			h.View(parseMember(rest), p, f, []byte(value))
		}
	}
}
