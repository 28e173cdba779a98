package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"time"

	"github.com/headwayhq/headway/pkg/policy"
	"github.com/headwayhq/headway/services/ingest"
	"github.com/headwayhq/headway/services/internal/backend"
	"github.com/headwayhq/headway/services/internal/program"
)

const (
	membersMany  = 3
	membersRuns  = 3
	membersTotal = 2 * ingestEvents
)

// benchMembers compares one ingest process with three on the same processors: from an empty Redis until all views are complete, first after
// a start and then after a wipe.
func benchMembers(ctx context.Context, s *servers) error {
	b, js, err := s.publisher(ctx)
	if err != nil {
		return err
	}
	defer b.Close()
	if _, err := fillLog(js, membersTotal); err != nil {
		return err
	}
	counts := []int{1, membersMany}
	var start, wipe [2][]float64
	var startRatio, wipeRatio []float64
	var used [2]rebuildCPU
	for range membersRuns {
		for i, n := range counts {
			one, err := rebuildBy(ctx, s, b, n)
			if err != nil {
				return err
			}
			start[i], wipe[i] = append(start[i], one.start.Seconds()), append(wipe[i], one.wipe.Seconds())
			used[i].add(one)
		}
		last := len(start[0]) - 1
		startRatio, wipeRatio = append(startRatio, start[0][last]/start[1][last]), append(wipeRatio, wipe[0][last]/wipe[1][last])
	}
	fmt.Printf("\nrebuild by several processes: %d events over %d batches, %d processors; medians of %d interleaved runs\n", membersTotal, ingestBatches, runtime.NumCPU(), membersRuns)
	for i, n := range counts {
		fmt.Printf("  %d of them: started → complete %8.0f events/s   wiped → complete %8.0f events/s   CPU of a wipe: processes %.2f s, NATS %.2f s, Redis %.2f s\n",
			n, membersTotal/median(start[i]), membersTotal/median(wipe[i]), median(used[i].members), median(used[i].nats), median(used[i].redis))
	}
	fmt.Printf("  %d against one: started ratio %.2f, wiped ratio %.2f (target ≥ 0.80)\n", membersMany, median(startRatio), median(wipeRatio))
	return nil
}

// rebuilding is how long processes took from a start, and from a wipe.
type rebuilding struct {
	start, wipe time.Duration
	members     time.Duration // CPU during the second
	others      cpu
}

type rebuildCPU struct{ members, nats, redis []float64 }

func (c *rebuildCPU) add(r rebuilding) {
	c.members, c.nats, c.redis = append(c.members, r.members.Seconds()), append(c.nats, r.others.nats.Seconds()), append(c.redis, r.others.redis.Seconds())
}

func rebuildBy(ctx context.Context, s *servers, b *backend.Backend, n int) (r rebuilding, err error) {
	if err := b.Redis.FlushAll(ctx).Err(); err != nil {
		return r, err
	}
	var members []*exec.Cmd
	defer func() {
		for _, c := range members {
			_ = c.Process.Kill()
			_ = c.Wait()
		}
	}()
	for i := range n {
		c := exec.Command(os.Args[0], "member", s.natsURL, s.redisURL, fmt.Sprint("member-", i)) //nolint:gosec // this program
		c.SysProcAttr, c.Stderr = endsWithUs(), os.Stderr
		if err := c.Start(); err != nil {
			return r, err
		}
		members = append(members, c)
	}
	all := func() (sum time.Duration) {
		for _, c := range members {
			sum += processCPU(c.Process.Pid)
		}
		return sum
	}
	if r.start, err = complete(ctx, b); err != nil {
		return r, err
	}
	if err := settled(ctx, b); err != nil {
		return r, err
	}
	before, mine := s.cpu(), all()
	if err := b.Redis.FlushAll(ctx).Err(); err != nil {
		return r, err
	}
	if r.wipe, err = complete(ctx, b); err != nil {
		return r, err
	}
	r.members, r.others = all()-mine, s.cpu().since(before)
	return r, nil
}

// settled waits until the partitions have stayed complete with the same owners for longer than a heartbeat.
func settled(ctx context.Context, b *backend.Backend) error {
	const calm = 3 * time.Second
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	before, since := "", time.Now()
	for time.Since(since) < calm {
		fences, err := b.Store.Fences(ctx)
		if err != nil {
			return err
		}
		now := ""
		for _, f := range fences {
			if f == nil || !f.Complete {
				now = ""
				break
			}
			now += f.Token
		}
		if now == "" || now != before {
			before, since = now, time.Now()
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-tick.C:
		}
	}
	return nil
}

// runMember is one ingest process.
func runMember(natsURL, redisURL, name string) error {
	ctx, stop := program.Signals()
	defer stop()
	b, err := backend.Connect(ctx, backend.Options{NATSURL: natsURL, RedisURL: redisURL, Name: name})
	if err != nil {
		return err
	}
	defer b.Close()
	return ingest.New(ingest.Options{Log: b.Log, Store: b.Store, Policies: policy.Default(), Member: name}).Run(ctx)
}
