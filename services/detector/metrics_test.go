package detector

import (
	"errors"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/headwayhq/headway/pkg/diagnostics"
)

// histogram returns the number of values in a histogram, and their sum.
func histogram(t *testing.T, h prometheus.Histogram) (n uint64, sum float64) {
	t.Helper()
	registry := prometheus.NewRegistry()
	registry.MustRegister(h)
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := families[0].GetMetric()[0].GetHistogram()
	return got.GetSampleCount(), got.GetSampleSum()
}

// Rounds are counted by whether they were complete. How late entries were judged is measured by the log's clock.
func TestRoundsAreMeasured(t *testing.T) {
	b := newBench(t)
	counted := func(complete string) float64 {
		return testutil.ToFloat64(b.Detector.metrics.rounds.WithLabelValues(complete))
	}
	b.store.put(0, "b", stuck("b"))
	b.store.pass(3 * time.Second)
	if err := b.round(t.Context(), b.store, 0); err != nil {
		t.Fatal(err)
	}
	if n, sum := histogram(t, b.Detector.metrics.lateness); n != 1 || sum != 3 {
		t.Errorf("%d entries were late by %v s", n, sum)
	}
	began := time.Now().Add(-time.Hour)
	b.Detector.metrics.last.Store(began.UnixNano())
	b.store.failing = errors.New("away")
	if err := b.round(t.Context(), b.store, 1); err == nil {
		t.Error("a round without its store succeeded")
	}
	if b.Detector.metrics.last.Load() != began.UnixNano() {
		t.Error("a failed round counts as the last one")
	}
	if got := b.age(t); got < 3600 || got > 3700 {
		t.Errorf("the last round was an hour ago, and its age is %v s", got)
	}
	if counted("true") != 1 || counted("false") != 1 {
		t.Errorf("%v complete rounds, %v others", counted("true"), counted("false"))
	}
	b.store.failing = nil
	if err := b.round(t.Context(), b.store, 2); err != nil {
		t.Fatal(err)
	}
	if got := b.age(t); got > 60 {
		t.Errorf("after a round its age is %v s", got)
	}
}

func (b *bench) age(t *testing.T) float64 {
	t.Helper()
	families, err := b.metrics.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == "headway_detector_last_round_age_seconds" {
			return f.GetMetric()[0].GetGauge().GetValue()
		}
	}
	t.Fatal("the age of the last round isn't served")
	return 0
}

// Each check is counted once, under its outcome.
func TestChecksAreMeasured(t *testing.T) {
	status := func(batch, kind string, facts func(*diagnostics.Event)) []byte {
		v := diagnostics.NewView("n", batch)
		e := &diagnostics.Event{Namespace: "n", Batch: batch, Stamp: diagnostics.Stamp{Time: began.UnixNano(), Source: "s", ID: kind}}
		facts(e)
		diagnostics.Fold(v, e)
		return v.Append(nil)
	}
	done := status("b", "batch", func(e *diagnostics.Event) {
		e.Type, e.BatchFacts.Status = diagnostics.TypeBatch, diagnostics.WordCompleted
	})
	quiet := status("b", "tier", func(e *diagnostics.Event) {
		e.Type, e.TierFacts = diagnostics.TypeTier, diagnostics.TierFacts{Attempt: 1, Status: diagnostics.WordCompleted}
	})
	for outcome, c := range map[string]struct {
		value  []byte
		change func(*bench)
	}{
		outcomeUnchanged:   {done, func(*bench) {}},
		outcomeAnnounced:   {stuck("b"), func(*bench) {}},
		outcomeSettled:     {quiet, func(*bench) {}},
		outcomeRefused:     {stuck("b"), func(b *bench) { b.events.seq, b.events.last["b"] = 7, 7 }},
		outcomeSuperseded:  {stuck("b"), func(b *bench) { b.store.another = func(asked int) bool { return asked > 1 } }},
		outcomeOtherPolicy: {stuck("b"), func(b *bench) { b.store.part(0).fence.PolicyHash = "another" }},
	} {
		b := newBench(t)
		b.store.put(0, "b", c.value)
		c.change(b)
		if err := b.round(t.Context(), b.store, 0); err != nil {
			t.Fatal(err)
		}
		checks := b.Detector.metrics.checks
		if n := testutil.ToFloat64(checks.WithLabelValues(outcome)); n != 1 {
			t.Errorf("%s: %v", outcome, n)
		}
		if n := testutil.CollectAndCount(checks); n != 6 {
			t.Errorf("there are %d outcomes", n)
		}
	}
}
