package diagnostics

import "github.com/headwayhq/headway/pkg/diagnostics/internal/event"

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
	v := Verdict{Health: event.HealthOK}
	speaks := stuck
	switch {
	case stuck != nil:
		v.Health = event.HealthStuck
		v.BlockedReason = stuck.past()
		if stuck.caused(asOf, p) {
			v.BlockedReason = stuck.cause.text
		}
		v.StuckSeconds = seconds(max(0, asOf-stuck.since))
	case d.hasFailures:
		v.Health = event.HealthDegraded
	case scaling && !moving:
		v.Health = event.HealthScaling
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

// same reports whether two verdicts say the same; how long a batch is stuck is a clock, no verdict.
func (v Verdict) same(o Verdict) bool {
	return v.Health == o.Health && v.BlockedReason == o.BlockedReason && v.Evidence.Signal == o.Evidence.Signal &&
		equal(v.Evidence.TierNum, o.Evidence.TierNum) && equal(v.Evidence.RayJobID, o.Evidence.RayJobID) &&
		(v.Evidence.Since == nil) == (o.Evidence.Since == nil) &&
		(v.Evidence.Since == nil || v.Evidence.Since.Equal(*o.Evidence.Since))
}

func equal[T comparable](a, b *T) bool { return (a == nil) == (b == nil) && (a == nil || *a == *b) }
