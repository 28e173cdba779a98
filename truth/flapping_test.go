package main

import (
	"testing"
	"time"

	"github.com/headwayhq/headway/pkg/diagnostics"
)

// How long a story is watched after its last input, and in what time an unchanged situation may change its cause once.
const (
	watched   = time.Hour
	unchanged = time.Minute
	quiet     = time.Minute // shorter pauses between inputs aren't looked at
	step      = 5 * time.Second
)

// While nothing is stored, the cause changes at most once in a minute, and never goes back to what it was.
func TestNoCauseFlaps(t *testing.T) {
	stories, err := readStories("cases")
	if err != nil {
		t.Fatal(err)
	}
	changes := 0
	for _, s := range stories {
		v := diagnostics.NewView("team", "b")
		var d diagnostics.Decoder
		for i, in := range s.inputs {
			if e, no := d.Decode(diagnostics.Message{Subject: "headway.log.0.team.b." + in.kind, Data: in.data, Stored: in.stored}); no == nil {
				diagnostics.Fold(v, e)
			}
			until := in.stored.Add(watched)
			if i+1 < len(s.inputs) {
				until = s.inputs[i+1].stored
			}
			if until.Sub(in.stored) >= quiet {
				changes += s.flaps(t, diagnostics.Derive(v), in.stored, until)
			}
		}
	}
	if changes < len(stories)/4 {
		t.Errorf("time alone changed a cause only %d times in %d stories: too little was watched", changes, len(stories))
	}
}

// flaps follows the cause from one input to the next.
func (s *story) flaps(t *testing.T, d diagnostics.Derived, from, until time.Time) (changes int) {
	t.Helper()
	policy := diagnostics.DefaultPolicy()
	said := map[string]bool{}
	code := func(at time.Time) string {
		if c := d.Row(at, policy).Cause; c != nil {
			return *c
		}
		return "none"
	}
	last, changed := code(from), time.Time{}
	said[last] = true
	for at := from.Add(step); at.Before(until); at = at.Add(step) {
		now := code(at)
		if now == last {
			continue
		}
		changes++
		if at.Sub(changed) < unchanged {
			t.Errorf("%s: %s becomes %s at %v, %v after the change before", s.name, last, now, at.Sub(origin), at.Sub(changed))
		}
		if said[now] {
			t.Errorf("%s: it is %s again at %v, after %s", s.name, now, at.Sub(origin), last)
		}
		said[now] = true
		last, changed = now, at
	}
	return changes
}
