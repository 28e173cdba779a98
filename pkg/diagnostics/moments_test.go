package diagnostics

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

// All stories in simulated time: between two moments that an answer names, only running times change, and the list agrees with
// the snapshot.
func TestStoriesChangeAtTheirMomentsOnly(t *testing.T) {
	files, err := filepath.Glob("testdata/stories/*.story")
	if err != nil || len(files) < 40 {
		t.Fatalf("%d stories (%v)", len(files), err)
	}
	moments := 0
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		s := parseTale(t, string(text))
		v := NewView("search", "btch_1")
		for i := range s.events {
			Fold(v, &s.events[i])
			at := moment(s.events[i].Time)
			until := at.Add(3 * time.Hour)
			if i+1 < len(s.events) {
				until = moment(s.events[i+1].Time)
			}
			moments += stands(t, file, v, s.policy, at, until)
		}
	}
	if moments < 1_000 {
		t.Errorf("only %d moments", moments)
	}
}

// stands checks a view from one event to the next, and returns the number of intervals between changes.
func stands(t *testing.T, name string, v *View, p Policy, at, until time.Time) (n int) {
	t.Helper()
	d := Derive(v)
	for at.Before(until) && n < 40 {
		n++
		first, end := d.RenderUntil(at, p, Meta{})
		next, ok := d.NextAnswer(at, p)
		if ok != !end.IsZero() || ok && !next.Equal(end) {
			t.Fatalf("%s: at %v the answer holds until %v, and the next one is at %v", name, at, end, next)
		}
		last := until.Add(-1)
		if ok && end.Before(until) {
			last = end.Add(-1)
		}
		then := d.Render(last, p, Meta{})
		if AnswerHash(first.AppendJSON(nil)) != AnswerHash(then.AppendJSON(nil)) {
			t.Fatalf("%s: from %v to %v the answer changes without a moment:\n%s\n%s", name, at, last, first.AppendJSON(nil), then.AppendJSON(nil))
		}
		row := d.Row(at, p)
		if row.Until != nil && (!ok || row.Until.Before(end)) {
			t.Fatalf("%s: at %v the row holds until %v, the answer until %v", name, at, row.Until, end)
		}
		reason, cause := "", ""
		if then.BlockedReason != nil {
			reason = *then.BlockedReason
		}
		if then.Cause != nil {
			cause = string(then.Cause.Code)
		}
		if row.Health != then.Health || orEmpty(row.BlockedReason) != reason || orEmpty(row.Cause) != cause {
			t.Fatalf("%s: at %v the list says %v %q, the snapshot %v %q", name, last, row.Health, orEmpty(row.BlockedReason), then.Health, reason)
		}
		if !ok {
			break
		}
		at = end
	}
	return n
}

func orEmpty(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}
