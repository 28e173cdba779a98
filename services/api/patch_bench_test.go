package api

import (
	"fmt"
	"testing"
	"time"

	"github.com/headwayhq/headway/pkg/diagnostics"
	"github.com/headwayhq/headway/pkg/push"
)

// manyTiers is a batch of which one tier runs and the others are over, or all run.
func manyTiers(tiers int, allRun bool, begun time.Time) (v *diagnostics.View, progress func(n int, at time.Time, docs int64)) {
	v = diagnostics.NewView("n", "b")
	id := 0
	fold := func(at time.Time, e diagnostics.Event) {
		id++
		e.Namespace, e.Batch, e.Stamp = "n", "b", diagnostics.Stamp{Time: at.UnixNano(), Source: "bench", ID: fmt.Sprint(id)}
		diagnostics.Fold(v, &e)
	}
	tell := func(at time.Time, f diagnostics.TierFacts) {
		f.Attempt = 1
		fold(at, diagnostics.Event{Type: diagnostics.TypeTier, TierFacts: f})
	}
	number := func(n int64) diagnostics.Opt[int64] { return diagnostics.Opt[int64]{V: n, Set: true} }
	progress = func(n int, at time.Time, docs int64) {
		tell(at, diagnostics.TierFacts{TierNum: int32(n), Processed: number(docs), Total: number(90)})
	}
	fold(begun, diagnostics.Event{Type: diagnostics.TypeBatch, BatchFacts: diagnostics.BatchFacts{Status: diagnostics.WordProcessing, Attempt: 1, TotalTiers: number(int64(tiers))}})
	for n := range tiers {
		tell(begun, diagnostics.TierFacts{TierNum: int32(n), Status: diagnostics.WordProcessing})
		if allRun || n == tiers/2 {
			progress(n, begun.Add(time.Minute), 5)
		} else {
			progress(n, begun.Add(time.Minute), 90)
			tell(begun.Add(time.Minute), diagnostics.TierFacts{TierNum: int32(n), Status: diagnostics.WordCompleted})
		}
	}
	return v, progress
}

// BenchmarkChange makes what a stream sends when one tier of a batch has made progress in half a minute, in each format, and reports
// its size beside that of the whole. Rendering and encoding the whole is there to compare with.
func BenchmarkChange(b *testing.B) {
	p, begun := diagnostics.DefaultPolicy(), time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for _, allRun := range []bool{false, true} {
		for _, tiers := range []int{1, 10, 30, 100, 1_000, 10_000} {
			if allRun && tiers == 1 {
				continue // was measured already
			}
			v, progress := manyTiers(tiers, allRun, begun)
			encode := func(after time.Duration) *diagnostics.Parts {
				s := diagnostics.Render(v, begun.Add(after), p, diagnostics.Meta{RevisionID: "6f0ad1be-1-1"})
				return s.Encode()
			}
			before := encode(2 * time.Minute)
			progress(tiers/2, begun.Add(150*time.Second), 50)
			after := encode(150 * time.Second)
			name := fmt.Sprintf("tiers=%d/running=%d/", tiers, map[bool]int{false: 1, true: tiers}[allRun])
			b.Run(name+"whole", func(b *testing.B) {
				for b.Loop() {
					encode(150 * time.Second)
				}
				b.ReportMetric(float64(len(after.JSON())), "bytes")
			})
			report := func(format string, change func() []byte) {
				b.Run(name+format, func(b *testing.B) {
					var text []byte
					for b.Loop() {
						text = change()
					}
					b.ReportMetric(float64(len(text)), "bytes")
					b.ReportMetric(100-100*float64(len(text))/float64(len(after.JSON())), "%saved")
				})
			}
			report("patch", func() []byte { // above 64 KiB the stream sends the whole instead
				diff, err := push.MergePatch(before.JSON(), after.JSON())
				if err != nil {
					b.Fatal(err)
				}
				return diff
			})
			report("rows", func() []byte { return after.AppendChange(nil, before) })
		}
	}
}
