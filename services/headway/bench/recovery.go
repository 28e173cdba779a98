package main

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sync/errgroup"

	"github.com/headwayhq/headway/pkg/policy"
	"github.com/headwayhq/headway/services/ingest"
	"github.com/headwayhq/headway/services/internal/backend"
)

const (
	recoveryEvery = 3 * time.Millisecond // between two live events
	recoveryRuns  = 5

	largeEvents = 200 // as large as an event may be, among the others
	largeSize   = 700 << 10
)

// benchRecovery measures how long it takes after Redis was emptied until all views are complete again. The limit is one
// raw read of the log by an ordered consumer. Both happen in turn, while events arrive.
func benchRecovery(ctx context.Context, s *servers) error {
	for _, c := range []struct {
		members int
		large   bool
	}{{1, false}, {3, false}, {3, true}} {
		if err := s.reset(ctx); err != nil {
			return err
		}
		if err := recoverFromWipes(ctx, s, c.members, c.large); err != nil {
			return err
		}
	}
	return nil
}

func recoverFromWipes(ctx context.Context, s *servers, members int, large bool) error {
	b, js, err := s.publisher(ctx)
	if err != nil {
		return err
	}
	defer b.Close()
	if _, err := fillLog(js, ingestEvents); err != nil {
		return err
	}
	if large {
		if err := fillLarge(ctx, b); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	g, gctx := errgroup.WithContext(ctx)
	for n := range members {
		own, err := s.connect(ctx)
		if err != nil {
			return err
		}
		defer own.Close()
		in := ingest.New(ingest.Options{Log: own.Log, Store: own.Store, Policies: policy.Default(), Member: fmt.Sprint("member-", n)})
		g.Go(func() error { return in.Run(gctx) })
	}
	g.Go(func() error { return live(gctx, b) })
	if _, err := complete(gctx, b); err != nil {
		return err
	}

	var raws, owns, ratios, natsCPU, redisCPU, selfCPU, rawCPU []float64
	for range recoveryRuns {
		before := s.cpu()
		raw, err := readOrdered(gctx, b)
		if err != nil {
			return err
		}
		rawCPU = append(rawCPU, s.cpu().since(before).all().Seconds())
		before = s.cpu()
		if err := b.Redis.FlushAll(ctx).Err(); err != nil {
			return err
		}
		own, err := complete(gctx, b)
		if err != nil {
			return err
		}
		used := s.cpu().since(before)
		raws, owns, ratios = append(raws, raw.Seconds()), append(owns, own.Seconds()), append(ratios, own.Seconds()/raw.Seconds())
		natsCPU, redisCPU, selfCPU = append(natsCPU, used.nats.Seconds()), append(redisCPU, used.redis.Seconds()), append(selfCPU, used.self.Seconds())
	}
	info, err := b.Log.Info(ctx)
	if err != nil {
		return err
	}
	fmt.Printf("\nrecovery from a wipe: %d events (large ones: %t), %.0f live events/s, %d members; medians of %d interleaved runs\n",
		info.Last, large, float64(time.Second/recoveryEvery), members, recoveryRuns)
	fmt.Printf("  raw read, one ordered consumer  %6.2f s   CPU of all processes %.2f s\n", median(raws), median(rawCPU))
	fmt.Printf("  wiped → all complete            %6.2f s   ratio %.2f (target ≤ 1.5), slowest %.2f s\n", median(owns), median(ratios), slices.Max(owns))
	fmt.Printf("  CPU meanwhile                   workers %.2f s, NATS %.2f s, Redis %.2f s: on %d processors at least %.2f s\n",
		median(selfCPU), median(natsCPU), median(redisCPU), runtime.NumCPU(), (median(selfCPU)+median(natsCPU)+median(redisCPU))/float64(runtime.NumCPU()))
	atMost(1.5, fmt.Sprintf("recovery from a wipe, %d workers, large events %t: raw reads", members, large), median(ratios), "")
	cancel()
	_ = g.Wait()
	return nil
}

// fillLarge adds events that are as large as the log takes.
func fillLarge(ctx context.Context, b *backend.Backend) error {
	filler := make([]byte, largeSize)
	for i := range filler {
		filler[i] = 'y'
	}
	for i := range largeEvents {
		data := fmt.Sprintf(`{"specversion":"1.0","id":"large-%d","source":"bench","type":"dev.headway.job.v1","time":"%s","data":{"tier_num":0,"submission_id":"j%d","status":"PENDING","submission_params":{"p":"%s"}}}`,
			i, time.Now().UTC().Format(time.RFC3339Nano), i%8, filler)
		if _, err := b.Log.Publish(ctx, fmt.Sprintf("headway.events.bench.large_%d.job.j%d", i%16, i%8), nil, []byte(data)); err != nil {
			return err
		}
	}
	return nil
}

// live publishes events of a few batches until ctx ends.
func live(ctx context.Context, b *backend.Backend) error {
	tick := time.NewTicker(recoveryEvery)
	defer tick.Stop()
	for n := 0; ; n++ {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		data := fmt.Sprintf(`{"specversion":"1.0","id":"live-%d","source":"bench","type":"dev.headway.tier.v1","time":"%s","data":{"tier_num":0,"processed_documents":%d}}`,
			n, time.Now().UTC().Format(time.RFC3339Nano), n)
		if err := b.Conn.PublishMsg(&nats.Msg{Subject: fmt.Sprintf("headway.events.bench.live_%d.tier.0.progress", n%100), Data: []byte(data)}); err != nil {
			return err
		}
	}
}

// complete waits until every partition is complete up to what is the log's end now.
func complete(ctx context.Context, b *backend.Backend) (took time.Duration, err error) {
	began := time.Now()
	info, err := b.Log.Info(ctx)
	if err != nil {
		return 0, err
	}
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		read, err := folded(ctx, b)
		if err != nil {
			return 0, err
		}
		if read >= info.Last {
			return time.Since(began), nil
		}
		if time.Since(began) > 5*time.Minute {
			return 0, errors.New("not recovered within 5 minutes")
		}
		select {
		case <-ctx.Done():
			return 0, context.Cause(ctx)
		case <-tick.C:
		}
	}
}

// readOrdered reads the log up to what is its end now, and does nothing with it.
func readOrdered(ctx context.Context, b *backend.Backend) (took time.Duration, err error) {
	js, err := jetstream.New(b.Conn)
	if err != nil {
		return 0, err
	}
	began := time.Now()
	info, err := b.Log.Info(ctx)
	if err != nil {
		return 0, err
	}
	c, err := js.OrderedConsumer(ctx, "HEADWAY_EVENTS", jetstream.OrderedConsumerConfig{})
	if err != nil {
		return 0, err
	}
	done := make(chan error, 1)
	read := uint64(0)
	cc, err := c.Consume(func(jetstream.Msg) {
		if read++; read == info.Last { // nothing was removed from this log
			done <- nil
		}
	}, jetstream.PullMaxMessages(4096))
	if err != nil {
		return 0, err
	}
	defer cc.Stop()
	select {
	case err = <-done:
	case <-ctx.Done():
		err = context.Cause(ctx)
	}
	return time.Since(began), err
}
