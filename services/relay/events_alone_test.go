package relay

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"
)

// The event export alone tells starts exactly, and why the actors of a running driver wait, where it was heard from the beginning
// of the cluster on; of an outcome it knows nothing, and none is invented.
func TestEventsAlone(t *testing.T) {
	rec := record(t, "running_actor_unschedulable")
	head := func(id string, more string) json.RawMessage {
		return json.RawMessage(fmt.Sprintf(`{"eventType":"NODE_LIFECYCLE_EVENT","sessionName":%q,"timestamp":%q,"nodeLifecycleEvent":{"nodeId":%q,
			"stateTransitions":[{"state":"ALIVE","timestamp":%[2]q,"resources":{"CPU":2%[4]s}}]}}`, rec.Session, rec.at(-60).Format(time.RFC3339Nano), id, more))
	}
	posts := rec.Posts
	for _, c := range []struct {
		what  string
		event json.RawMessage
		waits bool
	}{
		{"the head was heard", head("icUVLF0VLqOIf7FCIAeFP+1YDltRA4N0TC910A==", `,"node:__internal_head__":1`), true},
		{"some node was heard", head("icUVLF0VLqOIf7FCIAeFP+1YDltRA4N0TC910A==", ""), false},
	} {
		rec.Posts = append(posts[:0:0], posts...)
		rec.Posts[0].Events = append([]json.RawMessage{c.event}, posts[0].Events...)
		b := play(t, rec, false, true)
		j := b.job(t, "demo/btch_1", rec.Submitted[0].ID)
		if j == nil || j["status"] != "RUNNING" || j["job_id"] != "0d000000" {
			t.Fatalf("%s: %v", c.what, j)
		}
		started, err := time.Parse(time.RFC3339Nano, fmt.Sprint(j["started_at"]))
		if at := rec.since(started); err != nil || at < 1.88 || at > 1.89 {
			t.Errorf("%s: started at %v", c.what, j["started_at"])
		}
		said := false
		for _, s := range b.waits(rec.Submitted[0].ID) {
			w := wait(s)
			said = said || w.Kind == "resources" && amount(w.Demand["GPU"]) == 1 && amount(w.Offered["GPU"]) == 0 && rec.since(s.when) < 5
		}
		if said != c.waits {
			t.Errorf("%s: that its actor waits was said: %v, want %v", c.what, said, c.waits)
		}
	}
}
