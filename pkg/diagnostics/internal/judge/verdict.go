package judge

import (
	"slices"
	"strings"

	"github.com/headwayhq/headway/pkg/diagnostics/internal/cause"
	"github.com/headwayhq/headway/pkg/diagnostics/internal/event"
)

// Verdict is the health of a batch at a moment, with its evidence.
type Verdict struct {
	Health        event.Health
	BlockedReason string // "" when ok or degraded
	StuckSeconds  float64
	Evidence      Evidence
	Cause         *Finding // nil if nothing is wrong and nothing waits
}

// Code is the code of the verdict's cause, "" if there is none.
func (v Verdict) Code() string { return codeOf(v.Cause) }

func codeOf(f *Finding) string {
	if f == nil {
		return ""
	}
	return string(f.Row.Code)
}

// ruling is a verdict before it is put into words.
type ruling struct {
	health event.Health
	cause  *Finding
	waits  *Case // the case of which the reason tells; nil if there is no reason to tell
	speaks *Case // the case on which the verdict is based; nil if there is none
}

func (r ruling) code() string { return codeOf(r.cause) }

// rule chooses among the cases at asOf: stuck before degraded before scaling before ok.
func (cases *Cases) rule(asOf int64) ruling {
	var s overall
	for i := range cases.Tiers {
		s.add(cases.Tiers[i], cases.Tiers[i].stand(asOf))
	}
	return cases.ruling(&s, asOf)
}

func (cases *Cases) ruling(s *overall, asOf int64) ruling {
	v := ruling{health: event.HealthOK, speaks: firstCase(s.stuckCase, s.waitsCase, s.mover)}
	after := cases.after(asOf)
	switch {
	case s.stuck != nil:
		v.health, v.cause, v.waits = event.HealthStuck, s.stuck, s.stuckCase
	case cases.d.HasFailures:
		v.health = event.HealthDegraded
		if len(cases.Failed) > 0 {
			v.cause = &cases.Failed[0]
		}
		if cases.d.Finished() && after != nil && after.Row.Code == cause.RunsOn {
			v.cause = after
		}
	case s.scaling > 0 && s.mover == nil:
		v.health, v.cause, v.waits = event.HealthScaling, s.waits, s.waitsCase
	default:
		if v.cause = s.waits; s.waits == nil {
			v.cause = after
		}
	}
	return v
}

// Verdict is the batch's health at asOf.
func (cases *Cases) Verdict(asOf int64) Verdict { return cases.word(cases.rule(asOf), asOf) }

// word puts a ruling into words.
func (cases *Cases) word(r ruling, asOf int64) Verdict {
	v := Verdict{Health: r.health, Cause: r.cause, BlockedReason: cases.reason(r)}
	if r.health == event.HealthStuck {
		v.StuckSeconds = Seconds(max(0, asOf-r.waits.Since))
	}
	v.Evidence = cases.d.evidence(r.speaks, v)
	return v
}

func (cases *Cases) reason(r ruling) string {
	switch {
	case r.waits == nil:
		return ""
	case r.health == event.HealthStuck:
		return cases.Reason(r.waits, r.cause)
	}
	return cases.Inside(r.waits, r.cause)
}

// Standing is the health at asOf, its reason ("" if there is none) and the cause (nil likewise): what lists show of a verdict.
func (cases *Cases) Standing(asOf int64) (health event.Health, reason string, because *Finding) {
	r := cases.rule(asOf)
	return r.health, cases.reason(r), r.cause
}

func firstCase(cases ...*Case) *Case {
	for _, j := range cases {
		if j != nil {
			return j
		}
	}
	return nil
}

// Over reports that nothing more of the batch is awaited: it has finished, and no job of it is live, or its end was more than the grace
// ago.
func (cases *Cases) Over(asOf int64) bool {
	return cases.d.Finished() && !slices.ContainsFunc(cases.After, func(f Finding) bool {
		return f.Early && f.Row.Code == cause.RunsOn && f.Said(asOf)
	})
}

// after is the finding about what still runs or is missing at a moment; nil if there is none.
func (cases *Cases) after(asOf int64) *Finding {
	for i := range cases.After {
		if f := &cases.After[i]; f.Said(asOf) && !f.OpenOnly {
			return f
		}
	}
	return nil
}

// word is the part of a stuck case's reason before the colon.
func (j *Case) word(f *Finding) string {
	switch {
	case f.timer || f.StuckAt >= j.Since+int64(j.Limit) && f.Helps() != cause.No:
		return j.Past
	case strings.HasPrefix(string(f.Row.Code), "PLACEMENT:") || f.Waits != nil && f.Waits.Infeasible.V:
		return cause.RayJobUnschedulable
	}
	return cause.Word(f.Row.Code)
}

// Inside is the blocked reason until the limit is passed.
func (cases *Cases) Inside(j *Case, f *Finding) string {
	if j.Signal == cause.ClusterColdStart && f.Row.Code == cause.Unknown && f.Waits == nil && !cases.d.State.WaitingSaid {
		return j.Signal + ": workers are starting"
	}
	return j.Signal + ": " + cases.Sentence(f)
}

// Same reports whether two verdicts are the same, apart from how long a batch has been stuck.
func (v Verdict) Same(o Verdict) bool {
	return v.Health == o.Health && v.BlockedReason == o.BlockedReason && v.Evidence.Signal == o.Evidence.Signal &&
		Equal(v.Evidence.TierNum, o.Evidence.TierNum) && Equal(v.Evidence.RayJobID, o.Evidence.RayJobID) &&
		(v.Evidence.Since == nil) == (o.Evidence.Since == nil) &&
		(v.Evidence.Since == nil || v.Evidence.Since.Equal(*o.Evidence.Since)) &&
		v.Code() == o.Code()
}

// Equal compares values that may be missing.
func Equal[T comparable](a, b *T) bool { return (a == nil) == (b == nil) && (a == nil || *a == *b) }

// Reason is the blocked reason of a case that is stuck.
func (cases *Cases) Reason(j *Case, f *Finding) string { return j.word(f) + ": " + cases.Sentence(f) }

// Parts are the causes of open tiers and of jobs at a moment.
func (cases *Cases) Parts(asOf int64) (tiers map[*Tier]*Finding, jobs map[*Job]*Finding) {
	tiers, jobs = map[*Tier]*Finding{}, map[*Job]*Finding{}
	put := func(f *Finding) {
		if !f.Said(asOf) || f.OpenOnly {
			return
		}
		if f.Job != nil && f.ofJob() {
			one := jobs[f.Job]
			sooner(&one, f)
			jobs[f.Job] = one
		}
	}
	for i := range cases.Tiers {
		j := cases.Tiers[i]
		f := j.Stuck(asOf)
		if f == nil {
			f = j.Waits(asOf)
		}
		if f != nil && f.Tier != nil {
			tiers[f.Tier] = f
		}
		for k := range j.Findings {
			put(&j.Findings[k])
		}
	}
	for _, of := range [][]Finding{cases.Failed, cases.After} {
		for i := range of {
			f := &of[i]
			put(f)
			if f.Tier != nil && tiers[f.Tier] == nil && f.Said(asOf) && !f.OpenOnly && (f.Job == nil || f.Tier.Status.Rank() == event.RankTerminal) {
				tiers[f.Tier] = f
			}
		}
	}
	return tiers, jobs
}

// ofJob reports that the finding is about the job, and not about its tier.
func (f *Finding) ofJob() bool {
	return !f.timer || f.Row.Code == cause.Unknown || f.Row.Code == cause.Starting || f.Row.Code == cause.NodeLaunching
}
