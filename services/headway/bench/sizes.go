package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/headwayhq/headway/services/internal/backend"
)

// shape is a kind of batch: all tiers report the same number of times, and each has two jobs that were placed, ran and ended.
type shape struct{ batches, tiers, reports int }

const twoJobs = 2

// sizeShapes have enough reports to fill what a view keeps of the course of each tier.
var sizeShapes = []shape{{300, 1, 128}, {200, 3, 128}, {15, 30, 128}, {4, 100, 128}}

// benchSizes measures what docs/operations/sizing.md calculates with: the rate at which the log takes events, what an event takes on disk,
// and what a batch takes in Redis.
func benchSizes(ctx context.Context, s *servers) error {
	for _, x := range sizeShapes {
		if err := s.size(ctx, x); err != nil {
			return err
		}
	}
	return nil
}

// size prints what batches of one shape take.
func (s *servers) size(ctx context.Context, x shape) error {
	b, js, err := s.empty(ctx)
	if err != nil {
		return err
	}
	defer b.Close()
	if err := foldOnce(ctx, b); err != nil { // what doesn't depend on batches is there then
		return err
	}
	empty, err := usedMemory(ctx, b)
	if err != nil {
		return err
	}
	before, began := s.cpu(), time.Now()
	n, payload, err := x.publish(js)
	if err != nil {
		return err
	}
	took, used := time.Since(began), s.cpu().since(before)
	log, err := js.Stream(ctx, "HEADWAY_EVENTS")
	if err != nil {
		return err
	}
	disk := diskUse(filepath.Join(s.dir, "js", "jetstream", "$G", "streams", "HEADWAY_EVENTS"))
	if err := foldOnce(ctx, b); err != nil {
		return err
	}
	full, err := usedMemory(ctx, b)
	if err != nil {
		return err
	}
	per := func(bytes int) float64 { return float64(bytes) / float64(n) }
	fmt.Printf("\nsizes: %d batches of %d tiers with %d jobs, %d events\n", x.batches, x.tiers, twoJobs*x.tiers, n)
	fmt.Printf("  the log takes                   %8.0f events/s of one publisher, with acknowledgements; NATS %.1f µs of processor time an event\n",
		float64(n)/took.Seconds(), float64(used.nats.Microseconds())/float64(n))
	fmt.Printf("  an event                        %8.0f bytes, %.0f in the log, %.0f on disk\n", per(payload), per(int(log.CachedInfo().State.Bytes)), per(disk))
	fmt.Printf("  a batch in Redis                %8.1f KB\n", float64(full-empty)/float64(x.batches)/1000)
	return nil
}

// empty connects to empty servers, with new streams.
func (s *servers) empty(ctx context.Context) (*backend.Backend, jetstream.JetStream, error) {
	if err := s.reset(ctx); err != nil {
		return nil, nil, err
	}
	b, js, err := s.publisher(ctx)
	if err != nil {
		return nil, nil, err
	}
	return b, js, b.Log.EnsureStreams(ctx)
}

// foldOnce runs ingest until everything that the log holds is in Redis.
func foldOnce(ctx context.Context, b *backend.Backend) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	wait, err := folding(ctx, b)
	if err != nil {
		return err
	}
	if _, err := complete(ctx, b); err != nil {
		return err
	}
	cancel()
	if err := wait(); err != nil && !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

func batchName(n int) string { return fmt.Sprintf("btch_%06d", n) }

// publish sends the events of all batches, in turn, and returns their number and size.
func (x shape) publish(js jetstream.JetStream) (events, size int, err error) {
	begin := time.Now().Add(-2 * time.Hour).UTC()
	send := func(batch int, kind, eventType, data string) {
		if err != nil {
			return
		}
		body := fmt.Sprintf(`{"specversion":"1.0","id":"evt-%09d","source":"pipeline/worker-%d","type":"dev.headway.%s.v1","subject":%q,"time":"%s","datacontenttype":"application/json","data":%s}`,
			events, batch%16, eventType, batchName(batch), begin.Add(time.Duration(events/x.batches)*2*time.Second).Format(time.RFC3339Nano), data)
		events, size = events+1, size+len(body)
		_, err = js.PublishMsgAsync(&nats.Msg{Subject: "headway.events.bench." + batchName(batch) + "." + kind, Data: []byte(body)}, jetstream.WithStallWait(time.Minute))
	}
	each := func(do func(batch int)) {
		for batch := range x.batches {
			do(batch)
		}
	}
	tiers := make([]string, x.tiers)
	for n := range tiers {
		tiers[n] = fmt.Sprintf(`{"tier_num":%d,"tier_name":"tier-%d","requires_gpu":true}`, n, n)
	}
	each(func(batch int) {
		send(batch, "batch", "batch", fmt.Sprintf(`{"status":"PROCESSING","name":"Batch %d","total_tiers":%d,"tiers":[%s]}`, batch, x.tiers, strings.Join(tiers, ",")))
	})
	for n := range x.tiers {
		job := func(status string) {
			for k := range twoJobs {
				each(func(batch int) {
					send(batch, fmt.Sprintf("job.j%d_%d", n, k), "job", fmt.Sprintf(`{"tier_num":%d,"submission_id":"raysubmit_%06d_%d_%d","extractor_name":"extractor-%d","status":%q}`, n, batch, n, k, k, status))
				})
			}
		}
		job("PENDING")
		job("RUNNING")
		each(func(batch int) {
			send(batch, fmt.Sprintf("tier.%d", n), "tier", fmt.Sprintf(`{"tier_num":%d,"status":"PROCESSING"}`, n))
		})
		for i := range x.reports {
			each(func(batch int) {
				send(batch, fmt.Sprintf("tier.%d.progress", n), "tier", fmt.Sprintf(`{"tier_num":%d,"attempt":1,"processed_documents":%d,"total_documents":100000,"failed_documents":0,"counts":{"fetched":100000,"submitted":%d,"written":%d}}`,
					n, i*100, i*100, i*90))
			})
		}
		job("SUCCEEDED")
	}
	if err != nil {
		return 0, 0, err
	}
	select {
	case <-js.PublishAsyncComplete():
		return events, size, nil
	case <-time.After(2 * time.Minute):
		return 0, 0, errors.New("events weren't acknowledged in time")
	}
}

// usedMemory is what the keys in Redis take, in bytes.
func usedMemory(ctx context.Context, b *backend.Backend) (n int, err error) {
	for it := b.Redis.Scan(ctx, 0, "*", 1000).Iterator(); ; {
		if !it.Next(ctx) {
			return n, it.Err()
		}
		bytes, err := b.Redis.MemoryUsage(ctx, it.Val(), 0).Result()
		if err != nil {
			return 0, err
		}
		n += int(bytes)
	}
}

// diskUse is the size of all files below a directory, in bytes.
func diskUse(dir string) (n int) {
	_ = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil {
			return nil //nolint:nilerr // it was deleted meanwhile
		}
		if info, err := d.Info(); err == nil && !d.IsDir() {
			n += int(info.Size())
		}
		return nil
	})
	return n
}
