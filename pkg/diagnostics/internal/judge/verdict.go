package judge

import "github.com/headwayhq/headway/pkg/diagnostics/internal/event"

// Verdict decides between the cases at asOf. Stuck before degraded before scaling before ok.
func (d *Derived) Verdict(cases []Case, asOf int64, p Policy) Verdict {
	var stuck, waits, mover *Case
	moving, scaling := false, false
	earlier := func(to **Case, j *Case) {
		if *to == nil || j.Since < (*to).Since {
			*to = j
		}
	}
	for i := range cases {
		j := &cases[i]
		switch {
		case j.Stuck(asOf, p):
			earlier(&stuck, j)
		case j.Moves:
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
		v.BlockedReason = stuck.Past()
		if stuck.Caused(asOf, p) {
			v.BlockedReason = stuck.Cause.Text
		}
		v.StuckSeconds = Seconds(max(0, asOf-stuck.Since))
	case d.HasFailures:
		v.Health = event.HealthDegraded
	case scaling && !moving:
		v.Health = event.HealthScaling
		v.BlockedReason = waits.Inside()
	}
	if speaks == nil {
		if speaks = waits; speaks == nil {
			speaks = mover
		}
	}
	v.Evidence = d.evidence(speaks, v, asOf, p)
	return v
}

// Same reports whether two verdicts say the same; how long a batch is stuck is a clock, no verdict.
func (v Verdict) Same(o Verdict) bool {
	return v.Health == o.Health && v.BlockedReason == o.BlockedReason && v.Evidence.Signal == o.Evidence.Signal &&
		Equal(v.Evidence.TierNum, o.Evidence.TierNum) && Equal(v.Evidence.RayJobID, o.Evidence.RayJobID) &&
		(v.Evidence.Since == nil) == (o.Evidence.Since == nil) &&
		(v.Evidence.Since == nil || v.Evidence.Since.Equal(*o.Evidence.Since))
}

// Equal compares what may be missing.
func Equal[T comparable](a, b *T) bool { return (a == nil) == (b == nil) && (a == nil || *a == *b) }
