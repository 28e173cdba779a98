package viewstore

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// Handler takes what a subscription delivers, one call at a time. Pub/sub is a hint: after Reconnected
// anything may have been missed.
type Handler struct {
	View        func(Key, int, Fence, []byte) // key, partition, record of the commit, stored value (of a large view only its header)
	Row         func(namespace string, partition int, row []byte)
	Reconnected func()
}

// Subscription delivers pushes until its context ends. Its methods are safe for concurrent use.
type Subscription struct {
	s  *Store
	ps *redis.PubSub
}

// Subscribe opens a subscription to nothing yet. Run delivers.
func (s *Store) Subscribe(ctx context.Context) *Subscription {
	return &Subscription{s, s.rdb.Subscribe(ctx)}
}

// Add subscribes to a view.
func (sub *Subscription) Add(ctx context.Context, p int, k Key) error {
	return sub.ps.Subscribe(ctx, sub.s.base(p)+"push:"+k.member())
}

// Remove ends the subscription to a view.
func (sub *Subscription) Remove(ctx context.Context, p int, k Key) error {
	return sub.ps.Unsubscribe(ctx, sub.s.base(p)+"push:"+k.member())
}

// AddNamespace subscribes to the list rows of a namespace.
func (sub *Subscription) AddNamespace(ctx context.Context, ns string) error {
	return sub.ps.Subscribe(ctx, sub.rowChannels(ns)...)
}

// RemoveNamespace ends the subscription to the list rows of a namespace.
func (sub *Subscription) RemoveNamespace(ctx context.Context, ns string) error {
	return sub.ps.Unsubscribe(ctx, sub.rowChannels(ns)...)
}

func (sub *Subscription) rowChannels(ns string) []string {
	out := make([]string, sub.s.partitions)
	for p := range out {
		out[p] = sub.s.base(p) + "rowpush:" + ns
	}
	return out
}

// Close ends the subscription.
func (sub *Subscription) Close() error { return sub.ps.Close() }

const (
	quietPing    = 15 * time.Second
	reconnectGap = 200 * time.Millisecond
)

// Run delivers until ctx ends. A lost connection is made again, with all subscriptions.
func (sub *Subscription) Run(ctx context.Context, h Handler) error {
	stop := context.AfterFunc(ctx, func() { _ = sub.ps.Close() })
	defer stop()
	lost := false
	for {
		m, err := sub.ps.ReceiveTimeout(ctx, quietPing)
		var timeout net.Error
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.As(err, &timeout) && timeout.Timeout():
			_ = sub.ps.Ping(ctx) // an error shows at the next receive
			continue
		case err != nil:
			if errors.Is(err, redis.ErrClosed) {
				return fmt.Errorf("viewstore: subscription: %w", err)
			}
			lost = true
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(reconnectGap):
			}
			continue
		}
		if lost {
			lost = false
			h.Reconnected()
		}
		if m, ok := m.(*redis.Message); ok {
			sub.deliver(m, h)
		}
	}
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
	case "push":
		record, value, _ := strings.Cut(m.Payload, "\n")
		if f, err := ParseFence(record); err == nil {
			h.View(parseMember(rest), p, f, []byte(value))
		}
	}
}
