package ingest

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cenkalti/backoff/v4"

	"github.com/headwayhq/headway/pkg/eventlog"
	"github.com/headwayhq/headway/pkg/viewstore"
)

// read keeps the main reader going: whatever ends it, it begins again where it stood, unless the stream
// isn't the same any more.
func (e *epoch) read(ctx context.Context) {
	defer context.AfterFunc(ctx, e.router.wake)()
	e.again(ctx, "main reader", func() error {
		info, err := e.s.o.Log.Info(ctx)
		if err != nil {
			return err
		}
		return e.s.o.Log.Read(ctx, eventlog.ReadOptions{From: e.router.begin(info.Last), Partition: -1, Identity: e.identity},
			func(m eventlog.Message) error { return e.router.route(ctx, m) })
	})
}

// again repeats what reads until ctx ends; a changed identity ends the epoch.
func (e *epoch) again(ctx context.Context, what string, read func() error) {
	retry := backoff.NewExponentialBackOff(backoff.WithInitialInterval(50*time.Millisecond),
		backoff.WithMaxInterval(2*time.Second), backoff.WithMaxElapsedTime(0))
	for ctx.Err() == nil {
		began := time.Now()
		err := read()
		switch {
		case ctx.Err() != nil:
			return
		case errors.Is(err, eventlog.ErrIdentityChanged):
			if _, bump := e.s.o.Log.BumpIncarnation(ctx, e.identity); bump != nil {
				err = errors.Join(err, bump)
			}
			e.fail(err)
			return
		}
		e.s.log.Warn("reader ended", "reader", what, "error", err)
		if time.Since(began) > 10*time.Second {
			retry.Reset()
		}
		select {
		case <-ctx.Done():
		case <-time.After(retry.NextBackOff()):
		}
	}
}

// attachEvery is how often a partition that reads by itself looks whether it can be attached.
const attachEvery = 50 * time.Millisecond

// catchUp reads a partition by itself until the main reader can take over.
func (e *epoch) catchUp(ctx context.Context, p *partition) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(ctx, e.router.wake)()
	e.wg.Go(func() {
		defer cancel()
		ticker := time.NewTicker(attachEvery)
		defer ticker.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-p.stopped:
				return
			case <-ticker.C:
			}
			// Asked in this order: what the main reader had read by then was stored before the last
			// message was asked for.
			position, _ := e.router.at()
			last, err := e.s.o.Log.LastSeq(ctx, p.number)
			if err != nil {
				continue
			}
			read := e.router.lastOf(p)
			if read >= last {
				read = max(read, position)
			}
			if e.router.attach(p, read) {
				return
			}
		}
	})
	e.again(ctx, fmt.Sprintf("catch-up p%02d", p.number), func() error {
		return e.s.o.Log.Read(ctx, eventlog.ReadOptions{From: e.router.lastOf(p) + 1, Partition: p.number, Identity: e.identity},
			func(m eventlog.Message) error { return e.router.feed(ctx, p, m) })
	})
}

// lastOf is the last sequence queued for a partition.
func (r *router) lastOf(p *partition) uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return p.last
}

// beat is what a heartbeat found: everything up to cursor has been read, and nothing stored before
// watermark is missing.
type beat struct {
	cursor    uint64
	stored    int64 // of the message at the cursor, 0 if unknown
	watermark time.Time
	caughtUp  bool
	end       uint64
	gone      int64 // events stored before are gone, 0 if none are
}

// reachWait bounds how long a heartbeat waits for the reader to reach the end that it asked for.
const reachWait = 100 * time.Millisecond

// beat finds how far the main reader has come. info was asked before. One question serves all partitions:
// an unfiltered reader at a position has read everything up to it, of every partition (rule 7).
func (e *epoch) beat(ctx context.Context, info eventlog.Info) (beat, error) {
	caughtUp := e.router.reach(ctx, info.Last, reachWait)
	if !caughtUp {
		// The end may be a message that was deleted since: then nothing is left to be read.
		last, err := e.s.o.Log.LastSeq(ctx, -1)
		if err != nil {
			return beat{}, err
		}
		position, _ := e.router.at()
		caughtUp = last <= position
	}
	position, stored := e.router.at()
	b := beat{cursor: position, stored: stored, watermark: time.Unix(0, stored), caughtUp: caughtUp, end: info.Last}
	if !info.GoneBefore.IsZero() {
		b.gone = info.GoneBefore.UnixNano()
	}
	if caughtUp {
		b.watermark = info.Now
		if info.Last > position {
			b.cursor, b.stored = info.Last, 0
		}
	}
	return b, nil
}

// claimable is the record to claim with: the one seen, under a new token, complete no more.
func (e *epoch) claimable(seen *viewstore.Fence) viewstore.Fence {
	next := viewstore.Fence{Identity: e.identity, Fold: e.store.Fold()}
	if seen != nil {
		next = *seen
	}
	next.Token, next.Complete = newToken(), false
	next.PolicyHash = e.s.o.Policies.Hash()
	return next
}

// verify checks that a claimed position means something on this stream (rule 5), and whether events were
// lost between it and what the stream still holds (rule 6).
func (e *epoch) verify(ctx context.Context, f viewstore.Fence) (incomplete bool, err error) {
	info, err := e.s.o.Log.Info(ctx)
	if err != nil {
		return false, err
	}
	changed := func(why string) error {
		if _, err := e.s.o.Log.BumpIncarnation(ctx, e.identity); err != nil {
			return err
		}
		err := fmt.Errorf("%w: %s", eventlog.ErrIdentityChanged, why)
		e.fail(err)
		return err
	}
	if info.Identity != e.identity {
		err := fmt.Errorf("%w: was %s, is %s", eventlog.ErrIdentityChanged, e.identity, info.Identity)
		e.fail(err)
		return false, err
	}
	if f.Cursor > info.Last {
		return false, changed(fmt.Sprintf("cursor %d is beyond the end %d", f.Cursor, info.Last))
	}
	if f.Cursor > 0 && f.CursorTime != 0 {
		at, found, err := e.s.o.Log.StoredAt(ctx, f.Cursor)
		if err != nil {
			return false, err
		}
		if found && at.UnixNano() != f.CursorTime {
			return false, changed(fmt.Sprintf("message %d is another one", f.Cursor))
		}
	}
	return info.First > f.Cursor+1, nil
}
