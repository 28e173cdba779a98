package diagnostics

import (
	"testing"
	"time"
)

// tiersAt folds the progress of tiers: each is given as documents per minute of 1,000, over ten minutes.
func tiersAt(rates ...int64) *View {
	v := NewView("n", "b")
	for k, rate := range rates {
		for m := range int64(11) {
			e := Event{Type: TypeTier, Namespace: "n", Batch: "b", Stamp: Stamp{Time: minute(float64(m)), Source: "s", ID: "e"}}
			e.TierFacts = TierFacts{TierNum: int32(k), Attempt: 1, Status: WordProcessing, Processed: some(m * rate), Total: some(int64(1000))}
			Fold(v, &e)
		}
	}
	return v
}

// Of hundreds of tiers only some are extrapolated, but the slowest is among them: the estimate is that of a batch that has few others.
func TestEstimateOfManyTiers(t *testing.T) {
	few, many := []int64{}, []int64{}
	for range 5 {
		few = append(few, 40)
	}
	for range 400 {
		many = append(many, 40)
	}
	few[3], many[333] = 10, 10
	p50 := func(v *View) time.Duration {
		row := NewRow(v, moment(minute(10)), DefaultPolicy())
		if row.ETA == nil {
			t.Fatal("there is no estimate")
		}
		return row.ETA.P50.Sub(moment(minute(10)))
	}
	if a, b := p50(tiersAt(few...)), p50(tiersAt(many...)); a != b || a < time.Hour {
		t.Errorf("it takes %v in a small batch, and %v in a large one", a, b)
	}
}

// Among thousands of tiers that stand still the next check may come before anything changes, but not after.
func TestNextCheckOfManyTiers(t *testing.T) {
	rates := make([]int64, 3000)
	for i := range rates {
		rates[i] = 10
	}
	v := tiersAt(rates...)
	policy := DefaultPolicy()
	for asOf, n := moment(minute(11)), 0; n < 5; n++ {
		before := Assess(v, asOf, policy)
		next, ok := NextCheck(v, asOf, policy)
		if !ok || next.Equal(asOf) {
			return
		}
		if now := Assess(v, next.Add(-1), policy); now.Health != before.Health || now.Code() != before.Code() {
			t.Fatalf("%v became %v before the next check at %v", before.Health, now.Health, next)
		}
		asOf = next
	}
}
