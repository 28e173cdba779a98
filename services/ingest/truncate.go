package ingest

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/headwayhq/headway/internal/seeded"
	"github.com/headwayhq/headway/pkg/eventlog"
	"github.com/headwayhq/headway/pkg/viewstore"
)

// cutter says how far checkpoints cover the log, and removes what they cover.
type cutter interface {
	ReadFloor(ctx context.Context, generation string) (eventlog.Floor, error)
	WriteFloor(ctx context.Context, generation string, f eventlog.Floor) (uint64, error)
	HealthSourced(ctx context.Context) (bool, error)
	Purge(ctx context.Context, identity string, upTo uint64) (first uint64, err error)
}

// Held is what keeps events in the log that are older than the window.
type Held struct {
	Why       string // in words; empty if nothing does
	Partition int    // −1: none in particular
	Batch     viewstore.Key
}

// covers finds up to where checkpoints cover the log (rule 25), and what ends it there.
func covers(all []viewstore.Covered, identity, generation string) (seq uint64, held Held) {
	held = Held{Partition: -1}
	first := true
	for p, c := range all {
		hold := func(why string) (uint64, Held) { return 0, Held{Why: why, Partition: p} }
		switch {
		case c.Fence == nil:
			if seeded.Bug("purge-without-record") {
				continue
			}
			return hold("its record is missing")
		case c.Lost:
			return hold("the index of what no checkpoint covers is being rebuilt")
		case c.Fence.Identity != identity:
			return hold("its record is of another log")
		case c.Fence.History != generation:
			return hold("its record is of another history")
		}
		safe, why := c.Fence.Looked, Held{Why: "its events aren't folded further", Partition: p}
		if c.Key.Batch != "" && c.From <= safe {
			safe, why = c.From-1, Held{Why: "no checkpoint covers this batch", Partition: p, Batch: c.Key}
		}
		if first || safe < seq {
			seq, held, first = safe, why, false
		}
	}
	return seq, held
}

// pointsIn is how many earlier values of the floor are kept for one window.
const pointsIn = 32

// truncate raises the floor, and removes what was covered one window ago, regularly until ctx ends. Any number of processes may do it.
func (e *epoch) truncate(ctx context.Context) {
	next := time.NewTimer(min(e.s.o.TruncateEvery, time.Second))
	defer next.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-next.C:
			next.Reset(e.s.o.TruncateEvery)
		}
		if !e.upgrade.lead.Load() || !e.archives.Load() {
			continue
		}
		if err := e.cut(ctx); err != nil && ctx.Err() == nil && !errors.Is(err, eventlog.ErrIdentityChanged) {
			e.logger.Warn("removing covered events from the log failed", "error", err)
		}
	}
}

// cut raises the floor, and removes what was covered one window ago. The window counts from there, not from when an event was stored,
// so that no request to announce is older than the events of its batch that it knows (rule 27). It ends where a period of bases began, so
// that of each batch the log has all events since its base of that period (rule 35).
func (e *epoch) cut(ctx context.Context) error {
	all, err := e.upgrade.store.CoveredAll(ctx)
	if err != nil {
		return fmt.Errorf("ingest: %w", err)
	}
	info, err := e.log.Info(ctx)
	if err != nil {
		return fmt.Errorf("ingest: %w", err)
	}
	if info.Identity != e.identity {
		return nil
	}
	safe, held := covers(all, e.identity, e.history)
	e.metrics.held(held, e.partitions)
	floor, err := e.cutter.ReadFloor(ctx, e.history)
	if err != nil {
		return fmt.Errorf("ingest: %w", err)
	}
	before := floor
	if floor.Identity != e.identity {
		floor = eventlog.Floor{Identity: e.identity, Seq: floor.Seq}
	}
	window, until := e.window, info.Now.Add(-e.window).Truncate(e.base.every)
	floor.Covered = max(floor.Covered, safe)
	floor.Points = points(floor.Points, eventlog.Point{At: info.Now, Covered: floor.Covered}, window, until)
	if floor.Covered != before.Covered || floor.Identity != before.Identity || len(floor.Points) != len(before.Points) {
		if !seeded.Bug("purge-before-floor") {
			if _, err := e.cutter.WriteFloor(ctx, e.history, floor); err != nil {
				var other eventlog.WrongLastError
				if errors.As(err, &other) {
					return nil // another process was faster
				}
				return fmt.Errorf("ingest: %w", err)
			}
		}
	}
	if window <= 0 {
		return nil
	}
	target := uint64(0)
	for _, at := range floor.Points {
		if !at.At.After(until) {
			target = max(target, at.Covered)
		}
	}
	if target < info.First {
		return nil
	}
	sourced, err := e.cutter.HealthSourced(ctx)
	if err != nil || !sourced {
		return err
	}
	first, err := e.cutter.Purge(ctx, e.identity, target)
	if err != nil {
		return fmt.Errorf("ingest: %w", err)
	}
	if first > info.First {
		e.metrics.removed.Add(float64(first - info.First))
		e.logger.Info("events removed that checkpoints cover", "first", first, "before", info.First)
	}
	return nil
}

// points adds a value of the floor to the earlier ones, a few for each window. Of those up to the moment until only the newest is kept.
func points(all []eventlog.Point, now eventlog.Point, window time.Duration, until time.Time) []eventlog.Point {
	if window <= 0 {
		return nil
	}
	for len(all) > 1 && !all[1].At.After(until) {
		all = all[1:]
	}
	if n := len(all); n > 0 && now.At.Sub(all[n-1].At) < window/pointsIn {
		return all
	}
	return append(all[:len(all):len(all)], now)
}

// look compares the log's beginning with what checkpoints cover, and notes it if somebody else removed events before that (rule 24).
// It is asked after the first sequence.
func (e *epoch) look(ctx context.Context, info eventlog.Info) (eventlog.Floor, error) {
	if e.history == "" {
		return eventlog.Floor{}, nil
	}
	for {
		floor, err := e.cutter.ReadFloor(ctx, e.history)
		if err != nil {
			return floor, err
		}
		if floor.Identity != e.identity {
			floor = eventlog.Floor{Identity: e.identity, Seq: floor.Seq}
		}
		if info.First <= info.Born || info.First-1 <= floor.Covered || floor.Hole != nil && floor.Hole.End >= info.First-1 {
			return floor, nil
		}
		floor.Hole = &eventlog.Hole{End: info.First - 1, Noted: info.Last}
		_, err = e.cutter.WriteFloor(ctx, e.history, floor)
		var other eventlog.WrongLastError
		switch {
		case errors.As(err, &other):
			continue // read it again
		case err != nil:
			return floor, err
		}
		e.logger.Error("events were removed from the log before checkpoints covered them", "up_to", floor.Hole.End, "covered", floor.Covered)
		return floor, nil
	}
}
