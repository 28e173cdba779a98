package cli

import (
	"strings"
	"testing"
	"time"

	"github.com/headwayhq/headway/pkg/client"
	"github.com/headwayhq/headway/pkg/diagnostics"
)

func TestRunsFitTheirWidth(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	begin, end := now.Add(-3*time.Hour), now.Add(-2*time.Hour)
	hour, minute := 3600.0, 60.0
	sentence := "a worker was killed: out of memory"
	runs := []client.Run{
		{BatchID: "night-2", Status: "PROCESSING", Health: diagnostics.HealthOK, StartedAt: &begin, DurationSeconds: &minute},
		{
			BatchID: "night-1", Status: "FAILED", Health: diagnostics.HealthDegraded, StartedAt: &begin, CompletedAt: &end, DurationSeconds: &hour, QueueSeconds: 600, FailedDocuments: 1312, Sentence: &sentence,
			Tiers: []client.RunTier{
				{TierNum: 0, Status: "COMPLETED", DurationSeconds: &hour, Waits: []client.RunWait{{Phase: "quota", Seconds: 5}}},
				{TierNum: 1, Status: "FAILED", DurationSeconds: &minute, Waits: []client.RunWait{{Phase: "node_launch", Seconds: 600}, {Phase: "quota", Seconds: 7}}},
			},
		},
	}
	shown := func(width int, wide bool) string {
		var b strings.Builder
		if err := (paper{width: width}).runs(&b, runs, wide, now); err != nil {
			t.Fatal(err)
		}
		return b.String()
	}
	whole := shown(0, true)
	for _, want := range []string{
		"✗ failed", "1 h 0 min", "10 min 0 s for a node to start (tier 2)", "1,312", "1: 1 h 0 min, 2: 1 min 0 s (failed)", sentence, "1 min 0 s so far",
	} {
		if !strings.Contains(whole, want) {
			t.Errorf("no %q in\n%s", want, whole)
		}
	}
	narrow := shown(60, false)
	for line := range strings.Lines(narrow) {
		if n := len([]rune(strings.TrimRight(line, "\n"))); n > 60 {
			t.Errorf("%d columns: %s", n, line)
		}
	}
	if !strings.Contains(narrow, "night-1") || !strings.Contains(narrow, "failed") {
		t.Error(narrow)
	}
}
