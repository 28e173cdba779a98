package machine

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
)

// What a source says of a wait is published with its code, at the time since which it has been known; a change of the code
// alone is a change.
func TestWaitsOfASource(t *testing.T) {
	rules := Rules{}
	if err := rules.Compile(); err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC)
	s := New(rules)
	say := func(w Waits) (waiting []Event) {
		for _, e := range s.Step(Seen{{
			Session: "rayjob 1", Submission: "a", Source: "kuberay", Status: Pending, At: at, SubmittedAt: at, Waits: &w,
			Metadata: map[string]string{"headway.batch_id": "b", "headway.tier": "0"},
		}}).Events {
			s.Step(Kept{e})
			if strings.Contains(e.ID, "-waiting-") {
				waiting = append(waiting, e)
			}
		}
		return waiting
	}
	pull := Waits{Kind: "image_pull", Code: "IMAGE:PULLING", Since: at, At: at.Add(20 * time.Second), Asked: []Asked{{"Kubernetes, pods", "the right to list pods is missing"}}}
	first := say(pull)
	if len(first) != 1 || !first[0].Time.Equal(pull.At) {
		t.Fatalf("%+v", first)
	}
	body, err := json.Marshal(first[0].Data)
	if err != nil || !strings.Contains(string(body), `"code":"IMAGE:PULLING","asked":[{"answer":"the right to list pods is missing","source":"Kubernetes, pods"}]`) {
		t.Errorf("%v: %s", err, body)
	}
	if again := say(pull); len(again) != 0 {
		t.Errorf("said twice: %+v", again)
	}
	pull.Code, pull.At = "IMAGE:PULL_FAILED", at.Add(40*time.Second)
	if next := say(pull); len(next) != 1 || !next[0].Time.Equal(pull.At) {
		t.Errorf("%+v", next)
	}
	if end := say(Waits{At: at.Add(time.Minute)}); len(end) != 1 || !end[0].Time.Equal(at.Add(time.Minute)) {
		t.Errorf("%+v", end)
	}
}
