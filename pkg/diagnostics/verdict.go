package diagnostics

import (
	"encoding/json"
	"time"
)

// verdict decides between the cases at asOf. Stuck before degraded before scaling before ok.
func (d *derived) verdict(cases []judgement, asOf int64, p Policy) Verdict {
	var stuck, waits, mover *judgement
	moving, scaling := false, false
	earlier := func(to **judgement, j *judgement) {
		if *to == nil || j.since < (*to).since {
			*to = j
		}
	}
	for i := range cases {
		j := &cases[i]
		switch {
		case j.stuck(asOf, p):
			earlier(&stuck, j)
		case j.moves:
			moving = true
			earlier(&mover, j)
		default:
			scaling = true
			earlier(&waits, j)
		}
	}
	v := Verdict{Health: HealthOK}
	speaks := stuck
	switch {
	case stuck != nil:
		v.Health = HealthStuck
		v.BlockedReason = stuck.past()
		if stuck.caused(asOf, p) {
			v.BlockedReason = stuck.cause.text
		}
		v.StuckSeconds = seconds(max(0, asOf-stuck.since))
	case d.hasFailures:
		v.Health = HealthDegraded
	case scaling && !moving:
		v.Health = HealthScaling
		v.BlockedReason = waits.inside()
	}
	if speaks == nil {
		if speaks = waits; speaks == nil {
			speaks = mover
		}
	}
	v.Evidence = d.evidence(speaks, v, asOf, p)
	return v
}

func (d *derived) evidence(j *judgement, v Verdict, asOf int64, p Policy) Evidence {
	e := Evidence{Signal: "progress", EventIDs: []string{}, LastHeard: instant(d.s.last)}
	if j == nil {
		return e
	}
	stuck := v.Health == HealthStuck
	switch {
	case stuck:
		e.Signal = signal(v.BlockedReason)
	case !j.moves:
		e.Signal = signal(j.inside())
	}
	limit := j.limit.Seconds()
	e.Since, e.ThresholdSeconds = instant(j.since), &limit
	for _, s := range j.by {
		if !s.isZero() {
			e.EventIDs = append(e.EventIDs, s.ID)
		}
	}
	job := j.job
	if stuck && j.caused(asOf, p) {
		job = j.cause.job
		e.EventIDs = append(e.EventIDs, j.cause.by.ID)
	}
	if job != nil {
		e.RayJobID = &job.j.id
		if w, _, ok := job.waitingOn(); ok && job.live() {
			e.WaitingOn = w.diagnostic()
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

func signal(reason string) string {
	for i := range reason {
		if reason[i] == ':' {
			return reason[:i]
		}
	}
	return reason
}

func (w waiting) diagnostic() *WaitingOn {
	o := &WaitingOn{Kind: w.Kind, Since: *instant(w.Since), Demand: raw(w.DemandJSON), Offered: raw(w.OfferedJSON)}
	o.NodesPending, o.Infeasible, o.Detail = w.NodesPending.ptr(), w.Infeasible.ptr(), w.Detail.ptr()
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

// same reports whether two verdicts say the same; how long a batch is stuck is a clock, no verdict.
func (v Verdict) same(o Verdict) bool {
	return v.Health == o.Health && v.BlockedReason == o.BlockedReason && v.Evidence.Signal == o.Evidence.Signal &&
		equal(v.Evidence.TierNum, o.Evidence.TierNum) && equal(v.Evidence.RayJobID, o.Evidence.RayJobID) &&
		(v.Evidence.Since == nil) == (o.Evidence.Since == nil) &&
		(v.Evidence.Since == nil || v.Evidence.Since.Equal(*o.Evidence.Since))
}

func equal[T comparable](a, b *T) bool { return (a == nil) == (b == nil) && (a == nil || *a == *b) }
