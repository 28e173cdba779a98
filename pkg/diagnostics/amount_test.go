package diagnostics

import (
	"encoding/json"
	"fmt"
	"math"
	"testing"

	"github.com/headwayhq/headway/pkg/diagnostics/internal/event"
)

// With the greatest numbers that an event may contain, repeated as often as allowed, the answer keeps its shape, and no sum
// overflows or becomes infinite.
func TestGreatestNumbers(t *testing.T) {
	s := tell(t).batch(0, WordProcessing, tiers(2_000))
	huge := func(f *TierFacts) {
		f.Processed, f.Total, f.Failed = some(int64(event.MaxAmount)), some(int64(event.MaxAmount)), some(int64(event.MaxAmount))
	}
	for n := range int32(2_000) {
		s.tier(1, n, WordCompleted, huge)
	}
	for w := range 4 {
		for _, stage := range []string{"a", "b"} {
			s.add(2, Event{Type: TypeStage, StageFacts: StageFacts{
				TierNum: 0, Attempt: 1, Stage: stage, Worker: fmt.Sprint(w), Count: some(int64(event.MaxAmount)),
				TotalMS: some(math.MaxFloat64), MaxMS: some(math.MaxFloat64),
				Buckets: []Bucket{{UpperMS: 1, Count: event.MaxAmount}, {UpperMS: math.MaxFloat64, Count: event.MaxAmount}},
			}})
		}
	}
	s.batch(3, WordFailed)
	v := s.view()
	answer := Render(v, moment(minute(4)), s.policy, Meta{})
	checkContract(t, answer.AppendJSON(nil))
	p := answer.PerformanceSummary
	want(t, "documents processed", p.DocumentsProcessed, event.MaxAmount)
	want(t, "documents failed", p.DocumentsFailed, event.MaxAmount)
	if p.ThroughputDocsPerSecond <= 0 || len(p.Stages) != 2 || p.Stages[0].PctOfTotal != 50 || *p.Stages[0].QuantileError < 0 {
		t.Errorf("performance %+v", p)
	}
	if row := NewRow(v, moment(minute(9)), DefaultPolicy()); !json.Valid(row.AppendJSON(nil)) {
		t.Error("the row is no JSON")
	}
}
