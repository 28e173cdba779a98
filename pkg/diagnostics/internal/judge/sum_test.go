package judge

import (
	"math/rand/v2"
	"strconv"
	"testing"
	"time"

	"github.com/headwayhq/headway/pkg/diagnostics/internal/crdt"
	"github.com/headwayhq/headway/pkg/diagnostics/internal/event"
	"github.com/headwayhq/headway/pkg/diagnostics/internal/view"
)

// A sweep through the moments of a batch with many open tiers says at each what the cases say when asked for that moment alone.
func TestSweepSaysWhatTheCasesSay(t *testing.T) {
	healths, changes := map[event.Health]int{}, 0
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 1))
		d := Derive(anyBatch(r))
		cases := d.Judge(DefaultPolicy())
		asOf := d.State.Last + r.Int64N(int64(time.Minute))
		w := cases.sweep(asOf)
		last := w.rule(asOf)
		if want := cases.rule(asOf); last != want {
			t.Fatalf("seed %d, at first: %+v, want %+v", seed, last, want)
		}
		for _, at := range cases.Boundaries(asOf) {
			got, want := w.rule(at), cases.rule(at)
			if got != want {
				t.Fatalf("seed %d, at %v: %+v, want %+v", seed, time.Unix(0, at).UTC(), got, want)
			}
			if got != last {
				changes++
			}
			last = got
			healths[got.health]++
		}
	}
	if changes < 300 || healths[event.HealthStuck] == 0 || healths[event.HealthScaling] == 0 || healths[event.HealthOK] == 0 || healths[event.HealthDegraded] == 0 {
		t.Errorf("%d changes, %v: the test sees too little", changes, healths)
	}
}

// anyBatch has up to twenty tiers that wait, move or have failed.
func anyBatch(r *rand.Rand) *view.View {
	v := view.NewView("n", "b")
	begin := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).UnixNano()
	some := func(n int64) event.Opt[int64] { return event.Opt[int64]{Set: true, V: n} }
	n := 0
	fold := func(e event.Event, at int64) {
		n++
		e.Namespace, e.Batch, e.Stamp = "n", "b", crdt.Stamp{Time: begin + at, Source: "s", ID: strconv.Itoa(n)}
		view.Fold(v, &e)
	}
	minutes := func(up int64) int64 { return r.Int64N(up * int64(time.Minute)) }
	for tier := range int32(1 + r.IntN(20)) {
		at := minutes(20)
		facts := event.TierFacts{TierNum: tier, Attempt: 1, Status: event.WordProcessing}
		if r.IntN(3) > 0 {
			job := event.JobFacts{SubmissionID: "j" + strconv.Itoa(int(tier)), TierNum: tier, Status: event.WordPending}
			fold(event.Event{Type: event.TypeJob, JobFacts: job}, at)
			if r.IntN(2) > 0 {
				job.Status = event.WordRunning
				fold(event.Event{Type: event.TypeJob, JobFacts: job}, at+minutes(2))
			}
		}
		for k := range int64(r.IntN(4)) {
			facts.Processed, facts.Total = some(k*7+1), some(100)
			fold(event.Event{Type: event.TypeTier, TierFacts: facts}, at+minutes(4))
		}
		if r.IntN(40) == 0 {
			facts.Status = event.WordFailed
			fold(event.Event{Type: event.TypeTier, TierFacts: facts}, at+minutes(4))
		}
	}
	return v
}
