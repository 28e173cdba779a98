package ingest

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/headwayhq/headway/pkg/diagnostics"
	"github.com/headwayhq/headway/pkg/eventlog"
	"github.com/headwayhq/headway/pkg/viewstore"
)

// partition is one owned partition: the record believed in, the views cached under it and what waits to
// be folded are one thing, dropped together (rule 2).
type partition struct {
	e      *epoch
	number int
	token  string

	// The worker's own.
	fence      viewstore.Fence
	cache      *cache
	decoder    diagnostics.Decoder
	encoder    diagnostics.Encoder
	buffer     []byte
	pending    *beat
	rescore    bool // the due index was made under another policy
	incomplete bool // events were lost before the cursor: views folded until complete are flagged

	// Guarded by the router's lock.
	queue, spare []eventlog.Message
	last         uint64 // last sequence queued

	signal   chan struct{} // the queue isn't empty
	beats    chan beat     // the newest heartbeat
	complete atomic.Bool

	once    sync.Once
	stopped chan struct{}
	why     error
}

func newToken() string { return rand.Text() }

func newPartition(e *epoch, number int, f viewstore.Fence, incomplete bool) *partition {
	return &partition{
		e: e, number: number, token: f.Token, fence: f, cache: newCache(e.s.o.CacheSize), incomplete: incomplete,
		last: f.Cursor, signal: make(chan struct{}, 1), beats: make(chan beat, 1), stopped: make(chan struct{}),
	}
}

// stop ends the worker; the first reason counts.
func (p *partition) stop(why error) {
	p.once.Do(func() {
		p.why = why
		close(p.stopped)
	})
}

// enqueue takes a message, once. The router's lock is held.
func (p *partition) enqueue(m eventlog.Message) {
	if m.Seq <= p.last {
		return
	}
	p.last = m.Seq
	p.queue = append(p.queue, m)
	select {
	case p.signal <- struct{}{}:
	default:
	}
}

// poke hands on a heartbeat; one not yet taken is replaced.
func (p *partition) poke(b beat) {
	for {
		select {
		case p.beats <- b:
			return
		default:
		}
		select {
		case <-p.beats:
		default:
		}
	}
}

// releaseLimit bounds giving a partition back.
const releaseLimit = 300 * time.Millisecond

// run folds until the partition is stopped, refused, or ctx ends. In order it gives the partition back.
func (p *partition) run(ctx context.Context) error {
	defer p.e.router.remove(p)
	if !p.e.router.add(p) {
		p.e.wg.Go(func() { p.e.catchUp(ctx, p) })
	}
	err := p.work(ctx)
	p.stop(err)
	if ctx.Err() != nil || errors.Is(err, errReleased) {
		release, cancel := context.WithTimeout(context.WithoutCancel(ctx), releaseLimit)
		defer cancel()
		if err := p.e.store.Release(release, p.number, p.fence); err != nil {
			p.e.s.log.Debug("release", "partition", p.number, "error", err) // its lease passes
		}
	}
	return err
}

func (p *partition) work(ctx context.Context) error {
	if p.incomplete {
		p.e.s.log.Error("events were lost before they were folded: views are incomplete", "partition", p.number, "cursor", p.fence.Cursor)
		if err := p.flagAll(ctx); err != nil {
			return err
		}
	}
	p.e.wg.Go(func() { p.sweep(ctx) })
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-p.stopped:
			return p.why
		case b := <-p.beats:
			p.pending = &b
		case <-p.signal:
			if err := p.foldQueued(ctx); err != nil {
				return err
			}
		}
		if err := p.settleBeat(ctx); err != nil {
			return err
		}
	}
}

// foldQueued folds what is queued, once it is this partition's turn.
func (p *partition) foldQueued(ctx context.Context) error {
	select {
	case p.e.slots <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-p.e.slots }()
	batch, more := p.e.router.take(p, p.e.s.o.MaxBatch)
	if more {
		select {
		case p.signal <- struct{}{}:
		default:
		}
	}
	if err := p.fold(ctx, batch); err != nil {
		return err
	}
	p.reuse(batch)
	return nil
}

// reuse gives a batch's memory back to the queue.
func (p *partition) reuse(batch []eventlog.Message) {
	clear(batch)
	p.e.router.mu.Lock()
	defer p.e.router.mu.Unlock()
	p.spare = batch[:0]
}

// settleBeat moves the record by the last heartbeat, once everything that it speaks of is folded; until
// then it only renews the lease.
func (p *partition) settleBeat(ctx context.Context) error {
	b := p.pending
	if b == nil {
		return nil
	}
	to := viewstore.Progress{
		Cursor: p.fence.Cursor, CursorTime: p.fence.CursorTime, Watermark: p.fence.Watermark,
		Complete: p.fence.Complete, EndSeen: b.end, GoneBefore: b.gone,
	}
	if p.e.router.before(p, b.cursor) {
		p.pending = nil
		if b.cursor > to.Cursor {
			to.Cursor, to.CursorTime = b.cursor, b.stored
		}
		to.Watermark = max(to.Watermark, b.watermark.UnixNano())
		to.Complete = to.Complete || b.caughtUp
	} else if time.Until(time.UnixMilli(p.fence.LeaseUntil)) > p.e.s.o.Lease/2 {
		return nil
	}
	if err := p.commit(ctx, to, nil); err != nil {
		return err
	}
	if p.fence.Complete {
		p.incomplete = false
	}
	return nil
}

// commitLimit bounds one try of a commit; what was lost is repeated.
const commitLimit = 2 * time.Second

// commit moves the record by to and writes views. A commit whose outcome is unknown is repeated as it
// was, until its lease is over.
func (p *partition) commit(ctx context.Context, to viewstore.Progress, writes []viewstore.Write) error {
	next := p.fence.Advance(to, p.e.s.o.Policies.Hold())
	began := time.Now()
	for {
		try, cancel := context.WithTimeout(context.WithoutCancel(ctx), commitLimit)
		f, err := p.e.store.Commit(try, p.number, p.fence, next, p.e.s.o.Lease, writes)
		cancel()
		if err == nil {
			p.fence = f
			p.complete.Store(f.Complete)
			p.e.s.metrics.commit(len(writes), time.Since(began))
			return nil
		}
		if errors.Is(err, viewstore.ErrFenced) || ctx.Err() != nil || time.Since(began) > p.e.s.o.Lease {
			return fmt.Errorf("ingest: %w", err)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-p.stopped:
			return p.why
		case <-time.After(50 * time.Millisecond):
		}
	}
}
