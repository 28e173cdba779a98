package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/headwayhq/headway/pkg/policy"
	"github.com/headwayhq/headway/services/ingest"
	"github.com/headwayhq/headway/services/internal/backend"
)

const (
	ingestEvents  = 200_000
	ingestBatches = 1_000
	ingestRuns    = 3
)

// benchIngest reads one log twice, alternately: raw with AckAll, and folded into an empty Redis. The second is also
// the rate of a cold rebuild.
func benchIngest(ctx context.Context, s *servers) error {
	b, js, err := s.publisher(ctx)
	if err != nil {
		return err
	}
	defer b.Close()
	size, err := fillLog(js, ingestEvents)
	if err != nil {
		return err
	}
	fmt.Printf("\ningest: %d events of %d bytes over %d batches; medians of %d interleaved runs\n", ingestEvents, size, ingestBatches, ingestRuns)

	var raws, ours, ratios, cpus, natsCPU, redisCPU, selfCPUs []float64
	for range ingestRuns {
		raw, err := rawConsume(ctx, js, ingestEvents)
		if err != nil {
			return err
		}
		if err := b.Redis.FlushAll(ctx).Err(); err != nil {
			return err
		}
		before := s.cpu()
		own, err := foldAll(ctx, b)
		if err != nil {
			return err
		}
		used := s.cpu().since(before)
		per := func(d time.Duration) float64 { return float64(d.Microseconds()) / ingestEvents }
		raws, ours, ratios = append(raws, raw), append(ours, own), append(ratios, own/raw)
		cpus, selfCPUs = append(cpus, per(used.all())), append(selfCPUs, per(used.self))
		natsCPU, redisCPU = append(natsCPU, per(used.nats)), append(redisCPU, per(used.redis))
	}
	fmt.Printf("  raw JetStream consume, AckAll   %8.0f events/s\n", median(raws))
	fmt.Printf("  log → fold → Redis, from empty  %8.0f events/s   ratio %.2f (target ≥ 0.50)\n", median(ours), median(ratios))
	fmt.Printf("  CPU per event, all processes    %8.2f µs   (target ≤ 10; worker %.2f, NATS %.2f, Redis %.2f)\n",
		median(cpus), median(selfCPUs), median(natsCPU), median(redisCPU))
	atLeast(0.6, "saturated, 1,000 batches: share of a raw read", median(ratios), "")
	return nil
}

// fillLog publishes the events, and returns the size of one.
func fillLog(js jetstream.JetStream, events int) (size int, err error) {
	for i := range events {
		batch, n := i%ingestBatches, i/ingestBatches
		tier := n / (events / ingestBatches / 3)
		data := progressEvent(i, batch, tier, n)
		size = len(data)
		if _, err := js.PublishMsgAsync(&nats.Msg{Subject: fmt.Sprintf("headway.events.bench.btch_%06d.tier.%d.progress", batch, tier), Data: data}, jetstream.WithStallWait(time.Minute)); err != nil {
			return 0, err
		}
	}
	select {
	case <-js.PublishAsyncComplete():
	case <-time.After(2 * time.Minute):
		return 0, errors.New("events weren't acknowledged in time")
	}
	return size, nil
}

// firstEvent is an hour before this program was started: every event has happened.
var firstEvent = time.Now().Add(-time.Hour)

// progressEvent is the i-th event, the n-th of its batch.
func progressEvent(i, batch, tier, n int) []byte {
	return fmt.Appendf(nil, `{"specversion":"1.0","id":"evt-%08d-%04d","source":"pipeline/worker-%d","type":"dev.headway.tier.v1","subject":"btch_%06d","time":"%s","datacontenttype":"application/json","data":{"tier_num":%d,"attempt":1,"processed_documents":%d,"total_documents":100000,"failed_documents":0,"counts":{"fetched":100000,"submitted":%d,"written":%d}}}`,
		i, batch, batch%16, batch, firstEvent.Add(time.Duration(n)*time.Second).UTC().Format(time.RFC3339Nano), tier, n*10, n*10, n*10)
}

// rawConsume measures the upper limit: the same messages, read by a durable pull consumer that acknowledges all at
// once.
func rawConsume(ctx context.Context, js jetstream.JetStream, events int) (perSecond float64, err error) {
	c, err := js.CreateConsumer(ctx, "HEADWAY_EVENTS", jetstream.ConsumerConfig{
		AckPolicy: jetstream.AckAllPolicy, InactiveThreshold: time.Minute, MaxAckPending: -1,
	})
	if err != nil {
		return 0, err
	}
	done := make(chan error, 1)
	n := 0
	began := time.Now()
	cc, err := c.Consume(func(m jetstream.Msg) {
		if n++; n%1000 == 0 {
			if err := m.Ack(); err != nil {
				done <- err
			}
		}
		if n == events {
			done <- nil
		}
	}, jetstream.PullMaxMessages(4096))
	if err != nil {
		return 0, err
	}
	defer cc.Stop()
	err = <-done
	return float64(events) / time.Since(began).Seconds(), err
}

// foldAll runs ingest on an empty Redis until every partition has reached the log's end.
func foldAll(ctx context.Context, b *backend.Backend) (perSecond float64, err error) {
	ctx, cancel := context.WithCancel(ctx)
	in := ingest.New(ingest.Options{Log: b.Log, Store: b.Store, Policies: policy.Default(), Member: backend.Member()})
	ended := make(chan error, 1)
	began := time.Now()
	go func() { ended <- in.Run(ctx) }()
	var took time.Duration
	for took == 0 {
		select {
		case err := <-ended:
			cancel()
			return 0, fmt.Errorf("ingest ended: %w", err)
		case <-time.After(5 * time.Millisecond):
		}
		read, err := folded(ctx, b)
		if err != nil {
			cancel()
			return 0, err
		}
		if read >= ingestEvents {
			took = time.Since(began)
		}
	}
	cancel()
	return ingestEvents / took.Seconds(), <-ended
}

// folded returns the sequence up to which the log is folded. Every partition counts only up to its last message, so
// this is the greatest cursor once no partition has messages left. It reads the fences, not the views.
func folded(ctx context.Context, b *backend.Backend) (uint64, error) {
	fences, err := b.Store.Fences(ctx)
	if err != nil {
		return 0, err
	}
	least := uint64(1 << 62)
	for _, f := range fences {
		if f == nil {
			return 0, nil
		}
		if !f.Complete {
			return 0, nil
		}
		least = min(least, f.Cursor)
	}
	return least, nil
}
