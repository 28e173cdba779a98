package diagnostics

import (
	"fmt"
	"strings"
	"testing"
)

// An explanation has at most 200 steps. The last one is the verdict, and the one before it says how many were left out.
func TestExplanationOfVeryManyWaits(t *testing.T) {
	const jobs = 500
	s := tell(t).batch(0, WordProcessing, tiers(1)).tier(0, 0, WordProcessing)
	for i := range jobs {
		s.job(1, fmt.Sprintf("raysubmit_%03d", i), 0, WordPending, infeasible(1))
	}
	e := Explain(s.view(), moment(minute(5)), s.policy, Meta{})
	if len(e.Steps) != 200 {
		t.Fatalf("%d steps", len(e.Steps))
	}
	rest, verdict := e.Steps[198].Says, e.Steps[199].Says
	if !strings.HasPrefix(verdict, "So the batch is stuck") {
		t.Errorf("the last step is %q", verdict)
	}
	var left int
	if _, err := fmt.Sscanf(rest, "%d more steps are left out.", &left); err != nil || left < jobs-198 || left > jobs {
		t.Errorf("of the rest it says %q", rest)
	}
}

// A list that was too large to keep is still rendered as a list, because readers of an answer iterate over it.
func TestListsOfACauseStayLists(t *testing.T) {
	long := strings.Repeat("x", 9000)
	var d Decoder
	event, refused := d.Decode(Message{Subject: "headway.log.0.n.b.job.raysubmit_a", Stored: noon, Data: []byte(`{
		"id": "1", "source": "relay", "type": "dev.headway.job.v1", "time": "2026-03-01T12:00:00Z", "data": {
		"tier_num": 0, "submission_id": "raysubmit_a", "status": "PENDING",
		"waiting_on": {"kind": "resources", "since": "2026-03-01T12:00:00Z", "code": "CAPACITY:IN_USE", "holders": ["` + long + `"], "asked": ["autoscaler"]}}}`)})
	if refused != nil {
		t.Fatal(refused)
	}
	v := NewView("n", "b")
	Fold(v, event)
	c := Render(v, noon.Add(1), DefaultPolicy(), Meta{}).Cause
	if c == nil || string(c.Holders) != `[{"bytes":9004,"truncated":true}]` || string(c.Asked) != `["autoscaler"]` || string(c.Fixes) != "[]" {
		t.Errorf("%+v", c)
	}
}
