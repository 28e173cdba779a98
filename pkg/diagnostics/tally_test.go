package diagnostics

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/headwayhq/headway/pkg/diagnostics/internal/judge"
	"github.com/headwayhq/headway/pkg/diagnostics/internal/view"
)

func byWorker(worker string, at time.Duration, processed int64) Event {
	e := Event{Stamp: Stamp{Time: base.Add(at).UnixNano(), Source: "s", ID: fmt.Sprint(worker, at)}, Type: TypeTier, Namespace: "n", Batch: "b"}
	e.TierFacts = TierFacts{TierNum: 0, Attempt: 1, Worker: worker, Processed: Opt[int64]{V: processed, Set: true}}
	return e
}

var base = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func foldAll(events ...Event) *View {
	v := NewView("n", "b")
	for i := range events {
		Fold(v, &events[i])
	}
	return v
}

// A tier's count is the sum over its workers of the maximum that any attempt of the worker reported.
func TestWorkersAddUp(t *testing.T) {
	events := []Event{
		byWorker("a", 10*time.Second, 40), byWorker("b", 20*time.Second, 70),
		byWorker("a", 30*time.Second, 5), byWorker("a", 40*time.Second, 50), // a began again from 0
	}
	d := judge.Derive(foldAll(events...)).TierAt(0)
	if d.Processed != 120 {
		t.Fatalf("processed = %d, want 120", d.Processed)
	}
	if want := events[3].Stamp; d.Mark != want || d.Own.Processed.At != want {
		t.Fatalf("progress mark %+v, want that of the last rise, %+v", d.Mark, want)
	}
	var got []int64
	for _, p := range d.Own.Series.Points {
		got = append(got, p.N)
	}
	if fmt.Sprint(got) != "[40 110 120]" { // a's second try shows only where it passes the first
		t.Fatalf("series %v", got)
	}

	whole := byWorker("", 50*time.Second, 100)
	if d := judge.Derive(foldAll(append(events, whole)...)).TierAt(0); d.Processed != 120 {
		t.Fatalf("a lower word on the whole gives %d, want the workers' 120", d.Processed)
	}
	whole.TierFacts.Processed.V = 300
	if d := judge.Derive(foldAll(append(events, whole)...)).TierAt(0); d.Processed != 300 || d.Own.Processed.At != whole.Stamp {
		t.Fatalf("a higher word on the whole gives %d, want 300", d.Processed)
	}
}

func TestWorkersFailed(t *testing.T) {
	say := func(worker string, failed, affected int64) Event {
		e := byWorker(worker, time.Second, 0)
		e.TierFacts.Processed.Set = false
		e.TierFacts.Failed = Opt[int64]{V: failed, Set: true}
		e.TierFacts.Counts[CountWritten] = Opt[int64]{V: failed * 2, Set: true}
		e.TierFacts.Errors = []ErrorFact{{ErrorType: "x", Message: "m", Affected: Opt[int64]{V: affected, Set: true}}}
		return e
	}
	d := judge.Derive(foldAll(say("a", 3, 2), say("b", 4, 4), say("a", 1, 1))).TierAt(0)
	if d.Failed != 7 || d.Own.Counts[CountWritten].N != 14 || d.AttemptState.Errors[0].Total() != 6 {
		t.Fatalf("failed %d, written %d, affected %d", d.Failed, d.Own.Counts[CountWritten].N, d.AttemptState.Errors[0].Total())
	}
}

// Beyond the bounds the result still depends only on the set of events: more workers than are kept, and more points than they may
// have.
func TestWorkersBeyondBounds(t *testing.T) {
	var events []Event
	for w := range MaxWorkers + 50 {
		for i := range 3 + w%5 {
			events = append(events, byWorker(fmt.Sprint("w", w), time.Duration(i*i*w%90_000)*time.Second, int64(i+1)))
		}
	}
	for i := range 300 {
		events = append(events, byWorker("w0", time.Duration(i*7)*time.Second, int64(i)))
	}
	for w := range MaxErrorWorkers + 10 {
		e := byWorker(fmt.Sprint("e", w), time.Second, 1)
		e.TierFacts.Errors = []ErrorFact{{ErrorType: "x", Message: "m", Affected: Opt[int64]{V: 1, Set: true}}}
		events = append(events, e)
	}
	v := foldAll(events...)
	want := v.AppendState(nil)
	a := view.Of(v).Tiers[0].Attempts[0]
	left := judge.Derive(v).LeftOut()
	if len(a.Workers) != MaxWorkers || len(a.Errors[0].Workers) != MaxErrorWorkers || fmt.Sprint(left) != "[workers]" {
		t.Fatalf("%d workers, %d of the error; left out: %v", len(a.Workers), len(a.Errors[0].Workers), left)
	}
	points := 0
	for _, w := range a.Workers {
		points += len(w.Series.Points)
	}
	if points > 2*MaxWorkers || len(want) > 1<<20 {
		t.Fatalf("%d points, %d bytes", points, len(want))
	}
	random := rand.New(rand.NewPCG(1, 2))
	random.Shuffle(len(events), func(i, j int) { events[i], events[j] = events[j], events[i] })
	if !bytes.Equal(foldAll(events...).AppendState(nil), want) {
		t.Fatal("another order gives another state")
	}
	one, two := foldAll(events[:len(events)/3]...), foldAll(events[len(events)/3:]...)
	Join(one, two)
	if !bytes.Equal(one.AppendState(nil), want) {
		t.Fatal("a joined split gives another state")
	}
	back, err := ParseState(want)
	if err != nil || !bytes.Equal(back.AppendState(nil), want) {
		t.Fatalf("doesn't read back to itself: %v", err)
	}
}
