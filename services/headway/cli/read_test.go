package cli

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/headwayhq/headway/pkg/client"
)

// told are the answers of a story, one for each of its questions.
func told(t *testing.T, story string) (out []struct {
	Answer  client.Snapshot
	Explain client.Explanation
}) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("../../../pkg/diagnostics/testdata/stories", story+".golden.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &out); err != nil {
		t.Fatal(err)
	}
	return out
}

func TestWriteSnapshot(t *testing.T) {
	for story, want := range map[string][]string{
		"07-infeasible-at-the-entrypoint":      {"PROCESSING  stuck", "reason    ray_job_unschedulable: ", "WAITS FOR", "resources", "\nNext\n  1. "},
		"03-healthy-run":                       {"PROCESSING  ok", "expected  ", "confidence"},
		"19-failed-tier":                       {"PROCESSING  degraded", "FAILED", "mend the cause", "     Retry tier 1 of 1: "},
		"01-nothing-known":                     {"\nNext\n  1. "},
		"09-running-driver-unplaceable-actors": {"RUNNING", "resources"},
	} {
		var b strings.Builder
		for _, at := range told(t, story) {
			writeSnapshot(&b, &at.Answer)
		}
		if strings.Contains(b.String(), "%!") {
			t.Errorf("%s: a bad format\n%s", story, b.String())
		}
		for _, part := range want {
			if !strings.Contains(b.String(), part) {
				t.Errorf("%s: no %q in\n%s", story, part, b.String())
			}
		}
	}
}

func TestWriteExplanation(t *testing.T) {
	all := told(t, "07-infeasible-at-the-entrypoint")
	var b strings.Builder
	writeExplanation(&b, &all[len(all)-1].Explain)
	for _, part := range []string{"and stuck.", "Rule: ", "Since ", "limit ", "Because\n  1. ", "event ", "Not\n  degraded"} {
		if !strings.Contains(b.String(), part) {
			t.Errorf("no %q in\n%s", part, b.String())
		}
	}
}

// What others wrote can't steer the terminal.
func TestNoEscapeSequences(t *testing.T) {
	const evil = "a\x1b[2Jb\u009bc\u202ed\ne"
	text := evil
	s := client.Snapshot{BatchName: evil, BlockedReason: &text, Error: &text, NextActions: []string{evil}}
	e := client.Explanation{Rule: evil, Steps: nil}
	var b bytes.Buffer
	writeSnapshot(&b, &s)
	writeExplanation(&b, &e)
	writeRow(&b, client.Row{BlockedReason: &text})
	if strings.ContainsAny(b.String(), "\x1b\u009b\u202e") || strings.Contains(b.String(), "d\ne") {
		t.Errorf("%q", b.String())
	}
}

func TestSpan(t *testing.T) {
	for seconds, want := range map[float64]string{0.4: "0 s", 59.6: "1 min 0 s", 61: "1 min 1 s", 3700: "1 h 1 min", 90000: "1 d 1 h"} {
		if got := span(seconds); got != want {
			t.Errorf("%v: %s, want %s", seconds, got, want)
		}
	}
}
