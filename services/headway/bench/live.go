package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/headwayhq/headway/pkg/policy"
	"github.com/headwayhq/headway/services/ingest"
	"github.com/headwayhq/headway/services/internal/backend"
)

const (
	liveRuns    = 3
	liveBatches = 1_000
	liveFor     = 4 * time.Second
	liveTick    = time.Millisecond // between two bursts of the publisher
	liveSubject = "headway.events.live.btch_%06d.tier.%d.progress"
)

// benchLive measures the processor time of an event in the worker, NATS and Redis together while events arrive at a steady rate. It is
// compared with a consumer that publishes each event to Redis and does nothing else. What publishing the events costs is taken off both.
func benchLive(ctx context.Context, s *servers) error {
	b, err := s.connect(ctx)
	if err != nil {
		return err
	}
	defer b.Close()
	for _, x := range []struct {
		rate   int
		target float64
	}{{100, 0}, {1000, 3}, {5000, 2}} {
		var bare, own, ratios, workers, natses, redises []float64
		for range liveRuns {
			nothing := func(context.Context) (func() error, error) { return func() error { return nil }, nil }
			idle, err := s.live(ctx, x.rate, nothing)
			if err != nil {
				return err
			}
			limit, err := s.live(ctx, x.rate, func(ctx context.Context) (func() error, error) { return hop(ctx, b) })
			if err != nil {
				return err
			}
			used, err := s.live(ctx, x.rate, func(ctx context.Context) (func() error, error) { return folding(ctx, b) })
			if err != nil {
				return err
			}
			per := func(d time.Duration) float64 {
				return float64(d.Microseconds()) / (float64(x.rate) * liveFor.Seconds())
			}
			ours := used.since(idle)
			bare, own = append(bare, per(limit.since(idle).all())), append(own, per(ours.all()))
			workers, natses, redises = append(workers, per(ours.self)), append(natses, per(ours.nats)), append(redises, per(ours.redis))
			ratios = append(ratios, own[len(own)-1]/bare[len(bare)-1])
		}
		fmt.Printf("\nlive: %d events/s over %d batches; processor time of an event, without publishing; medians of %d interleaved runs\n", x.rate, liveBatches, liveRuns)
		fmt.Printf("  a consumer that publishes it  %6.0f µs\n  Headway                       %6.0f µs   ratio %.2f", median(bare), median(own), median(ratios))
		if x.target > 0 {
			fmt.Printf(" (target ≤ %g)", x.target)
			atMost(x.target, fmt.Sprintf("live, %d events/s over 1,000 batches: processor time of an event, as often as a bare consumer's", x.rate), median(ratios), "")
		}
		fmt.Printf("\n  of that the worker %.0f µs, NATS %.0f µs, Redis %.0f µs\n", median(workers), median(natses), median(redises))
	}
	return nil
}

// live publishes at a rate from another process while what start has started runs, and returns the processor time.
func (s *servers) live(ctx context.Context, rate int, start func(context.Context) (wait func() error, err error)) (used cpu, err error) {
	if err := s.reset(ctx); err != nil {
		return used, err
	}
	b, err := s.connect(ctx)
	if err != nil {
		return used, err
	}
	defer b.Close()
	if err := b.Log.EnsureStreams(ctx); err != nil {
		return used, err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	wait, err := start(ctx)
	if err != nil {
		return used, err
	}
	publish := func(d time.Duration) error {
		self, err := os.Executable()
		if err != nil {
			return err
		}
		c := exec.CommandContext(ctx, self, "publish", s.natsURL, strconv.Itoa(rate), d.String())
		c.SysProcAttr, c.Stderr = endsWithUs(), os.Stderr
		return c.Run()
	}
	if err := publish(time.Second); err != nil { // the views exist then
		return used, err
	}
	before := s.cpu()
	if err := publish(liveFor); err != nil {
		return used, err
	}
	used = s.cpu().since(before)
	cancel()
	if err := wait(); err != nil && !errors.Is(err, context.Canceled) {
		return used, err
	}
	return used, nil
}

// hop publishes each event to Redis.
func hop(ctx context.Context, b *backend.Backend) (wait func() error, err error) {
	js, err := jetstream.New(b.Conn)
	if err != nil {
		return nil, err
	}
	c, err := js.OrderedConsumer(ctx, "HEADWAY_EVENTS", jetstream.OrderedConsumerConfig{})
	if err != nil {
		return nil, err
	}
	frame := make([]byte, 1024)
	consume, err := c.Consume(func(jetstream.Msg) { b.Redis.Publish(ctx, "bare", frame) })
	if err != nil {
		return nil, err
	}
	return func() error { consume.Stop(); <-consume.Closed(); return nil }, nil
}

// folding runs ingest, and returns when it has its partitions.
func folding(ctx context.Context, b *backend.Backend) (wait func() error, err error) {
	in := ingest.New(ingest.Options{Log: b.Log, Store: b.Store, Policies: policy.Default(), Member: backend.Member()})
	ended := make(chan error, 1)
	go func() { ended <- in.Run(ctx) }()
	for in.Ready() != nil {
		select {
		case err := <-ended:
			return nil, fmt.Errorf("ingest ended: %w", err)
		case <-time.After(5 * time.Millisecond):
		}
	}
	return func() error { return <-ended }, nil
}

// runPublisher publishes events at a rate, over all batches in turn.
func runPublisher(url, rate, during string) error {
	perSecond, err := strconv.Atoi(rate)
	if err != nil {
		return err
	}
	d, err := time.ParseDuration(during)
	if err != nil {
		return err
	}
	nc, err := nats.Connect(url)
	if err != nil {
		return err
	}
	defer nc.Close()
	began := time.Now()
	tick := time.NewTicker(liveTick)
	defer tick.Stop()
	for sent, total := 0, int(float64(perSecond)*d.Seconds()); sent < total; <-tick.C {
		for due := min(total, int(time.Since(began).Seconds()*float64(perSecond))); sent < due; sent++ {
			now := time.Now().UTC()
			data := fmt.Sprintf(`{"specversion":"1.0","id":"l-%d-%d","source":"pipeline/worker","type":"dev.headway.tier.v1","time":"%s","datacontenttype":"application/json","data":{"tier_num":0,"attempt":1,"processed_documents":%d,"total_documents":100000,"failed_documents":0,"counts":{"fetched":100000,"submitted":%d,"written":%d}}}`,
				now.UnixNano(), sent, now.Format(time.RFC3339Nano), sent, sent, sent)
			if err := nc.Publish(fmt.Sprintf(liveSubject, sent%liveBatches, 0), []byte(data)); err != nil {
				return err
			}
		}
	}
	return nc.FlushTimeout(5 * time.Second)
}
