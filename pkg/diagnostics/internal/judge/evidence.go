package judge

import (
	"encoding/json"
	"slices"
	"time"

	"github.com/headwayhq/headway/pkg/diagnostics/internal/cause"
	"github.com/headwayhq/headway/pkg/diagnostics/internal/crdt"
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
	Code         *string         `json:"code"`
}

// Evidence is what a verdict follows from.
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

func (d *Derived) evidence(j *Case, v Verdict) Evidence {
	e := Evidence{Signal: cause.Progress, EventIDs: []string{}, LastHeard: Instant(d.State.Last)}
	if j == nil {
		return e
	}
	stuck := v.Health == event.HealthStuck
	switch {
	case stuck:
		e.Signal = cause.SignalOf(v.BlockedReason)
	case !j.Moves:
		e.Signal = j.Signal
	}
	limit := j.Limit.Seconds()
	e.Since, e.ThresholdSeconds = Instant(j.Since), &limit
	put := func(by []crdt.Stamp) {
		for _, s := range by {
			if !s.IsZero() && !slices.Contains(e.EventIDs, s.ID) {
				e.EventIDs = append(e.EventIDs, s.ID)
			}
		}
	}
	put(j.By)
	job := j.Job
	if f := v.Cause; f != nil && f.Tier == j.Tier && f.Job != nil && (stuck || !j.Moves) {
		job = f.Job
		put(f.By)
	}
	if job != nil {
		e.RayJobID = &job.State.ID
		if w, _, ok := job.WaitingOn(); ok && job.Live() {
			e.WaitingOn = Describe(w)
		}
	}
	if j.Tier != nil {
		n := int(j.Tier.Num)
		e.TierNum = &n
		if j.Tier.Heard != 0 {
			e.LastHeard = Instant(j.Tier.Heard)
		}
	}
	return e
}

// Describe is what a job waits for, as answers show it.
func Describe(w view.Waiting) *WaitingOn {
	o := &WaitingOn{Kind: w.Kind, Since: *Instant(w.Since), Demand: Raw(w.DemandJSON), Offered: Raw(w.OfferedJSON)}
	o.NodesPending, o.Infeasible, o.Detail = w.NodesPending.Ptr(), w.Infeasible.Ptr(), cleanPtr(w.Detail)
	o.Code = w.Code.Ptr()
	return o
}

// Raw is canonical JSON as a part of an answer; null for "".
func Raw(s string) json.RawMessage {
	if s == "" {
		return null
	}
	return json.RawMessage(s)
}

// Instant is a time for the answer; nil for 0.
func Instant(ns int64) *time.Time {
	if ns == 0 {
		return nil
	}
	t := At(ns)
	return &t
}

// Answers share them, without room to append.
var (
	null = json.RawMessage("null")[:4:4]
	none = json.RawMessage("[]")[:2:2]
)

// At is a time for the answer.
func At(ns int64) time.Time { return time.Unix(0, ns).UTC() }

// Seconds are nanoseconds in seconds.
func Seconds(ns int64) float64 { return float64(ns) / 1e9 }

func cleanPtr(o event.Opt[string]) *string {
	if !o.Set {
		return nil
	}
	s := cause.Clean(o.V)
	return &s
}
