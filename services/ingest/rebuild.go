package ingest

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cenkalti/backoff/v4"

	"github.com/headwayhq/headway/pkg/diagnostics"
	"github.com/headwayhq/headway/pkg/eventlog"
	"github.com/headwayhq/headway/pkg/viewstore"
	"github.com/headwayhq/headway/services/internal/folding"
)

// Reasons for a repair: values of a metric's label.
const (
	reasonMissing   = "view_missing"
	reasonCorrupt   = "view_unreadable"
	reasonDiffers   = "view_differs"
	reasonPanic     = "fold_panicked"
	reasonEncode    = "view_not_storable"
	reasonCatalogue = "catalogue"
	reasonIndexes   = "indexes"
	reasonPartition = "partition"
	reasonFence     = "fence"

	reasonCheckpoint = "checkpoint_unreadable"
)

// rebuild rebuilds one view from the log, beside the worker, which continues with the other views of its partition.
//
// It reads the batch's messages up to the position at which it began. The worker queues later messages of the batch,
// and folds them in the end. So the view is exactly at the cursor when it is committed.
type rebuild struct {
	entry    *entry
	view     *diagnostics.View
	from     uint64
	upTo     uint64
	identity string
	gone     bool // earlier events may be gone from the log
	some     bool // there was an event

	base   []byte // its checkpoint; nil if there is none
	covers uint64
	expect uint64
	asOf   int64
	first  uint64
	rowed  bool
	hole   uint64 // a batch without checkpoint that begins before has lost events

	careful bool // an event made the fold panic: keep a copy of the state before each event
	decoder diagnostics.Decoder

	// Used by the worker only.
	aside    []eventlog.Message
	bytes    int
	overflow bool // more arrived than is queued: the rest is read from the log as well
}

// Limits of the messages queued for one batch.
const (
	maxAside      = 4096
	maxAsideBytes = 16 << 20
)

// keep queues a message.
func (r *rebuild) keep(m eventlog.Message) {
	if r.overflow {
		return
	}
	if len(r.aside) >= maxAside || r.bytes+len(m.Data) > maxAsideBytes {
		r.aside, r.bytes, r.overflow = nil, 0, true
		return
	}
	r.aside = append(r.aside, m)
	r.bytes += len(m.Data)
}

// rebuildView starts rebuilding an entry's view up to the worker's position.
func (p *partition) rebuildView(ctx context.Context, e *entry, reason string) {
	p.metrics.damage.WithLabelValues(reason).Inc()
	p.logger.Warn("rebuilding view from the log", "partition", p.number, "namespace", e.key.Namespace, "batch", e.key.Batch, "reason", reason)
	p.discard(e)
	r := &rebuild{
		entry: e, view: diagnostics.NewView(e.key.Namespace, e.key.Batch), from: 1, upTo: p.folded.seq,
		identity: p.fence.Identity, careful: reason == reasonPanic, gone: p.incomplete, hole: p.past.holeNoted,
	}
	e.rebuild = r
	p.rebuilding++
	p.wg.Go(func() { p.runRebuild(ctx, r) })
}

// rebuildLimit limits one attempt to read a batch.
const rebuildLimit = time.Minute

// runRebuild retries until it has read the batch, and passes the result to the worker.
func (p *partition) runRebuild(ctx context.Context, r *rebuild) {
	retry := backoff.NewExponentialBackOff(backoff.WithInitialInterval(100*time.Millisecond),
		backoff.WithMaxInterval(5*time.Second), backoff.WithMaxElapsedTime(0))
	for {
		select {
		case <-ctx.Done():
			return
		case p.restores <- struct{}{}:
		}
		err := p.tryRebuild(ctx, r)
		<-p.restores
		if err == nil {
			break
		}
		if ctx.Err() != nil {
			return
		}
		if !errors.Is(err, errCareful) {
			p.logger.Warn("rebuilding view failed, will retry", "partition", p.number, "namespace", r.entry.key.Namespace, "batch", r.entry.key.Batch, "error", err)
			select {
			case <-ctx.Done():
				return
			case <-time.After(retry.NextBackOff()):
			}
		}
	}
	select {
	case <-ctx.Done():
	case p.rebuilt <- r:
	}
}

// errCareful: the batch is read again, with a copy of the state before each event.
var errCareful = errors.New("an event can't be folded")

func (p *partition) tryRebuild(ctx context.Context, r *rebuild) error {
	ctx, cancel := context.WithTimeout(ctx, rebuildLimit)
	defer cancel()
	key := r.entry.key
	if p.past.generation != "" && r.base == nil && r.from == 1 {
		c, err := p.archive.Checkpoint(ctx, p.past.generation, key.Namespace, key.Batch)
		if err != nil {
			return err
		}
		if c != nil {
			view, err := p.parseCheckpoint(c)
			if err != nil {
				return err
			}
			r.begin(c, view)
			r.asOf, r.first = p.told(c)
			if c.Identity != r.identity {
				r.covers = 0
			}
		}
	}
	err := p.log.ReadBatch(ctx, eventlog.BatchOptions{
		Partition: p.number, Namespace: key.Namespace, Batch: key.Batch, From: r.from, To: r.upTo, Identity: r.identity,
	}, func(m eventlog.Message) error { return r.take(p.fold, &m) })
	return err
}

