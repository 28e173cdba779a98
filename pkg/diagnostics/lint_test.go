package diagnostics

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// What no text may hold: raw JSON, null, what steers a terminal, a parameter that wasn't filled, a negative or a running
// duration, a tier that isn't counted as people count.
var badTexts = map[string]*regexp.Regexp{
	"raw JSON":                    regexp.MustCompile(`\{"|\[\{`),
	"null":                        regexp.MustCompile(`\bnull\b`),
	"a control character":         regexp.MustCompile(`[\x00-\x08\x0b-\x1f\x7f]`),
	"a parameter":                 regexp.MustCompile(`\{[a-z_]+\}|%!`),
	"a negative duration":         regexp.MustCompile(`(^|[ (])-\d+(\.\d+)? ?(s|min|h)\b`),
	"a running duration":          regexp.MustCompile(`\b\d+ (s|min|h|days?) ago\b|\bfor \d+ (s|min|h)\b`),
	"a tier counted from nowhere": regexp.MustCompile(`\b[Tt]ier \d+( [^o]|[^ \d]|$)`),
	"two spaces":                  regexp.MustCompile(`\S  \S`),
}

// lintAnswer finds what contradicts itself in an answer. said is what the story's events say.
func lintAnswer(a *Snapshot, said string) (out []string) {
	bad := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }
	texts := append([]string{}, a.NextActions...)
	if a.BlockedReason != nil {
		texts = append(texts, *a.BlockedReason)
	}
	for _, i := range a.Insights {
		texts = append(texts, i.Message, *i.Recommendation)
	}
	causes := append([]Cause{}, a.Doubts...)
	if a.Cause != nil {
		causes = append(causes, *a.Cause)
	}
	for _, t := range a.Tiers {
		if t.Cause != nil {
			causes = append(causes, *t.Cause)
		}
		if p := t.Progress; p.ProcessedDocuments < 0 || p.Percentage == 100 && t.Status != "COMPLETED" || p.TotalDocuments > 0 && p.ProcessedDocuments > p.TotalDocuments {
			bad("progress %+v of a tier that is %s", p, t.Status)
		}
		for _, j := range t.Jobs {
			if j.Cause != nil {
				causes = append(causes, *j.Cause)
			}
		}
	}
	for _, c := range causes {
		texts = append(texts, c.Sentence)
		if c.Since == nil || len(c.Evidence) == 0 && !strings.HasPrefix(string(c.Code), "REPORTING:") {
			bad("%s has no since or no evidence", c.Code)
		}
	}
	for _, text := range texts {
		for what, r := range badTexts {
			if r.MatchString(text) {
				bad("%s in %q", what, text)
			}
		}
		for word, source := range map[string]string{"GPU": `(?i)gpu`, "Ray": `"submission_id"|job\.`, "quota": `(?i)quota`} {
			if strings.Contains(text, word) && !regexp.MustCompile(source).MatchString(said) {
				bad("%s has no source: %q", word, text)
			}
		}
	}
	lintHealth(a, bad)
	lintEstimate(a, bad)
	return out
}

func lintHealth(a *Snapshot, bad func(string, ...any)) {
	stuck, scaling := a.Health == HealthStuck, a.Health == HealthScaling
	if a.Health != HealthOK && a.Cause == nil {
		bad("%v without a cause", a.Health)
	}
	if (a.BlockedReason != nil) != (stuck || scaling) {
		bad("%v with blocked reason %v", a.Health, a.BlockedReason)
	}
	if (a.StuckSeconds != nil) != stuck || stuck && *a.StuckSeconds < 0 {
		bad("%v with stuck_seconds %v", a.Health, a.StuckSeconds)
	}
	all := strings.Join(a.NextActions, "\n")
	if strings.Contains(all, "Nothing to do") && (a.Health != HealthOK || a.Cause != nil || len(a.Doubts) > 0 || a.HasFailures) {
		bad("an all-clear beside what is open: %s", all)
	}
	if strings.Contains(all, "Wait ") && (stuck || a.Cause == nil || *a.Cause.WaitingHelps != "yes") {
		bad("it advises to wait, and waiting doesn't help: %s", all)
	}
	if len(a.NextActions) == 0 || len(a.NextActions) > 8 {
		bad("%d next actions", len(a.NextActions))
	}
	if a.HasFailures && strings.HasPrefix(a.Status, "PROCESSING") && !strings.Contains(all, "fail") && a.Health != HealthStuck {
		bad("nothing says what failed: %s", all)
	}
}

func lintEstimate(a *Snapshot, bad func(string, ...any)) {
	if (a.ETA == nil) != (a.EstimatedCompletion == nil) {
		bad("estimate %v, completion %v", a.ETA, a.EstimatedCompletion)
	}
	if e := a.ETA; e != nil && (e.P50.Before(a.View.AsOf) || e.P90.Before(e.P50) || a.Health == HealthStuck || a.Status != "PROCESSING") {
		bad("an estimate %+v at %v of a batch that is %v", e, a.View.AsOf, a.Health)
	}
	if d := a.DurationSeconds; d != nil && *d < 0 {
		bad("duration %v", *d)
	}
}

// clocks are the fields that run with time.
var clocks = map[string]bool{"as_of": true, "duration_seconds": true, "stuck_seconds": true, "queue_seconds": true, "lag_seconds": true}

func stopClocks(t *testing.T, s *Snapshot) string {
	t.Helper()
	var v any
	if err := json.Unmarshal(s.AppendJSON(nil), &v); err != nil {
		t.Fatal(err)
	}
	var strip func(any)
	strip = func(v any) {
		switch v := v.(type) {
		case map[string]any:
			for k, e := range v {
				if clocks[k] {
					delete(v, k)
				} else {
					strip(e)
				}
			}
		case []any:
			for _, e := range v {
				strip(e)
			}
		}
	}
	strip(v)
	out, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

// Over all stories, at each question and at each moment at which something changes by itself: an answer doesn't contradict
// itself, and between two such moments only its clocks run.
func TestAnswersDoNotContradictThemselves(t *testing.T) {
	files, err := filepath.Glob("testdata/stories/*.story")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		s := parseTale(t, string(text))
		for _, q := range s.asks {
			v := s.viewAt(t, q.at)
			at := q.at
			for range 12 {
				a := Render(v, at, s.policy, Meta{})
				for _, what := range lintAnswer(&a, string(text)) {
					t.Errorf("%s at %v: %s", filepath.Base(file), at.Format("15:04:05.999999999"), what)
				}
				next, changes := Derive(v).NextAnswer(at, s.policy)
				if !changes {
					next = at.Add(1000 * time.Hour)
				}
				before := Render(v, next.Add(-time.Nanosecond), s.policy, Meta{})
				if was, is := stopClocks(t, &a), stopClocks(t, &before); was != is {
					t.Errorf("%s: from %v to one nanosecond before %v something changed that is no clock: %s", filepath.Base(file), at.Format("15:04:05.999999999"), next.Format("15:04:05.999999999"), difference(was, is))
				}
				if at = next; !changes {
					break
				}
			}
		}
	}
}

func difference(a, b string) string {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	cut := func(s string) []byte { return bytes.TrimSpace([]byte(s[max(0, n-60):min(len(s), n+80)])) }
	return fmt.Sprintf("…%s… became …%s…", cut(a), cut(b))
}
