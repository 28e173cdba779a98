package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"syscall"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/headwayhq/headway/pkg/policy"
	"github.com/headwayhq/headway/pkg/simulator"
	"github.com/headwayhq/headway/services/ingest"
	"github.com/headwayhq/headway/services/internal/backend"
)

const (
	rebuildRuns   = 3
	rebuildWithin = 5 * time.Minute
)

// rebuildLogs are logs of all types of events, as batches of the simulator send them. All batches of a log begin within a minute, and are open
// at once for most of it.
var rebuildLogs = []struct {
	batches, each int     // each: events of a batch, at most
	rate, memory  float64 // targets: share of a raw read, MB
}{
	{1_000, 200, 0.8, 100},
	{10_000, 30, 0.6, 200},
	{100_000, 4, 0.4, 400},
}

// benchRebuild measures a worker, a process of its own, that folds a whole log into an empty Redis, and its peak memory. The rate is
// compared with a raw read of the same log in the same run. HEADWAY_BENCH_BATCHES picks one log.
func benchRebuild(ctx context.Context, s *servers) error {
	for _, l := range rebuildLogs {
		if only := os.Getenv("HEADWAY_BENCH_BATCHES"); only != "" && only != strconv.Itoa(l.batches) {
			continue
		}
		if err := s.reset(ctx); err != nil {
			return err
		}
		b, js, err := s.publisher(ctx)
		if err != nil {
			return err
		}
		defer b.Close()
		events, size, err := fillMixed(js, l.batches, l.each)
		if err != nil {
			return err
		}
		var raws, owns, ratios, peaks, workers, redises []float64
		for range rebuildRuns {
			raw, err := rawConsume(ctx, js, events)
			if err != nil {
				return err
			}
			if err := b.Redis.FlushAll(ctx).Err(); err != nil {
				return err
			}
			before := s.cpu()
			r, err := s.rebuild(ctx, b)
			if err != nil {
				return err
			}
			own := float64(events) / r.took.Seconds()
			raws, owns, ratios, peaks = append(raws, raw), append(owns, own), append(ratios, own/raw), append(peaks, float64(r.peak)/1e6)
			per := func(d time.Duration) float64 { return float64(d.Microseconds()) / float64(events) }
			workers, redises = append(workers, per(r.cpu)), append(redises, per(s.cpu().since(before).redis))
		}
		fmt.Printf("\nrebuild: %d events of all types, of %d bytes, over %d batches; medians of %d interleaved runs\n", events, size, l.batches, rebuildRuns)
		fmt.Printf("  raw JetStream consume, AckAll   %8.0f events/s\n", median(raws))
		fmt.Printf("  log → fold → Redis, from empty  %8.0f events/s   ratio %.2f (target ≥ %.1f), lowest %.2f\n", median(owns), median(ratios), l.rate, least(ratios))
		fmt.Printf("  the worker                      %8.0f MB at its peak (target ≤ %.0f), %.2f µs of processor time an event; Redis %.2f µs\n",
			median(peaks), l.memory, median(workers), median(redises))
	}
	return nil
}

func least(v []float64) float64 {
	out := v[0]
	for _, x := range v {
		out = min(out, x)
	}
	return out
}

// fillMixed publishes the beginnings of simulated batches, in the order in which they would be sent.
func fillMixed(js jetstream.JetStream, batches, each int) (events, size int, err error) {
	const step = 2 * time.Second
	all := simulator.Events(simulator.Config{
		Seed: 1, Batches: batches, Namespaces: []string{"bench"}, Start: time.Now().Add(-2 * time.Hour), Spacing: time.Minute / time.Duration(batches), Step: step,
	})
	said := map[string]int{}
	for _, e := range all {
		if said[e.Batch]++; said[e.Batch] > each {
			continue
		}
		events, size = events+1, size+len(e.Data)
		if _, err := js.PublishMsgAsync(&nats.Msg{Subject: e.Subject, Data: e.Data}, jetstream.WithStallWait(time.Minute)); err != nil {
			return 0, 0, err
		}
	}
	select {
	case <-js.PublishAsyncComplete():
		return events, size / events, nil
	case <-time.After(2 * time.Minute):
		return 0, 0, errors.New("events weren't acknowledged in time")
	}
}

// rebuilt is what one worker took.
type rebuilt struct {
	took, cpu time.Duration
	peak      int // bytes
}

// rebuild runs a worker until every partition is complete.
func (s *servers) rebuild(ctx context.Context, b *backend.Backend) (r rebuilt, err error) {
	self, err := os.Executable()
	if err != nil {
		return r, err
	}
	c := exec.CommandContext(ctx, self, "worker", s.natsURL, s.redisURL)
	c.SysProcAttr, c.Stderr = endsWithUs(), os.Stderr
	out, err := c.StdoutPipe()
	if err != nil {
		return r, err
	}
	if err := c.Start(); err != nil {
		return r, err
	}
	defer func() {
		_ = c.Process.Signal(syscall.SIGTERM)
		err = errors.Join(err, c.Wait())
	}()
	if _, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		return r, fmt.Errorf("worker: %w", err)
	}
	before := processCPU(c.Process.Pid)
	ctx, cancel := context.WithTimeout(ctx, rebuildWithin)
	defer cancel()
	r.took, err = complete(ctx, b)
	r.peak, r.cpu = processPeak(c.Process.Pid), processCPU(c.Process.Pid)-before
	return r, err
}

// runWorker runs ingest until it is told to end. It says when it is connected.
func runWorker(natsURL, redisURL string) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	stopProfile, err := profile(".worker")
	if err != nil {
		return err
	}
	defer stopProfile()
	b, err := backend.Connect(ctx, backend.Options{NATSURL: natsURL, RedisURL: redisURL, Name: "bench"})
	if err != nil {
		return err
	}
	defer b.Close()
	memory := ingest.Bytes(ingest.DefaultMemory)
	if text, set := os.LookupEnv("HEADWAY_INGEST_MEMORY"); set {
		if err := memory.UnmarshalText([]byte(text)); err != nil {
			return err
		}
	}
	ingest.LimitMemory(int64(memory))
	in := ingest.New(ingest.Options{Memory: int64(memory), Log: b.Log, Store: b.Store, Policies: policy.Default(), Member: backend.Member()})
	fmt.Println("connected")
	return in.Run(ctx)
}
