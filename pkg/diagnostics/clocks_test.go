package diagnostics

import (
	"bytes"
	"encoding/json"
	"testing"
	"time"
)

// The hash of an answer changes with every field except running times.
func TestAnswerHash(t *testing.T) {
	s := tell(t).batch(0, WordProcessing, tiers(2)).job(1, "j", 0, WordRunning, docs(3, 9)).job(2, "k", 1, WordPending)
	v := s.view()
	body := func(at int64) []byte {
		a := Render(v, moment(at), s.policy, Meta{Lag: time.Duration(at % 977)})
		return a.AppendJSON(nil)
	}
	one, two := body(minute(6)), body(minute(7))
	if bytes.Equal(one, two) || AnswerHash(one) != AnswerHash(two) {
		t.Errorf("a minute with nothing new changes the hash, or no clock:\n%s\n%s", one, two)
	}
	next, ok := Derive(v).NextAnswer(moment(minute(6)), s.policy)
	if !ok || AnswerHash(body(next.UnixNano())) == AnswerHash(one) {
		t.Errorf("what changes at %v doesn't change the hash", next)
	}
	var all any
	if err := json.Unmarshal(one, &all); err != nil {
		t.Fatal(err)
	}
	changed := 0
	each(all, "", func(path string, set func(any)) {
		before := AnswerHash(canonical(t, all))
		set("something else")
		after := AnswerHash(canonical(t, all))
		set(nil)
		if clock := clocksOf[path]; clock != (before == after) {
			t.Errorf("%s: a clock %v, told apart %v", path, clock, before != after)
		}
		changed++
	})
	if changed < 150 {
		t.Errorf("only %d places", changed)
	}
}

var clocksOf = map[string]bool{
	".duration_seconds": true, ".stuck_seconds": true, ".view.as_of": true, ".view.lag_seconds": true,
	".tiers.duration_seconds": true, ".tiers.queue_seconds": true, ".tiers.jobs.duration_seconds": true, ".tiers.jobs.queue_seconds": true, ".tiers.jobs.phases.duration_seconds": true,
}

func canonical(t *testing.T, v any) []byte {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// each visits every leaf.
func each(v any, path string, do func(path string, set func(any))) {
	switch v := v.(type) {
	case map[string]any:
		for k, e := range v {
			leaf(e, path+"."+k, func(x any) { v[k] = x }, do)
		}
	case []any:
		for i, e := range v {
			leaf(e, path, func(x any) { v[i] = x }, do)
		}
	}
}

func leaf(e any, path string, set func(any), do func(path string, set func(any))) {
	switch e.(type) {
	case map[string]any, []any:
		each(e, path, do)
	default:
		do(path, func(x any) {
			if x == nil {
				x = e
			}
			set(x)
		})
	}
}
