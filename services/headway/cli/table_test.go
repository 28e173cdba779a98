package cli

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/charmbracelet/x/ansi"

	"github.com/headwayhq/headway/pkg/client"
	"github.com/headwayhq/headway/pkg/diagnostics"
)

func listed() []client.Row {
	text := func(s string) *string { return &s }
	ended := moment.Add(-20 * time.Minute)
	return []client.Row{
		{BatchID: "nightly-42", Status: "PROCESSING", Health: diagnostics.HealthStuck, Pipeline: text("nightly"), Owner: text("search"), CurrentTier: 1, TotalTiers: 3, OverallProgress: 33.3,
			Cause: text("PLACEMENT:TOO_LARGE"), BlockedReason: text("ray_job_unschedulable: raysubmit_a asks for more than any node has since 12:10:00Z on 2026-03-01, needs 1 GPU, offered 0 GPUs"), OrderedAt: moment.Add(-3 * time.Hour)},
		{BatchID: "nightly-41", Status: "FAILED", Health: diagnostics.HealthDegraded, CurrentTier: 1, TotalTiers: 3, OrderedAt: moment.Add(-time.Hour), CompletedAt: &ended, Cause: text("PROGRAM:FAILED")},
		{BatchID: "nightly-40", Status: "COMPLETED", Health: diagnostics.HealthOK, CurrentTier: 2, TotalTiers: 3, OverallProgress: 100, OrderedAt: moment.Add(-time.Hour), CompletedAt: &ended},
		{BatchID: "nightly-39", Status: "COMPLETED", Health: diagnostics.HealthOK, CurrentTier: 0, TotalTiers: 3, OverallProgress: 100, OrderedAt: moment.Add(-time.Hour), CompletedAt: &ended},
		{BatchID: "nightly-38", Status: "PROCESSING", Health: diagnostics.HealthOK, CurrentTier: 0, TotalTiers: 3, OverallProgress: 99.99, OrderedAt: moment.Add(-time.Minute)},
	}
}

// The list fits the width of each terminal, and keeps what matters most: state, batch and why. A pipe gets everything.
func TestListFitsItsWidth(t *testing.T) {
	rows := listed()[:4]
	for _, width := range []int{40, 60, 80, 120, 200} {
		var b strings.Builder
		if err := (paper{width: width, colours: true}).rows(&b, rows, false, moment); err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(b.String()) {
			if got := ansi.StringWidth(strings.TrimSuffix(line, "\n")); got > width {
				t.Errorf("%d cells of %d: %q", got, width, line)
			}
		}
		text := ansi.Strip(b.String())
		for _, part := range []string{"■ stuck", "✗ failed", "✓ completed", "nightly-42"} {
			if !strings.Contains(text, part) {
				t.Errorf("width %d, no %q in\n%s", width, part, text)
			}
		}
		if width >= 80 && (!strings.Contains(text, "No node can take the job") || !strings.Contains(text, "2/3")) {
			t.Errorf("width %d:\n%s", width, text)
		}
		if !strings.Contains(b.String(), "\x1b[") {
			t.Error("no colours")
		}
	}
	var b strings.Builder
	if err := (paper{}).rows(&b, rows, true, moment); err != nil {
		t.Fatal(err)
	}
	text := b.String()
	for _, part := range []string{"STATE", "  nightly  ", "  search  ", "2/3", "  3 h  ", "20 min ago", "PLACEMENT:TOO_LARGE", "more than any node has since 12:10:00 UTC, needs 1 GPU, offered 0 GPUs"} {
		if !strings.Contains(text, part) {
			t.Errorf("no %q in\n%s", part, text)
		}
	}
	if strings.Contains(text, "\x1b") || strings.Contains(text, "degraded") || strings.Contains(text, "1/3") || strings.Contains(text, "{") {
		t.Error(text)
	}
}

// Tiers are counted from 1, and a batch that completed is at its last.
func TestTierCount(t *testing.T) {
	for want, r := range map[string]client.Row{
		"2/3": {CurrentTier: 1, TotalTiers: 3, Status: "PROCESSING"}, "3/3": {CurrentTier: 0, TotalTiers: 3, Status: "COMPLETED"},
		"1/3": {CurrentTier: 0, TotalTiers: 3, Status: "FAILED"}, "–": {Status: "PENDING"}, "6/6": {CurrentTier: 5, TotalTiers: 1},
	} {
		if got := tierOf(&r, "/"); got != want {
			t.Errorf("%+v: %s", r, got)
		}
	}
}

// Moments within sentences are in the reader's zone, as all others.
func TestZoneWithinSentences(t *testing.T) {
	time.Local = time.FixedZone("CET", 3600)
	defer func() { time.Local = time.UTC }()
	for text, want := range map[string]string{
		"a runs since 12:10:00Z on 2026-03-01, and": "a runs since 13:10:00 CET, and",
		"until 23:30:00Z on 2026-02-27.":            "until 2026-02-28 00:30 CET.",
		"since 99:10:00Z on 2026-03-01":             "since 99:10:00Z on 2026-03-01",
	} {
		if got := localized(text, moment); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

// Units are those of people.
func TestUnits(t *testing.T) {
	got := []string{age(-time.Second), age(90 * time.Second), age(10 * time.Minute), age(47 * time.Hour), age(100 * time.Hour), percent(100), percent(99.99), percent(0), grouped(0), grouped(999), grouped(1234567), grouped(-1000)}
	if want := []string{"0 s", "90 s", "10 min", "47 h", "4 d", "100.0 %", "99.9 %", "0.0 %", "0", "999", "1,234,567", "-1,000"}; !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
}

// A printed command works where it is pasted.
func TestPastedCommands(t *testing.T) {
	link, command := "http://ray:8265/eu/#/jobs/raysubmit_a", "ray job logs raysubmit_a"
	s := client.Snapshot{BatchID: "it's", Tiers: []diagnostics.TierDiagnostic{{Jobs: []diagnostics.JobDiagnostic{{RayJobID: "raysubmit_a", DashboardURL: &link}, {RayJobID: "raysubmit_b"}}}}}
	if got := pasted(&s, &diagnostics.Action{Command: &command}); got != "RAY_ADDRESS=http://ray:8265/eu ray job logs raysubmit_a" {
		t.Error(got)
	}
	other := "ray job stop raysubmit_b"
	if got := pasted(&s, &diagnostics.Action{Command: &other}); got != other {
		t.Error(got)
	}
	in := shared{target: target{URL: "http://u:secret@h:1/"}, Namespace: "team-a"}
	if got := in.flags(); got != " --url http://h:1/ --namespace team-a" {
		t.Error(got)
	}
	in.in.context = "prod"
	if got := in.flags(); got != " --context prod --namespace team-a" {
		t.Error(got)
	}
	var b strings.Builder
	paper{}.snapshot(&b, &s, moment, in.flags())
	if !strings.Contains(b.String(), `headway explain 'it'\''s' --context prod --namespace team-a`) {
		t.Error(b.String())
	}
}

func TestYAML(t *testing.T) {
	got, err := asYAML([]byte(`{"b":"1","a":[{"x":null,"y":true}],"t":"2026-03-01T12:00:00Z","e":[],"s":"a: b\u001b"}`))
	want := "---\nb: \"1\"\na:\n  - x: null\n    \"y\": true\nt: \"2026-03-01T12:00:00Z\"\ne: []\ns: \"a: b\\e\"\n"
	if err != nil || string(got) != want {
		t.Errorf("%v\n%s", err, got)
	}
}
