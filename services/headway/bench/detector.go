package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/headwayhq/headway/pkg/diagnostics"
	"github.com/headwayhq/headway/pkg/viewstore"
	"github.com/headwayhq/headway/services/internal/backend"
)

const detectorRounds = 1000

// benchDetector measures one round of the detector while nothing is due, with few and with many active batches: the
// cost of a round must depend on what is due, not on what is active.
func benchDetector(ctx context.Context, s *servers) error {
	b, err := s.connect(ctx)
	if err != nil {
		return err
	}
	defer b.Close()
	fmt.Printf("\ndetector: CPU of a round with nothing due, this process and Redis, over %d rounds\n", detectorRounds)
	var costs []float64
	for _, active := range []int{1_000, 100_000} {
		if err := b.Redis.FlushAll(ctx).Err(); err != nil {
			return err
		}
		if err := populate(ctx, b, active); err != nil {
			return err
		}
		before := s.cpu()
		began := time.Now()
		for range detectorRounds {
			due, err := b.Store.Due(ctx, 256)
			if err != nil {
				return err
			}
			if len(due) > 0 {
				return fmt.Errorf("%d partitions have something due", len(due))
			}
		}
		used := s.cpu().since(before)
		cost := float64((used.self + used.redis).Microseconds()) / detectorRounds
		costs = append(costs, cost)
		fmt.Printf("  %7d active batches   %7.0f µs CPU   %7.0f µs wall a round\n", active, cost, float64(time.Since(began).Microseconds())/detectorRounds)
	}
	fmt.Printf("  ratio %.2f (target: flat)\n", costs[1]/costs[0])
	return nil
}

// populate writes active batches whose next check is in the future.
func populate(ctx context.Context, b *backend.Backend, active int) error {
	now := time.Now()
	writes := make([][]viewstore.Write, b.Store.Partitions())
	event := diagnostics.Event{Type: diagnostics.TypeTier, Namespace: "bench", Stamp: diagnostics.Stamp{Time: now.UnixNano(), Source: "bench", ID: "e"}}
	event.TierFacts.Attempt = 1
	event.TierFacts.Processed = diagnostics.Opt[int64]{V: 5, Set: true}
	policy := diagnostics.DefaultPolicy()
	for i := range active {
		event.Batch = fmt.Sprintf("btch_%06d", i)
		v := diagnostics.NewView("bench", event.Batch)
		diagnostics.Fold(v, &event)
		v.Revision = uint64(i + 1)
		summary := diagnostics.Summarize(v, now, policy)
		if summary.Check.IsZero() {
			return errors.New("an active batch has no next check")
		}
		p := b.Log.Partition("bench", event.Batch)
		writes[p] = append(writes[p], viewstore.Write{
			Key: viewstore.Key{Namespace: "bench", Batch: event.Batch}, Value: v.Append(nil), Revision: v.Revision,
			Due: summary.Check.UnixMilli() + 1, Row: summary.Row.AppendJSON(nil),
		})
	}
	for p, all := range writes {
		next := viewstore.Fence{Identity: b.Store.Identity(), Fold: b.Store.Fold(), Token: "bench"}
		f, err := b.Store.Claim(ctx, p, viewstore.Record{}, next, time.Minute)
		if err != nil {
			return err
		}
		done := uint64(0)
		for len(all) > 0 || done == 0 {
			n := min(len(all), viewstore.MaxCommitViews)
			done++
			to := f.Advance(viewstore.Progress{Cursor: done, Watermark: now.UnixNano(), Complete: true, EndSeen: done}, time.Minute)
			if f, err = b.Store.Commit(ctx, p, f, to, time.Minute, all[:n]); err != nil {
				return err
			}
			all = all[n:]
		}
	}
	return nil
}
