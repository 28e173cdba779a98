package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/redis/go-redis/v9"
)

const wideUpdates = 200

// benchWide measures the processor time of one update of a batch with many tiers, in the worker and Redis. All tiers are being processed,
// which is the dearest case. The worker's part includes publishing the event and waiting for its commit.
func benchWide(ctx context.Context, s *servers) error {
	for _, x := range []struct {
		tiers  int
		target time.Duration
	}{{100, 400 * time.Microsecond}, {1_000, 600 * time.Microsecond}, {10_000, 2_500 * time.Microsecond}} {
		if err := s.reset(ctx); err != nil {
			return err
		}
		used, err := s.wide(ctx, x.tiers)
		if err != nil {
			return err
		}
		per := func(d time.Duration) time.Duration { return (d / wideUpdates).Round(time.Microsecond) }
		fmt.Printf("\nwide: one update of a batch of %d tiers, of %d: %v of processor time (worker %v, Redis %v; target ≤ %v)\n",
			x.tiers, wideUpdates, per(used.self+used.redis), per(used.self), per(used.redis), x.target)
		atMost(x.target.Seconds()*1e3, fmt.Sprintf("one update of a batch of %d tiers", x.tiers), per(used.self+used.redis).Seconds()*1e3, " ms")
	}
	return nil
}

func (s *servers) wide(ctx context.Context, tiers int) (used cpu, err error) {
	b, err := s.connect(ctx)
	if err != nil {
		return used, err
	}
	defer b.Close()
	if err := b.Log.EnsureStreams(ctx); err != nil {
		return used, err
	}
	js, err := jetstream.New(b.Conn)
	if err != nil {
		return used, err
	}
	n := 0
	publish := func(tier int) error {
		n++
		_, err := js.PublishAsync(fmt.Sprintf("headway.events.wide.b.tier.%d.progress", tier), fmt.Appendf(nil,
			`{"specversion":"1.0","id":"w-%d","source":"pipeline/worker","type":"dev.headway.tier.v1","time":"%s","data":{"tier_num":%d,"attempt":1,"processed_documents":%d,"total_documents":1000000}}`,
			n, time.Now().UTC().Format(time.RFC3339Nano), tier, n), jetstream.WithStallWait(time.Minute))
		return err
	}
	for round := range 3 {
		for tier := range tiers {
			if err := publish(tier); err != nil {
				return used, err
			}
		}
		<-js.PublishAsyncComplete()
		if round < 2 {
			time.Sleep(time.Second) // each count is in a bucket of its own
		}
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	wait, err := folding(ctx, b)
	if err != nil {
		return used, err
	}
	pushes := b.Redis.PSubscribe(ctx, "hw:*:push:wide:b")
	defer pushes.Close()
	if _, err := pushes.Receive(ctx); err != nil {
		return used, err
	}
	pushed := pushes.Channel(redis.WithChannelSize(1_000))
	update := func(i int) error {
		if err := publish(i * 7919 % tiers); err != nil {
			return err
		}
		select {
		case <-pushed:
			return nil
		case <-time.After(10 * time.Second):
			return errors.New("an update wasn't committed")
		}
	}
	if err := update(0); err != nil { // afterwards the view is in the worker's memory
		return used, err
	}
	before := s.cpu()
	for i := range wideUpdates {
		if err := update(i); err != nil {
			return used, err
		}
	}
	used = s.cpu().since(before)
	cancel()
	if err := wait(); err != nil && !errors.Is(err, context.Canceled) {
		return used, err
	}
	return used, nil
}
