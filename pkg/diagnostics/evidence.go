package diagnostics

import (
	"encoding/json"
	"time"

	"github.com/headwayhq/headway/pkg/diagnostics/internal/cause"
	"github.com/headwayhq/headway/pkg/diagnostics/internal/event"
	"github.com/headwayhq/headway/pkg/diagnostics/internal/view"
)

// WaitingOn is what a job waits for, and what the cluster offers.
type WaitingOn struct {
	Kind         string          `json:"kind"`
	Since        time.Time       `json:"since"`
	Demand       json.RawMessage `json:"demand"`
	Offered      json.RawMessage `json:"offered"`
	NodesPending *int64          `json:"nodes_pending"`
	Infeasible   *bool           `json:"infeasible"`
	Detail       *string         `json:"detail"`
}

// Evidence is what a verdict rests on.
type Evidence struct {
	Signal           string     `json:"signal"` // the reason's word before the colon, or "progress"
	Since            *time.Time `json:"since"`
	ThresholdSeconds *float64   `json:"threshold_seconds"`
	TierNum          *int       `json:"tier_num"`
	RayJobID         *string    `json:"ray_job_id"`
	EventIDs         []string   `json:"event_ids"`
	LastHeard        *time.Time `json:"last_heard"`
	WaitingOn        *WaitingOn `json:"waiting_on"`
}

func (d *derived) evidence(j *judgement, v Verdict, asOf int64, p Policy) Evidence {
	e := Evidence{Signal: cause.Progress, EventIDs: []string{}, LastHeard: instant(d.s.Last)}
	if j == nil {
		return e
	}
	stuck := v.Health == event.HealthStuck
	switch {
	case stuck:
		e.Signal = cause.SignalOf(v.BlockedReason)
	case !j.moves:
		e.Signal = cause.SignalOf(j.inside())
	}
	limit := j.limit.Seconds()
	e.Since, e.ThresholdSeconds = instant(j.since), &limit
	for _, s := range j.by {
		if !s.IsZero() {
			e.EventIDs = append(e.EventIDs, s.ID)
		}
	}
	job := j.job
	if stuck && j.caused(asOf, p) {
		job = j.cause.job
		e.EventIDs = append(e.EventIDs, j.cause.by.ID)
	}
	if job != nil {
		e.RayJobID = &job.j.ID
		if w, _, ok := job.waitingOn(); ok && job.live() {
			e.WaitingOn = waitingDiagnostic(w)
		}
	}
	if j.tier != nil {
		n := int(j.tier.num)
		e.TierNum = &n
		if j.tier.heard != 0 {
			e.LastHeard = instant(j.tier.heard)
		}
	}
	return e
}

func waitingDiagnostic(w view.Waiting) *WaitingOn {
	o := &WaitingOn{Kind: w.Kind, Since: *instant(w.Since), Demand: raw(w.DemandJSON), Offered: raw(w.OfferedJSON)}
	o.NodesPending, o.Infeasible, o.Detail = w.NodesPending.Ptr(), w.Infeasible.Ptr(), w.Detail.Ptr()
	return o
}

func raw(s string) json.RawMessage {
	if s == "" {
		return json.RawMessage("null")
	}
	return json.RawMessage(s)
}

// instant is a time for the answer; nil for 0.
func instant(ns int64) *time.Time {
	if ns == 0 {
		return nil
	}
	t := time.Unix(0, ns).UTC()
	return &t
}

func seconds(ns int64) float64 { return float64(ns) / 1e9 }
