package detector

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/headwayhq/headway/pkg/diagnostics"
	"github.com/headwayhq/headway/pkg/eventlog"
	"github.com/headwayhq/headway/pkg/viewstore"
)

// again is the delay after which an entry is checked again whose event was published and not folded yet, by the partition's
// own clock.
const again = 2 * time.Second

// judge judges one view and publishes what is due. It returns the outcome and the moment in ms of the next
// check (0: never). An error concerns this entry alone, unless it is eventlog.ErrUnavailable.
func (d *Detector) judge(ctx context.Context, r *round, f viewstore.Fence, v viewstore.DueView) (outcome string, at int64, err error) {
	defer func() {
		if p := recover(); p != nil { // an unexpected view may violate an assumption of the rules
			err = failure{reasonPanic, fmt.Errorf("panic: %v\n%s", p, debug.Stack())}
		}
	}()
	if v.Value == nil {
		return "", 0, failure{reasonMissing, errors.New("the view is gone")}
	}
	view, err := diagnostics.Parse(v.Value)
	if err == nil && (view.Namespace != v.Namespace || view.Batch != v.Batch) {
		err = fmt.Errorf("it is the view of %s in %s", view.Batch, view.Namespace)
	}
	if err != nil {
		return "", 0, failure{reasonUnreadable, err}
	}
	d.entries.folded(v.Key, view.HealthSeq)
	asOf, policy := f.AsOf(), d.o.Policies.For(v.Namespace)
	derived := diagnostics.Derive(view)
	p, due := derived.Due(asOf, policy)
	if !due {
		d.entries.forget(v.Key)
		if next, ok := derived.NextCheck(asOf, policy); ok {
			at = roundUp(next)
		}
		return outcomeUnchanged, at, nil
	}
	if r.away.Load() {
		return "", 0, eventlog.ErrUnavailable
	}
	// Ask again: the round may be long, and the next version starts at once.
	if serves, err := r.store.Serves(ctx); err != nil {
		return "", 0, failure{reasonStore, err}
	} else if !serves {
		return outcomeSuperseded, roundUp(asOf.Add(again)), nil
	}
	if p.Settled != nil {
		outcome, err = outcomeSettled, d.settle(ctx, v.Key, p.Settled)
	} else {
		outcome, err = d.announce(ctx, r.store, f, view, asOf, p.Announcement)
	}
	if err != nil {
		return "", 0, d.blame(ctx, err)
	}
	return outcome, roundUp(asOf.Add(max(again, d.entries.delay(v.Key)))), nil
}

// blameLimit limits how long to wait for any answer of the log after one publish has timed out.
const blameLimit = 2 * time.Second

// blame distinguishes a timeout of one event from a log that doesn't answer at all.
func (d *Detector) blame(ctx context.Context, err error) error {
	timeout := errors.Is(err, context.DeadlineExceeded) || errors.Is(err, nats.ErrTimeout)
	if !timeout || ctx.Err() != nil || errors.Is(err, eventlog.ErrUnavailable) {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, blameLimit)
	defer cancel()
	if _, info := d.o.Log.Info(ctx); info != nil {
		return fmt.Errorf("%w: %w", eventlog.ErrUnavailable, err)
	}
	return failure{reasonTimeout, err}
}

func (d *Detector) settle(ctx context.Context, k viewstore.Key, s *diagnostics.Settling) error {
	event, err := settlingEvent(k, s)
	if err != nil {
		return err
	}
	if _, err = d.o.Log.Publish(ctx, "headway.events."+k.Namespace+"."+k.Batch+".batch", eventlog.Structured(), event); err == nil {
		d.entries.published(k)
	}
	return err
}

// announce publishes on the condition that the last announcement is the last one in the view (rule 10), once for each read
// of the view: an ordinal is never published against a sequence beyond the cursor of that same read.
func (d *Detector) announce(ctx context.Context, store Store, f viewstore.Fence, view *diagnostics.View, asOf time.Time, a *diagnostics.Announcement) (outcome string, err error) {
	event, err := announcementEvent(d.o.BaseURL, store.RevisionID(view.Revision), d.o.Policies.For(view.Namespace).Hash(), view, asOf, a)
	if err != nil {
		return "", err
	}
	k := viewstore.Key{Namespace: view.Namespace, Batch: view.Batch}
	expect := max(view.HealthSeq, d.entries.last(k, f.Cursor))
	_, err = d.o.Log.PublishHealth(ctx, k.Namespace, k.Batch, expect, event)
	var wrong eventlog.WrongLastError
	switch {
	case err == nil:
		d.entries.published(k)
		return outcomeAnnounced, nil
	case !errors.As(err, &wrong):
		return "", err
	}
	d.entries.refused(k, wrong.Last)
	if wrong.Last <= f.Cursor {
		// It is before the cursor and not in the view, so the fold has refused it. After the next read, expect it as the last one.
		return "", failure{reasonUnfolded, fmt.Errorf("health event %d changed nothing when it was folded", wrong.Last)}
	}
	return outcomeRefused, nil
}
