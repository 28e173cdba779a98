package ingest

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"github.com/headwayhq/headway/pkg/diagnostics"
	"github.com/headwayhq/headway/pkg/eventlog"
	"github.com/headwayhq/headway/services/internal/folding"
)

func TestBasesFor(t *testing.T) {
	const day = 24 * time.Hour
	for window, want := range map[time.Duration]bases{
		0: {}, AutoWindow: {}, time.Nanosecond: {}, time.Hour: {15 * time.Minute, 75 * time.Minute}, day: {6 * time.Hour, 30 * time.Hour},
		7 * day: {day, 8 * day}, 400 * day: {day, 401 * day},
	} {
		if got := basesFor(window); got != want {
			t.Errorf("%v: %v, want %v", window, got, want)
		}
	}
}

// What was covered before a period began may go once that is one window ago, and of earlier values only the newest is kept.
func TestRule35TheCutEndsWhereAPeriodBegan(t *testing.T) {
	const window = 8 * time.Hour
	b := basesFor(window)
	begin := time.Date(2026, 11, 28, 0, 0, 0, 0, time.UTC)
	var all []eventlog.Point
	for now := begin; now.Before(begin.Add(48 * time.Hour)); now = now.Add(30 * time.Second) {
		until := now.Add(-window).Truncate(b.every)
		all = points(all, eventlog.Point{At: now, Covered: uint64(now.Unix())}, window, until)
		for i, p := range all {
			if i > 0 && !p.At.After(until) {
				t.Fatalf("at %v there are two values up to %v: %v", now, until, all)
			}
		}
		if since := now.Sub(all[0].At); since > window+b.every+window/pointsIn {
			t.Fatalf("at %v the oldest value is %v old", now, since)
		}
		if len(all) > pointsIn+pointsIn/4+2 {
			t.Fatalf("%d values", len(all))
		}
	}
}

// Rule 35: once in each period the checkpoint that is about to be replaced is kept. It is the fold of all events up to the one that it
// names, the log keeps what came after it as long as its period is in the window, and later it goes.
func TestRule35BasesAreStoredOnceInAPeriod(t *testing.T) {
	t.Parallel()
	s := newStand(t)
	const window = 4 * time.Second
	s.start(func(o *Options) { hasty(o); o.LogWindow = window })
	generation := s.history().Generation
	var events []eventlog.Message
	stored := map[time.Time]*eventlog.Base{}
	look := func() error {
		t.Helper()
		periods, err := s.log.Periods(t.Context(), generation, "n", "b")
		if err != nil {
			t.Fatal(err)
		}
		for _, at := range periods {
			b, err := s.log.Base(t.Context(), generation, "n", "b", at)
			switch {
			case err != nil:
				t.Fatal(err)
			case b == nil: // it went meanwhile
			case stored[at] != nil && stored[at].Seq != b.Seq:
				t.Errorf("the base of %v was replaced: %d, %d", at, stored[at].Seq, b.Seq)
			default:
				stored[at] = b
			}
		}
		info, err := s.log.Info(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		behind := 0 // bases whose later events have begun to go
		for at, b := range stored {
			if b.Next >= info.First {
				continue
			}
			if behind++; !at.Before(info.Now.Add(-window).Truncate(time.Second)) {
				t.Errorf("at %v the log begins at %d, but the base of %v needs it from %d on", info.Now, info.First, at, b.Next)
			}
		}
		if behind == 0 || len(periods) == len(stored) {
			return fmt.Errorf("%d bases, %d of them are there, the log is cut behind %d", len(stored), len(periods), behind)
		}
		return nil
	}
	s.eventually("the log is cut behind bases, and the first one is gone", func() error {
		s.job("b", fmt.Sprint("j", len(events)%7), len(events))
		s.job("other", "j", len(events))
		m, found, err := s.log.LastOfBatch(t.Context(), "n", "b")
		if err != nil || !found {
			t.Fatal(found, err)
		}
		events = append(events, m)
		return look()
	})
	for at, b := range stored {
		view, next := diagnostics.NewView("n", "b"), uint64(0)
		var d diagnostics.Decoder
		for i := range events {
			m := &events[i]
			if m.Seq > b.Covers {
				next = m.Seq
				break
			}
			e, rejection := folding.Decode(&d, m)
			if rejection != nil {
				t.Fatal(rejection)
			}
			if _, _, err := folding.Into(diagnostics.Fold, view, e, m.Seq); err != nil {
				t.Fatal(err)
			}
			if m.Stored.After(b.AsOf) {
				t.Errorf("the base of %v stands for %v, and has an event of %v", at, b.AsOf, m.Stored)
			}
		}
		if !bytes.Equal(view.Append(nil), b.Value) {
			t.Errorf("the base of %v isn't the fold of all events up to %d", at, b.Covers)
		}
		if b.First != events[0].Seq {
			t.Errorf("the base of %v says that the first event is %d, not %d", at, b.First, events[0].Seq)
		}
		if b.Next <= b.Covers || next != 0 && b.Next > next {
			t.Errorf("the base of %v covers up to %d, the next event is %d, it says %d", at, b.Covers, next, b.Next)
		}
		if !b.AsOf.Before(at) || at.Truncate(time.Second) != at {
			t.Errorf("the base of %v stands for %v", at, b.AsOf)
		}
	}
}
