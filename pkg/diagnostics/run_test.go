package diagnostics

import (
	"reflect"
	"testing"
	"time"
)

// checkRun holds a batch as a run against the answer about it, and the row.
func checkRun(t *testing.T, v *View, at time.Time, p Policy, s *Snapshot) {
	t.Helper()
	r, row := Derive(v).Run(at, p, 1000), NewRow(v, at, p)
	same := func(what string, got, want any) {
		if !reflect.DeepEqual(got, want) {
			t.Errorf("a run's %s is %v, the answer's %v", what, got, want)
		}
	}
	same("status", r.Status, s.Status)
	same("health", r.Health, s.Health)
	same("duration", r.DurationSeconds, s.DurationSeconds)
	same("cause", r.Cause, row.Cause)
	same("sentence", r.Sentence, row.Sentence)
	same("order", r.OrderedAt, row.OrderedAt)
	same("failed tiers", r.FailedTierCount, s.FailedTierCount)
	if sum := s.PerformanceSummary; sum != nil {
		same("queue time", r.QueueSeconds, sum.QueueSeconds)
	}
	same("number of tiers", len(r.Tiers), len(s.Tiers))
	for i, tier := range r.Tiers {
		of := &s.Tiers[i]
		same("tier", tier.TierNum, of.TierNum)
		same("tier's status", tier.Status, of.Status)
		same("tier's duration", tier.DurationSeconds, of.DurationSeconds)
		same("tier's queue time", tier.QueueSeconds, of.QueueSeconds)
		if (tier.Sentence == nil) != (of.Cause == nil) || tier.Sentence != nil && (*tier.Sentence != of.Cause.Sentence || *tier.Cause != string(of.Cause.Code)) {
			t.Errorf("a run's tier has the cause %v, the answer's %+v", tier.Sentence, of.Cause)
		}
	}
}

func TestRunWaits(t *testing.T) {
	waits := func(kind string, since float64) func(*JobFacts) {
		return func(f *JobFacts) { f.Waiting = some(Waiting{Kind: kind, Since: minute(since)}) }
	}
	s := tell(t).batch(0, WordProcessing, tiers(3)).
		job(1, "j", 0, WordPending, waits("quota", 1)).job(3, "j", 0, WordPending, waits("node_launch", 3)).
		job(9, "j", 0, WordRunning).progress(10, 0, 5, 10)
	r := Derive(s.view()).Run(noon.Add(30*time.Minute), DefaultPolicy(), 1)
	if len(r.Tiers) != 1 || r.TotalTiers != 3 || r.ProcessedDocuments != 5 {
		t.Fatalf("%+v", r)
	}
	tier := r.Tiers[0]
	if want := []RunWait{{Phase: "node_launch", Seconds: 360}, {Phase: "quota", Seconds: 120}}; !reflect.DeepEqual(tier.Waits, want) || *tier.QueueSeconds != 480 {
		t.Errorf("waited %v, %v in all", tier.Waits, *tier.QueueSeconds)
	}
}
