package ingest

import (
	"context"
	"errors"
	"fmt"
	"math"
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
			func(m eventlog.Message) error {
				if err := e.lookPast(ctx, m.Seq); err != nil {
					return err
				}
				return e.router.route(ctx, m)
			})
	})
}

// lookPast looks at the log's beginning before anything is folded past a gap in the sequences (rule 23). A gap inside the log is left by
// events that were erased. One at its beginning means that events were removed before they were read: the epoch ends, and each partition
// finds out at its claim what that means for it.
func (e *epoch) lookPast(ctx context.Context, seq uint64) error {
	position, _ := e.router.at()
	if seq <= position+1 || position < e.born {
		return nil
	}
	info, err := e.log.Info(ctx)
	if err != nil {
		return err
	}
	if info.First > position+1 && info.First > e.begins.Load() {
		e.fail(fmt.Errorf("%w: read up to %d, the first is %d", errGap, position, info.First))
		return errGap
	}
	return nil
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

// attachEvery is the interval at which a group that receives nothing checks whether it is at the log's end.
const attachEvery = 50 * time.Millisecond

// maxReaders is how many readers beside the main one a process has at once. They share a connection, which the server closes when
// it has more than 64 MiB to send over it, and each makes the server search the log.
const maxReaders = 4

// catchUp reads for partitions that the main reader has passed until it can take over.
func (e *epoch) catchUp(ctx context.Context, queues []*queue) {
	select {
	case e.readers <- struct{}{}:
	case <-ctx.Done():
		return
	}
	defer func() { <-e.readers }()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(ctx, e.router.wake)()
	g := e.router.group(queues)
	if g.reached(math.MaxUint64, 0) != nil { // dropped meanwhile
		return
	}
	e.wg.Go(func() {
		defer cancel()
		ticker := time.NewTicker(attachEvery)
		defer ticker.Stop()
		for before := uint64(0); ; {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
			}
			if now := g.at(); now != before {
				before = now
				continue
			}
			// In this order, because everything that the main reader has read by now was stored before the last
			// message is asked for.
			position, _ := e.router.at()
			_, partition := g.next()
			last, err := e.log.LastSeq(ctx, partition)
			if err != nil {
				last = math.MaxUint64 // not known
			}
			err = g.reached(last, position)
			if errors.Is(err, errGroupDone) {
				return
			}
		}
	})
	e.again(ctx, "catch-up", func() error {
		from, partition := g.next()
		err := e.log.Read(ctx, eventlog.ReadOptions{From: from, Partition: partition, Identity: e.identity},
			func(m eventlog.Message) error { return g.feed(ctx, m) })
		if errors.Is(err, errGroupDone) {
			cancel()
		}
		return err
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

	asked   time.Time // here, before the servers were asked
	first   uint64    // the log's first sequence
	looked  uint64    // the partition's cursor before that was asked
	covered uint64    // by checkpoints: the log's floor
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
	b := beat{cursor: position, stored: stored, watermark: time.Unix(0, stored), caughtUp: caughtUp, end: info.Last, first: info.First}
	if !info.GoneBefore.IsZero() && info.First-1 > e.floor.Covered {
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
