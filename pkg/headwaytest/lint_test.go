package headwaytest

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/headwayhq/headway/pkg/diagnostics"
	"github.com/headwayhq/headway/pkg/diagnostics/lint"
	"github.com/headwayhq/headway/pkg/simulator"
)

var (
	linted  = flag.Int("linted", 10_000, "generated batches whose answers are looked through for contradictions")
	lintFor = flag.Duration("lint-for", 20*time.Second, "the longest that is done; what is left out is said")
)

// generated is the batch of a seed: of every four, three have any events at all, the fourth is one of the simulator's, cut off
// somewhere.
func generated(seed uint64) []Message {
	rng := rand.New(rand.NewPCG(seed, 13))
	if seed%4 == 3 {
		return simulated(rng)
	}
	most := 60
	if seed%2 == 0 { // few events leave more open than many
		most = 8
	}
	out := make([]Message, 1+rng.IntN(most))
	for i := range out {
		out[i] = AnyMessage(func(_ string, n int) int { return rng.IntN(n) })
	}
	return out
}

func simulated(rng *rand.Rand) []Message {
	all := append(simulator.Scenarios(), simulator.Uneven)
	c := simulator.Config{
		Seed: rng.Uint64(), Batches: 1, Start: Epoch(), Namespaces: []string{"n"}, Scenarios: all[rng.IntN(len(all)):][:1],
		Docs: 50 + rng.IntN(2000), Step: time.Duration(1+rng.IntN(60)) * time.Second, Dirty: simulator.RealisticDirt(),
	}
	events := simulator.Events(c)
	events = events[:rng.IntN(len(events)+1)]
	out := make([]Message, 0, len(events))
	for _, e := range events {
		var d diagnostics.Decoder // one each: it reuses what it gives
		m := diagnostics.Message{
			Subject: strings.Replace(strings.Replace(e.Subject, "headway.events.n", "headway.log.0.n", 1), e.Batch, "b", 1), Data: e.Data, Stored: c.Start.Add(e.At),
		}
		fact, no := d.Decode(m)
		if no != nil {
			if r, ok := diagnostics.NewRefusal(m, no); ok {
				out = append(out, Message{Refusal: &r})
			}
			continue
		}
		out = append(out, Message{Event: *fact})
	}
	return out
}

// No answer contradicts itself at any moment at which something changes without an event, and explanations agree with answers.
// Between two such moments only running times change.
func TestGeneratedAnswersDoNotContradictThemselves(t *testing.T) {
	var next atomic.Int64
	begun := time.Now()
	var wait sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		wait.Go(func() {
			for !t.Failed() || testing.Verbose() {
				seed := next.Add(1) - 1
				if seed >= int64(*linted) || time.Since(begun) > *lintFor {
					return
				}
				lintBatch(t, uint64(seed))
			}
		})
	}
	wait.Wait()
	t.Logf("looked through the answers of %d generated batches of %d", min(int64(*linted), next.Load()), *linted)
}

func lintBatch(t *testing.T, seed uint64) {
	messages := generated(seed)
	v := diagnostics.NewView("n", "b")
	var said strings.Builder
	for i := range messages {
		messages[i].Fold(v)
		sayWords(&said, &messages[i])
	}
	policy := diagnostics.DefaultPolicy()
	d := diagnostics.Derive(v)
	at := Epoch().Add(time.Duration(seed%150) * time.Minute)
	for range 3 {
		a := d.Render(at, policy, diagnostics.Meta{RevisionID: "x-3-1"})
		x := d.Explain(at, policy, diagnostics.Meta{})
		for _, what := range append(lint.Answer(&a, said.String()), lint.Explanation(&a, &x)...) {
			t.Errorf("seed %d at %v: %s", seed, at, what)
		}
		nextVerdict(t, seed, v, at, policy)
		then, changes := d.NextAnswer(at, policy)
		if !changes {
			return
		}
		at = then
	}
}

// nextVerdict checks that a verdict stands until one nanosecond before its next check, and that exactly then it changes or is due
// to be published.
func nextVerdict(t *testing.T, seed uint64, v *diagnostics.View, at time.Time, policy diagnostics.Policy) {
	now := verdict(v, at, policy)
	next, ok := diagnostics.NextCheck(v, at, policy)
	if !ok {
		next = at.Add(10_000 * time.Hour)
	}
	if next.Equal(at) {
		return // something is due: it is published, and a fold follows
	}
	if got := verdict(v, next.Add(-1), policy); got != now {
		t.Errorf("seed %d: at %v %+v became %+v one nanosecond before the next check at %v", seed, at, now, got, next)
	}
	if got := verdict(v, next, policy); ok == (got == now) {
		t.Errorf("seed %d: at %v %+v, at the next check %v (%v) %+v", seed, at, now, next, ok, got)
	}
}

// sayWords converts an event's texts into the form in which the linter looks for them.
func sayWords(to *strings.Builder, m *Message) {
	e := &m.Event
	switch e.Type {
	case diagnostics.TypeJob:
		fmt.Fprintf(to, "submission_id %v\n", e.JobFacts)
	case diagnostics.TypeTier:
		if e.TierFacts.RequiresGPU.Set {
			to.WriteString("requires_gpu\n")
		}
		fmt.Fprintf(to, "%v\n", e.TierFacts)
	case diagnostics.TypeBatch:
		for _, p := range e.BatchFacts.Tiers {
			if p.RequiresGPU.Set {
				to.WriteString("requires_gpu\n")
			}
		}
		fmt.Fprintf(to, "%v\n", e.BatchFacts)
	}
}