// begin makes the checkpoint the state before the first event.
func (r *rebuild) begin(c *eventlog.Checkpoint, view *diagnostics.View) {
	r.view, r.base, r.expect, r.some = view, c.Value, c.Seq, true
	r.covers, r.rowed = c.Covers, c.Rowed || !c.Over.IsZero() || c.Erased
}

// take folds one message of the log. A rejected message already has a dead letter.
func (r *rebuild) take(fold func(*diagnostics.View, *diagnostics.Event) diagnostics.Outcome, m *eventlog.Message) error {
	event, rejection := folding.Decode(&r.decoder, m)
	if rejection != nil {
		if refusal, whose := folding.Refused(m, rejection); whose {
			folding.Refusal(r.view, refusal, m.Seq)
			r.some = true
		}
		return nil
	}
	var before []byte
	if r.careful {
		before = r.view.Append(nil)
	}
	if !r.some && m.Seq <= r.hole {
		r.gone = true
	}
	_, _, err := folding.Into(fold, r.view, event, m.Seq)
	if err == nil {
		r.some = true
		return nil
	}
	if !r.careful {
		r.careful, r.from, r.base, r.some = true, 1, nil, false
		r.view = diagnostics.NewView(r.view.Namespace, r.view.Batch)
		return errCareful
	}
	r.view, err = diagnostics.Parse(before)
	if err != nil {
		return fmt.Errorf("the state before event %d: %w", m.Seq, err)
	}
	return nil
}

// takeRebuilt takes over a rebuilt view, and folds the messages queued meanwhile.
func (p *partition) takeRebuilt(ctx context.Context, r *rebuild) error {
	if r.overflow {
		r.from, r.upTo, r.overflow = r.upTo+1, p.folded.seq, false
		p.wg.Go(func() { p.runRebuild(ctx, r) })
		return nil
	}
	e := r.entry
	e.rebuild, e.view = nil, r.view
	if r.base != nil {
		e.covers, e.expect, e.recalled = max(e.covers, r.covers), r.expect, true
		e.asOf, e.first = r.asOf, r.first
		e.rowed = e.rowed || r.rowed
	}
	p.rebuilding--
	if counted, err := diagnostics.ParseHeader(e.counted); err == nil {
		e.view.Incomplete = e.view.Incomplete || counted.Incomplete
		if r.gone || r.base != nil { // the remaining events may have a lower revision, which must not go back
			e.view.Revision, e.view.HealthSeq = max(e.view.Revision, counted.Revision), max(e.view.HealthSeq, counted.HealthSeq)
		}
	}
	e.view.Incomplete = e.view.Incomplete || r.gone
	if !r.some && len(r.aside) == 0 && e.counted == nil {
		e.view, e.dirty = nil, false // the batch has no view
		delete(p.held, e)
	}
	var dead []letter
	for i := range r.aside {
		m := &r.aside[i]
		if _, rejection := p.applyOne(ctx, m, e); rejection != nil {
			dead = append(dead, letter{before: position{seq: p.fence.Cursor, stored: p.fence.CursorTime}, DeadLetter: eventlog.DeadLetter{
				Identity: p.fence.Identity, Seq: m.Seq, Subject: m.Subject, Field: rejection.Field, Reason: rejection.Reason,
				Stored: m.Stored, Data: m.Data, Header: m.Header,
			}})
		}
	}
	p.letters.bury(ctx, dead)
	if err := p.commit(ctx, p.writes([]*entry{e})); err != nil {
		return err
	}
	if err := p.relieve(ctx); err != nil {
		return err
	}
	return p.refilled(ctx)
}

// lookAgain checks views that were reported as damaged.
func (p *partition) lookAgain(ctx context.Context, keys []viewstore.Key, reason string) error {
	for len(keys) > 0 {
		page := keys[:min(loadPage, len(keys))]
		keys = keys[len(page):]
		if p.rebuilding+len(page) > maxRebuilds {
			return p.void(ctx, "too many views are missing")
		}
		var cached, unknown []*entry
		for _, k := range page {
			name := k.Namespace + "." + k.Batch
			e := p.cache.get(name)
			switch {
			case e == nil:
				unknown = append(unknown, p.cache.add(name))
			case e.there() && e.rebuild == nil && !e.dirty: // it is unchanged since its last commit
				p.metrics.damage.WithLabelValues(reason).Inc()
				e.row = 0
				if e.view != nil && e.view.Tracked() {
					e.view.Track() // all parts are written again
				}
				cached = append(cached, e)
			case !e.there() && e.rebuild == nil:
				unknown = append(unknown, e)
			}
		}
		if err := p.load(ctx, unknown); err != nil {
			return err
		}
		if len(cached) > 0 {
			if err := p.commit(ctx, p.writes(cached)); err != nil {
				return err
			}
		}
	}
	return p.relieve(ctx)
}
