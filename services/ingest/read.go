package ingest

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cenkalti/backoff/v4"

	"github.com/headwayhq/headway/internal/seeded"
	"github.com/headwayhq/headway/pkg/eventlog"
)

// read runs the main reader. If it ends, it is restarted at its position, unless the stream's identity
// has changed.
func (e *epoch) read(ctx context.Context) {
	defer context.AfterFunc(ctx, e.router.wake)()
	e.again(ctx, "main reader", func() error {
		info, err := e.log.Info(ctx)
		if err != nil {
			return err
		}
		return e.log.Read(ctx, eventlog.ReadOptions{From: e.router.begin(info.Last), Partition: -1, Identity: e.identity},
			func(m eventlog.Message) error { return e.router.route(ctx, m) })
	})
}

// again calls read until ctx ends. A changed identity ends the epoch.
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
			if _, bump := e.log.BumpIncarnation(ctx, e.identity); bump != nil {
				err = errors.Join(err, bump)
			}
			e.fail(err)
			return
		}
		e.logger.Warn("reader ended, restarting it", "reader", what, "error", err)
		if time.Since(began) > 10*time.Second {
			retry.Reset()
		}
		select {
		case <-ctx.Done():
		case <-time.After(retry.NextBackOff()):
		}
	}
}

// attachEvery is the interval at which a partition that reads by itself checks whether it can be attached.
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
			// In this order, because everything that the main reader has read by now was stored before the last
			// message is asked for.
			position, _ := e.router.at()
			last, err := e.log.LastSeq(ctx, p.number)
			if err != nil {
				continue
			}
			read := p.queue.lastQueued()
			if read >= last {
				read = max(read, position)
			}
			if p.queue.attach(read) {
				return
			}
		}
	})
	e.again(ctx, fmt.Sprintf("catch-up p%02d", p.number), func() error {
		return e.log.Read(ctx, eventlog.ReadOptions{From: p.queue.lastQueued() + 1, Partition: p.number, Identity: e.identity},
			func(m eventlog.Message) error { return p.queue.feed(ctx, m) })
	})
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

// reachWait limits how long a heartbeat waits for the reader to reach the end of the log.
const reachWait = 100 * time.Millisecond

// beat determines the position of the main reader. info was requested before. One request is enough for all partitions,
// because an unfiltered reader at a position has read everything up to it, for every partition (rule 7).
func (e *epoch) beat(ctx context.Context, info eventlog.Info) (beat, error) {
	caughtUp := e.router.reach(ctx, info.Last, reachWait)
	if !caughtUp {
		// The message at the end may have been deleted since; then nothing is left to read.
		last, err := e.log.LastSeq(ctx, -1)
		if err != nil {
			return beat{}, err
		}
		position, _ := e.router.at()
		caughtUp = last <= position
	}
	caughtUp = caughtUp || seeded.Bug("watermark-is-now")
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
