package eventlog

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/headwayhq/headway/pkg/headwaytest"
)

// Rule 35: a base is a copy of the checkpoint that is about to be replaced, for a limited time. A request that comes after that one was
// replaced or erased stores nothing.
func TestRule35Bases(t *testing.T) {
	t.Parallel()
	l, err := Open(t.Context(), headwaytest.NATS(t).Conn(), Config{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	h, err := l.HistoryInfo(ctx)
	if err != nil {
		t.Fatal(err)
	}
	day := time.Date(2026, 11, 28, 0, 0, 0, 0, time.UTC)
	c := Checkpoint{Namespace: "n", Batch: "b", Identity: "log", Covers: 100, Fold: 6, First: 90, AsOf: day.Add(-time.Hour), Over: day.Add(-2 * time.Hour), Rowed: true, Value: []byte("value")}
	checkpoint := func(change func(*Checkpoint), expect uint64) (seq uint64) {
		t.Helper()
		changed := c
		change(&changed)
		if seq, err = l.StoreCheckpoint(ctx, h.Generation, changed, expect, 0); err != nil {
			t.Fatal(err)
		}
		return seq
	}
	store := func(expect, next uint64, at time.Time, want bool) {
		t.Helper()
		if stored, err := l.StoreBase(ctx, h.Generation, "n", "b", expect, next, at, 8*24*time.Hour); err != nil || stored != want {
			t.Errorf("stored: %v, %v", stored, err)
		}
	}
	store(0, 100, day, false)
	first := checkpoint(func(*Checkpoint) {}, 0)
	store(first, 105, day, true)
	second := checkpoint(func(c *Checkpoint) { c.Covers, c.AsOf, c.Over, c.Rowed = 200, time.Time{}, time.Time{}, false }, first)
	store(first, 105, day.Add(24*time.Hour), false)  // it was replaced
	store(second, 205, day.Add(24*time.Hour), false) // nobody knows of which moment it is
	third := checkpoint(func(c *Checkpoint) { c.Value = make([]byte, maxCheckpoint+1) }, second)
	store(third, 205, day.Add(24*time.Hour), false) // it lies in parts
	fourth := checkpoint(func(c *Checkpoint) { c.Covers, c.AsOf = 300, day.Add(time.Nanosecond) }, third)
	store(fourth, 7, day.Add(48*time.Hour), true)
	other := Checkpoint{Namespace: "n", Batch: "b2", Identity: "log", Covers: 1, Fold: 6, AsOf: day, Value: []byte("other")}
	seq, err := l.StoreCheckpoint(ctx, h.Generation, other, 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	if stored, err := l.StoreBase(ctx, h.Generation, "n", "b2", seq, 2, day, time.Hour); err != nil || !stored {
		t.Fatal(stored, err)
	}
	store(checkpoint(func(c *Checkpoint) { c.Erased = true }, fourth), 400, day.Add(72*time.Hour), false)

	periods, err := l.Periods(ctx, h.Generation, "n", "b")
	if err != nil || !slices.Equal(periods, []time.Time{day, day.Add(48 * time.Hour)}) {
		t.Fatal(periods, err)
	}
	b, err := l.Base(ctx, h.Generation, "n", "b", day)
	if err != nil || b == nil {
		t.Fatal(b, err)
	}
	want := c
	want.Seq, want.Stored = b.Seq, b.Stored
	if got, want := fmt.Sprintf("%+v", *b), fmt.Sprintf("%+v", Base{want, 105}); got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
	if b, err = l.Base(ctx, h.Generation, "n", "b", day.Add(48*time.Hour)); err != nil || b.Next != 301 || !b.AsOf.Equal(day.Add(time.Nanosecond)) {
		t.Errorf("%+v, %v", b, err)
	}
	if b, err = l.Base(ctx, h.Generation, "n", "b", day.Add(24*time.Hour)); b != nil || err != nil {
		t.Errorf("%+v, %v", b, err)
	}
	s, err := l.js.Stream(ctx, HistoryStream)
	if err != nil {
		t.Fatal(err)
	}
	m, err := s.GetLastMsgForSubject(ctx, l.BaseFilter(h.Generation, "n", "b"))
	if err != nil || m.Header.Get(jetstream.MsgTTLHeader) != "192h0m0s" {
		t.Error(m, err)
	}
}
