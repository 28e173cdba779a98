package detector

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/headwayhq/headway/internal/seeded"
	"github.com/headwayhq/headway/pkg/eventlog"
	"github.com/headwayhq/headway/pkg/viewstore"
)

const (
	// roundLimit limits a round. What it didn't reach is due in the next one.
	roundLimit = 20 * time.Second
	// atOnce is how many entries are judged concurrently, so that a slow acknowledgement delays no other entry.
	atOnce = 32
	// patience is how long an entry is left to the detectors that have the policy of the partition's owner.
	patience = time.Minute
)

// round is one pass over everything that is due.
type round struct {
	store Store
	away  atomic.Bool // the log accepts no events: nothing more is published in this round
	moved atomic.Int64

	mu  sync.Mutex
	err error // the first error that concerns more than one entry
}

func (r *round) note(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.err == nil {
		r.err = err
	}
}

// round judges everything that is due, page by page. It returns only errors that concern more than one entry.
func (d *Detector) round(ctx context.Context, store Store, n int) error {
	limited, cancel := context.WithTimeout(ctx, roundLimit)
	defer cancel()
	r := &round{store: store}
	for {
		due, err := d.due(limited, store)
		if err != nil {
			d.metrics.failures.WithLabelValues(reasonStore).Inc()
			d.metrics.round(false)
			return err
		}
		if !d.page(limited, r, due, n) || limited.Err() != nil {
			break
		}
	}
	if r.moved.Load() > 0 && !r.away.Load() {
		r.err = nil // errors of a few entries are counted, and the entries are retried
	}
	d.metrics.round(r.err == nil && limited.Err() == nil)
	return r.err
}

func (d *Detector) due(ctx context.Context, store Store) ([]viewstore.DuePartition, error) {
	ctx, cancel := context.WithTimeout(ctx, waitLimit)
	defer cancel()
	var due []viewstore.DuePartition
	serves, err := store.Serves(ctx)
	if err == nil && serves {
		due, err = store.Due(ctx, d.o.Limit)
	}
	if err != nil {
		return nil, fmt.Errorf("detector: %w", err)
	}
	d.mu.Lock()
	d.reached = time.Now()
	d.mu.Unlock()
	return due, nil
}

// page judges concurrently what was read; each round begins with another partition. It reports whether more may be due:
// a partition returned a full page, and some of its entries were moved.
func (d *Detector) page(ctx context.Context, r *round, due []viewstore.DuePartition, n int) (more bool) {
	if seeded.Bug("return-at-first-error") && slices.ContainsFunc(due, func(p viewstore.DuePartition) bool { return p.Err != nil }) {
		return false
	}
	var g errgroup.Group
	g.SetLimit(atOnce)
	moved := make([]atomic.Int64, len(due))
	for k := range due {
		i := (k + n) % len(due)
		part := &due[i]
		if part.Err != nil {
			d.partitionFailed(part)
			continue
		}
		for _, v := range part.Views {
			g.Go(func() error {
				if ctx.Err() == nil && d.check(ctx, r, part, v) {
					moved[i].Add(1)
				}
				return nil
			})
		}
	}
	_ = g.Wait()
	for i := range due {
		more = more || len(due[i].Views) >= d.o.Limit && moved[i].Load() > 0
	}
	return more && !r.away.Load()
}

// partitionFailed logs a partition that can't be read, less and less often while that lasts.
func (d *Detector) partitionFailed(part *viewstore.DuePartition) {
	d.metrics.failures.WithLabelValues(reasonPartition).Inc()
	key := viewstore.Key{Batch: fmt.Sprintf("p%02d", part.Partition)} // no batch has an empty namespace
	if n := d.entries.fail(key); n&(n-1) == 0 {
		d.log.Warn("reading partition failed", "partition", part.Partition, "error", part.Err, "failures", n)
	}
}

// check judges one view as of its partition's moment, publishes what is due, and moves the entry, so that it isn't due
// again at once (rule 9). It reports whether the entry was moved.
func (d *Detector) check(ctx context.Context, r *round, part *viewstore.DuePartition, v viewstore.DueView) (moved bool) {
	d.metrics.late(part.Fence, v.Score)
	if d.leftToOthers(ctx, part.Fence, v.Score) {
		d.metrics.checks.WithLabelValues(outcomeOtherPolicy).Inc()
		return false
	}
	asOf := part.Fence.AsOf()
	outcome, at, err := d.judge(ctx, r, part.Fence, v)
	switch {
	case err == nil:
		d.metrics.checks.WithLabelValues(outcome).Inc()
	case ctx.Err() != nil:
		return false // the round is over: the entry is due in the next one
	case errors.Is(err, eventlog.ErrUnavailable):
		// The entry isn't the cause. It stays due, so that it is announced as soon as the log accepts events again.
		if r.away.CompareAndSwap(false, true) {
			d.metrics.failures.WithLabelValues(reasonUnavailable).Inc()
			r.note(fmt.Errorf("detector: %w", err))
		}
		return false
	default:
		reason := reasonOf(err)
		d.metrics.failures.WithLabelValues(reason).Inc()
		failures := d.entries.fail(v.Key)
		delay := delayAfter(failures)
		d.log.Warn("judging or announcing batch failed, will retry", "namespace", v.Namespace, "batch", v.Batch, "partition", part.Partition,
			"reason", reason, "error", err, "failures", failures, "retry_in_seconds", delay.Seconds())
		v.Unreadable = reason == reasonUnreadable || reason == reasonPanic
		at = roundUp(asOf.Add(delay))
	}
	return d.move(ctx, r, part.Partition, v, at)
}

// leftToOthers reports that the partition's owner has another policy than this detector, and that the entry isn't due for long.
// A detector that has the owner's policy judges it meanwhile: judged by two policies, an entry would be announced twice, or be
// moved to where only the other policy looks at it again. If there is no such detector, a late announcement is better than none.
func (d *Detector) leftToOthers(ctx context.Context, f viewstore.Fence, score string) bool {
	if f.PolicyHash == "" || f.PolicyHash == d.o.Policies.Hash() {
		return false
	}
	d.mu.Lock()
	known := d.otherPolicy == f.PolicyHash
	d.otherPolicy = f.PolicyHash
	d.mu.Unlock()
	if !known {
		d.log.WarnContext(ctx, "ingest has another policy, give both the same file", "policy", d.o.Policies.Hash(), "of_ingest", f.PolicyHash)
	}
	due, err := strconv.ParseFloat(score, 64)
	return err == nil && float64(f.AsOf().UnixMilli())-due < float64(patience.Milliseconds())
}

func (d *Detector) move(ctx context.Context, r *round, partition int, v viewstore.DueView, at int64) bool {
	ctx, cancel := context.WithTimeout(ctx, waitLimit)
	defer cancel()
	if err := r.store.Reschedule(ctx, partition, v, at); err != nil {
		d.metrics.failures.WithLabelValues(reasonReschedule).Inc()
		r.note(fmt.Errorf("detector: %w", err))
		return false
	}
	r.moved.Add(1)
	return true
}

// roundUp is a moment in ms, never earlier than it.
func roundUp(at time.Time) int64 { return at.Add(time.Millisecond - 1).UnixMilli() }
