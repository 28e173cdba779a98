package diagnostics

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/headwayhq/headway/pkg/diagnostics/lint"
)

// clocks are the fields that contain running times.
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

// For all stories, at each question and at each moment at which something changes without an event: an answer doesn't contradict
// itself, and between two such moments only running times change.
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
				for _, what := range lint.Answer(&a, string(text)) {
					t.Errorf("%s at %v: %s", filepath.Base(file), at.Format("15:04:05.999999999"), what)
				}
				x := Explain(v, at, s.policy, Meta{})
				for _, what := range lint.Explanation(&a, &x) {
					t.Errorf("%s at %v: %s", filepath.Base(file), at.Format("15:04:05.999999999"), what)
				}
				nextVerdict(t, filepath.Base(file), v, at, s.policy)
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

// nextVerdict checks that a verdict stands until one nanosecond before its next check, and that exactly then it changes or is due
// to be published.
func nextVerdict(t *testing.T, name string, v *View, at time.Time, policy Policy) {
	t.Helper()
	d := Derive(v)
	next, ok := d.NextCheck(at, policy)
	if !ok {
		next = at.Add(10_000 * time.Hour)
	}
	if next.Equal(at) {
		return // something is due: it is published, and a fold follows
	}
	shown := func(at time.Time) string {
		verdict := d.Assess(at, policy)
		_, due := d.Due(at, policy)
		return fmt.Sprint(verdict.Health, verdict.BlockedReason, verdict.Code(), verdict.Evidence.Signal, due)
	}
	if was, is := shown(at), shown(next.Add(-1)); was != is {
		t.Errorf("%s at %v: %s became %s one nanosecond before the next check at %v", name, at, was, is, next)
	}
}
