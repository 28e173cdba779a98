package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/headwayhq/headway/services/headway/app"
	"github.com/headwayhq/headway/services/internal/backend"
)

const (
	restartEvents = 1_000_000 // HEADWAY_BENCH_EVENTS is another number
	restartRuns   = 5
)

// benchRestart measures the time from the start of a headway run until it is ready: with nothing, and over a log, with the views that the one
// before saved and without them.
func benchRestart(ctx context.Context, s *servers) error {
	events := restartEvents
	if text := os.Getenv("HEADWAY_BENCH_EVENTS"); text != "" {
		var err error
		if events, err = strconv.Atoi(text); err != nil {
			return fmt.Errorf("HEADWAY_BENCH_EVENTS: %w", err)
		}
	}
	binary := filepath.Join(s.dir, "headway")
	if out, err := exec.CommandContext(ctx, "go", "build", "-o", binary, "github.com/headwayhq/headway/services/headway").CombinedOutput(); err != nil {
		return fmt.Errorf("build headway: %w\n%s", err, out)
	}
	var empty []time.Duration
	for n := range restartRuns {
		r, err := startRun(ctx, binary, filepath.Join(s.dir, fmt.Sprint("empty-", n)))
		if err != nil {
			return err
		}
		empty = append(empty, r.took)
		if _, err := r.stop(); err != nil {
			return err
		}
	}
	data := filepath.Join(s.dir, "data")
	r, err := startRun(ctx, binary, data)
	if err != nil {
		return err
	}
	if err := r.fill(ctx, events); err != nil {
		return err
	}
	var stops, with, without []time.Duration
	size := int64(0)
	saved := filepath.Join(data, "redis", "views.rdb")
	for range restartRuns {
		for _, keep := range []bool{true, false} {
			took, err := r.stop()
			if err != nil {
				return err
			}
			stops = append(stops, took)
			info, err := os.Stat(saved)
			if err != nil {
				return err
			}
			size = info.Size()
			to := &with
			if !keep {
				to = &without
				if err := os.Remove(saved); err != nil {
					return err
				}
			}
			if r, err = startRun(ctx, binary, data); err != nil {
				return err
			}
			*to = append(*to, r.took)
		}
	}
	if _, err := r.stop(); err != nil {
		return err
	}
	fmt.Printf("\nrestart of headway run: %d events over %d batches, %.1f MB saved; medians of %d runs by turns\n", events, ingestBatches, float64(size)/1e6, restartRuns)
	fmt.Printf("  start → ready, nothing there    %6.2f s\n", median(empty).Seconds())
	fmt.Printf("  start → ready, saved views      %6.2f s   slowest %.2f s\n", median(with).Seconds(), quantile(with, 1).Seconds())
	fmt.Printf("  start → ready, without them     %6.2f s\n", median(without).Seconds())
	fmt.Printf("  stop                            %6.2f s\n", median(stops).Seconds())
	atMost(1.5, "restart of headway run with saved views: start → ready", median(with).Seconds(), " s")
	return nil
}

// headwayRun is a headway run as a child.
type headwayRun struct {
	cmd  *exec.Cmd
	data string
	took time.Duration // from its start until it was ready
}

func startRun(ctx context.Context, binary, data string) (*headwayRun, error) {
	c := exec.CommandContext(ctx, binary, "run", "--listen", "127.0.0.1:0", "--nats-listen", "127.0.0.1:0", "--data-dir", data)
	c.SysProcAttr = endsWithUs()
	if os.Getenv("HEADWAY_LOG_LEVEL") != "" {
		c.Stderr = os.Stderr
	}
	out, err := c.StdoutPipe()
	if err != nil {
		return nil, err
	}
	began := time.Now()
	if err := c.Start(); err != nil {
		return nil, err
	}
	if _, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		return nil, errors.Join(fmt.Errorf("headway run: %w", err), c.Process.Kill(), c.Wait())
	}
	return &headwayRun{c, data, time.Since(began)}, nil
}

func (r *headwayRun) stop() (took time.Duration, err error) {
	began := time.Now()
	if err := r.cmd.Process.Signal(os.Interrupt); err != nil {
		return 0, err
	}
	err = r.cmd.Wait()
	return time.Since(began), err
}

// fill publishes events, and waits until they are folded.
func (r *headwayRun) fill(ctx context.Context, events int) error {
	at, err := app.ReadRunning(r.data)
	if err != nil {
		return err
	}
	b, err := backend.Connect(ctx, backend.Options{NATSURL: at.NATS, RedisURL: at.Redis, Name: "bench"})
	if err != nil {
		return err
	}
	defer b.Close()
	js, err := jetstream.New(b.Conn, jetstream.WithPublishAsyncMaxPending(8192))
	if err != nil {
		return err
	}
	if _, err := fillLog(js, events); err != nil {
		return err
	}
	_, err = complete(ctx, b)
	return err
}
