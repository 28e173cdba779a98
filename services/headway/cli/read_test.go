package cli

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/charmbracelet/x/ansi"

	"github.com/headwayhq/headway/pkg/client"
	"github.com/headwayhq/headway/pkg/diagnostics"
)

// told has the answers of a story, one for each of its questions.
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
		"07-infeasible-at-the-entrypoint":      {"■ stuck  btch_1  PROCESSING  tier 1 of 1", "reason    No node can take the job: ", "cause     PLACEMENT:TOO_LARGE, known, since 12:00:05 UTC (", " ago), whoever wrote or submitted the job has to act, waiting doesn't help\n          evidence: events evt-3\n", "  ITS STATUS  CAUSE\n1     PENDING", "\nNext\n  1. "},
		"03-healthy-run":                       {"● ok  btch_1  PROCESSING", "expected  ", "confidence"},
		"19-failed-tier":                       {"▲ degraded  btch_1  PROCESSING", "FAILED", "fix the cause", "     Retry tier 1 of 1: "},
		"01-nothing-known":                     {"\nNext\n  1. "},
		"09-running-driver-unplaceable-actors": {"RUNNING     PLACEMENT:TOO_LARGE\n", "RUNNING     PROGRAM:STARTING\n"},
	} {
		var b strings.Builder
		for _, at := range told(t, story) {
			paper{}.snapshot(&b, &at.Answer, at.Answer.View.AsOf, "")
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
	writeExplanation(&b, &all[len(all)-1].Explain, moment)
	for _, part := range []string{"and stuck.", "Rule: ", "Since ", "limit ", "\nCause     PLACEMENT:TOO_LARGE, known, since ", "\n          raysubmit_a asks for more than any node has", "Because\n  1. ", "event ", "Not\n  degraded"} {
		if !strings.Contains(b.String(), part) {
			t.Errorf("no %q in\n%s", part, b.String())
		}
	}
}

func TestWriteProofs(t *testing.T) {
	all := told(t, "59-stuck-with-a-stack")
	var b strings.Builder
	writeExplanation(&b, &all[1].Explain, moment)
	for _, part := range []string{
		"\nLast lines of the driver of raysubmit_a, taken at ", "\n    waiting for 3 of 4 ranks\n",
		"\nStack of the driver (pid 830) of raysubmit_a, taken at ", "\n  in train.py:88 dist.barrier, in each of 3 looks since ", "\n    barrier (dist.py:88)\n",
		"\nStack of the worker of raysubmit_a, taken at ", "\n  Profiling is off on this cluster",
	} {
		if !strings.Contains(b.String(), part) {
			t.Errorf("no %q in\n%s", part, b.String())
		}
	}
}

// Texts that others wrote can't control the terminal.
func TestNoEscapeSequences(t *testing.T) {
	const evil = "a\x1b[2Jb\u009bc\u202ed\ne"
	text := evil
	s := client.Snapshot{BatchName: evil, BlockedReason: &text, Error: &text, NextActions: []string{evil}}
	e := client.Explanation{Rule: evil, Steps: nil, Proofs: []diagnostics.Proof{{Kind: evil, Process: evil, Text: &text, Frame: &text, Name: &text}}}
	var b bytes.Buffer
	p := paper{}
	p.snapshot(&b, &s, moment, "")
	writeExplanation(&b, &e, moment)
	if err := p.rows(&b, []client.Row{{BlockedReason: &text, Owner: &text, Pipeline: &text}}, true, moment); err != nil {
		t.Fatal(err)
	}
	if strings.ContainsAny(b.String(), "\x1b\u009b\u202e") || strings.Contains(b.String(), "d\ne") {
		t.Errorf("%q", b.String())
	}
}

// A cause with every field set is shown completely, as text.
func TestEverythingOfACauseIsShown(t *testing.T) {
	at, act, helps := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC), "platform", "perhaps"
	c := client.Cause{
		Code: "CAPACITY:IN_USE", Certainty: "inferred", Since: &at, WhoActs: &act, WaitingHelps: &helps, Sentence: "rj waits for resources that are in use",
		Holders: []byte(`[{"job":"nightly","gpus":4},"a notebook"]`), Fixes: []byte(`["stop nightly"]`), Asked: []byte(`[{"bytes":9004,"truncated":true}]`), Evidence: []string{"e1", "e2"},
	}
	doubt := client.Cause{Code: "REPORTING:CLOCK", Sentence: "the clock of relay is 2 h behind"}
	s := client.Snapshot{BatchID: "b", BatchName: "b", Status: "PROCESSING", CurrentTier: 1, TotalTiers: 3, Cause: &c, Doubts: []client.Cause{doubt}}
	var get, explain, list strings.Builder
	paper{}.snapshot(&get, &s, moment, "")
	writeExplanation(&explain, &client.Explanation{Cause: &c, Doubts: s.Doubts}, moment)
	code := string(c.Code)
	if err := (paper{}).rows(&list, []client.Row{{BatchID: "b", CurrentTier: 1, TotalTiers: 3, Cause: &code}}, false, moment); err != nil {
		t.Fatal(err)
	}
	shown := map[string]string{
		"get": get.String(), "explain": explain.String(), "watch": ansi.Strip(strings.Join(sceneOf(&s).lay(400, moment), "\n")),
	}
	for verb, text := range shown {
		for _, part := range []string{
			"CAPACITY:IN_USE", "inferred from what is known", "whoever runs the cluster has to act", "it may end by itself",
			"held by: gpus 4, job nightly; a notebook", "fixes: stop nightly", "asked: more than is kept (9004 bytes)", "REPORTING:CLOCK: the clock of relay is 2 h behind",
		} {
			if !strings.Contains(text, part) {
				t.Errorf("%s: no %q in\n%s", verb, part, text)
			}
		}
		if strings.ContainsAny(text, "{}") || strings.Contains(text, "null") {
			t.Errorf("%s: raw JSON in\n%s", verb, text)
		}
	}
	if line := snapshotLine(&s); !strings.Contains(line, "tier 2 of 3  0 %  CAPACITY:IN_USE  rj waits for") || !strings.HasSuffix(line, "(doubt: REPORTING:CLOCK)") {
		t.Error(line)
	}
	if !strings.Contains(list.String(), "  2/3  ") || !strings.Contains(list.String(), "  CAPACITY:IN_USE  ") {
		t.Error(list.String())
	}
}

func TestSpan(t *testing.T) {
	for seconds, want := range map[float64]string{0.4: "0 s", 59.6: "1 min 0 s", 61: "1 min 1 s", 3700: "1 h 1 min", 90000: "1 d 1 h"} {
		if got := span(seconds); got != want {
			t.Errorf("%v: %s, want %s", seconds, got, want)
		}
	}
}
