package answer

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/headwayhq/headway/pkg/diagnostics/internal/cause"
	"github.com/headwayhq/headway/pkg/diagnostics/internal/crdt"
	"github.com/headwayhq/headway/pkg/diagnostics/internal/event"
	"github.com/headwayhq/headway/pkg/diagnostics/internal/judge"
)

// maxSteps limits the steps of an explanation; the rest is counted.
const maxSteps = 200

type explainer struct {
	d     *judge.Derived
	asOf  int64
	p     judge.Policy
	cases *judge.Cases
}

// Explain derives the verdict at asOf again and records each step.
func Explain(d *judge.Derived, asOf time.Time, p judge.Policy, m Meta) Explanation {
	x := explainer{d: d, asOf: asOf.UnixNano(), p: p, cases: d.Judge(p)}
	verdict := x.cases.Verdict(x.asOf)
	e := Explanation{
		BatchID: x.d.View.BatchID(), Status: x.d.StatusText(), Health: verdict.Health, Rule: x.rule(verdict),
		View: viewInfo(x.d, m, x.asOf), At: m.Past, Since: verdict.Evidence.Since, ThresholdSeconds: verdict.Evidence.ThresholdSeconds,
		Tiers: make([]Case, 0, len(x.cases.Tiers)), NextCheck: x.change(verdict), NotTaken: x.notTaken(verdict),
		Policy: ThresholdPolicy{
			WindowGPUSeconds: x.p.WindowGPU.Seconds(), WindowNoGPUSeconds: x.p.WindowNoGPU.Seconds(),
			TimeoutSeconds: x.p.Timeout.Seconds(), GraceSeconds: x.p.Grace.Seconds(),
			SettleSeconds: x.p.Settle.Seconds(), ScalingDelaySeconds: x.p.ScalingDelay.Seconds(),
		},
	}
	if verdict.BlockedReason != "" {
		e.BlockedReason = &verdict.BlockedReason
	}
	if s := verdict.Evidence.Since; s != nil {
		elapsed := judge.Seconds(max(0, x.asOf-s.UnixNano()))
		e.ElapsedSeconds = &elapsed
	}
	for i := range x.cases.Tiers {
		e.Tiers = append(e.Tiers, x.tell(x.cases.Tiers[i]))
	}
	slices.SortStableFunc(e.Tiers, func(a, b Case) int {
		if a.TierNum == nil || b.TierNum == nil {
			return 0
		}
		return cmp.Compare(*a.TierNum, *b.TierNum)
	})
	e.Cause, e.Doubts = x.cases.Show(verdict.Cause), []cause.Cause{}
	doubts := x.cases.Doubts()
	for i := range doubts {
		if f := &doubts[i]; f.Said(x.asOf) {
			e.Doubts = append(e.Doubts, *x.cases.Show(f))
		}
	}
	e.Steps, e.Proofs = x.steps(verdict), x.proofs()
	if n := len(e.Steps); n > maxSteps {
		rest := Step{Says: fmt.Sprintf("%d more steps are left out.", n-maxSteps+1), Events: []EventStamp{}}
		e.Steps = append(append(e.Steps[:maxSteps-2:maxSteps-2], rest), e.Steps[n-1])
	}
	return e
}

// rule is the row of the health table that decided, in words.
func (x *explainer) rule(v judge.Verdict) string {
	switch {
	case v.Health == event.HealthDegraded:
		return "not stuck, and something failed: degraded"
	case v.Health == event.HealthOK && x.d.Status == event.WordPending:
		return "a batch of which nothing has begun is ok inside the threshold of a queue"
	case x.d.Status != event.WordProcessing && x.d.Status != event.WordPending:
		return "only a batch that is PROCESSING, or waits to begin, can be stuck or scaling"
	case len(x.cases.Tiers) == 0:
		return "no tier is open, and the batch's status was never said: ok until it settles"
	case v.Health == event.HealthOK && v.Evidence.Signal == cause.Progress:
		return "a tier moves and its last progress is inside the progress timeout: ok"
	case v.Health == event.HealthOK:
		return "another tier moves, so a tier that waits inside its limit is no trouble: ok"
	}
	return cause.RuleOf(v.Evidence.Signal)
}

// tell describes one tier's case.
func (x *explainer) tell(j *judge.Case) Case {
	c := Case{
		Signal: j.Signal, Since: judge.Instant(j.Since), ThresholdSeconds: j.Limit.Seconds(),
		ElapsedSeconds: judge.Seconds(max(0, x.asOf-j.Since)), Finding: "waiting",
	}
	if j.Tier != nil {
		n := int(j.Tier.Num)
		c.TierNum = &n
	}
	job, reason := j.Job, ""
	f := j.Stuck(x.asOf)
	switch {
	case f != nil:
		c.Finding, reason = "stuck", x.cases.Reason(j, f)
	case j.Moves:
		c.Finding = "moving"
		if c.Signal == cause.NoProgress {
			c.Signal = cause.Progress
		}
	default:
		if f = j.Waits(x.asOf); f != nil {
			reason = x.cases.Inside(j, f)
		}
	}
	if f == nil {
		f = j.Waits(x.asOf)
	}
	if c.Cause = x.cases.Show(f); f != nil && f.Job != nil {
		job = f.Job
	}
	if reason != "" {
		c.Signal, c.Reason = cause.SignalOf(reason), &reason
	}
	if job != nil {
		c.RayJobID = &job.State.ID
	}
	return c
}

// steps lead from the status to the verdict.
func (x *explainer) steps(v judge.Verdict) []Step {
	d := x.d
	out := []Step{}
	put := func(by []crdt.Stamp, format string, args ...any) {
		out = append(out, Step{Says: fmt.Sprintf(format, args...), Events: stamps(by)})
	}
	put(x.statusBy(), "The batch is %s: %s.", d.StatusText(), x.statusBecause())
	if len(x.cases.Tiers) > 0 {
		put(nil, "%s.", x.openTiers())
	}
	for i := range x.cases.Tiers {
		j := x.cases.Tiers[i]
		put(j.By, "%s", x.sinceOf(j))
		for k := range j.Findings {
			f := &j.Findings[k]
			if !f.Said(x.asOf) {
				continue
			}
			put(f.By, "%s", x.finding(f))
		}
	}
	if d.HasFailures {
		put(nil, "%s.", x.failures())
	}
	verdict := fmt.Sprintf("So the batch is %s", v.Health)
	if v.BlockedReason != "" {
		verdict += ", " + v.BlockedReason
	}
	put(nil, "%s.", verdict)
	return out
}

func stamps(by []crdt.Stamp) []EventStamp {
	out := []EventStamp{}
	for _, s := range by {
		if !s.IsZero() {
			out = append(out, EventStamp{ID: s.ID, Source: s.Source, Time: *judge.Instant(s.Time)})
		}
	}
	return out
}

func (x *explainer) statusBecause() string {
	d := x.d
	said := event.WordNone
	if d.Batch != nil {
		said = d.Batch.Words.Shown().Word
	}
	switch {
	case said.Rank() == event.RankTerminal:
		return "that was said, and a terminal word stands"
	case d.SettlingDone:
		return "nobody ever said its status, and after its last event it fell silent"
	case d.Status.Rank() == event.RankTerminal:
		return "every tier said that it is COMPLETED"
	case d.Status == event.WordProcessing && said.Rank() == event.RankProcessing:
		return "that was said, and no end"
	case d.Status == event.WordProcessing:
		return "a tier or a job shows it at work, and no end was said"
	case said != event.WordNone:
		return "that was said, and nothing shows it at work"
	case d.Status == event.WordPending:
		return "a tier of it is known, and nothing shows it at work"
	}
	return "no event says more"
}

func (x *explainer) statusBy() []crdt.Stamp {
	if x.d.Batch == nil {
		return nil
	}
	if w := x.d.Batch.Words.Shown(); w.Word != event.WordNone && (w.Word == x.d.Status || w.Word.Rank() == x.d.Status.Rank()) {
		return []crdt.Stamp{w.Last}
	}
	return nil
}

func (x *explainer) openTiers() string {
	switch {
	case x.d.Status == event.WordPending:
		return "Nothing of it has begun"
	case x.cases.Tiers[0].Signal == cause.NotFinalized:
		return "No tier is open and none is due next"
	}
	names := make([]string, 0, 4)
	for i := range x.cases.Tiers {
		if len(names) == 4 {
			return fmt.Sprintf("%d tiers are open, among them %s", len(x.cases.Tiers), strings.Join(names, ", "))
		}
		names = append(names, x.d.TierName(x.cases.Tiers[i].Tier.Num))
	}
	if len(names) == 1 {
		return strings.ToUpper(names[0][:1]) + names[0][1:] + " is open or due next"
	}
	return strings.Join(names, ", ") + " are open"
}

// finding describes a cause, how certain it is, what was asked for, and when it makes the tier stuck.
func (x *explainer) finding(f *judge.Finding) string {
	with := x.cases.Params(f)
	text := fmt.Sprintf("%s: %s (%s), since %s", f.Row.Code, x.cases.Sentence(f), f.Certainty, with["since"])
	if w := f.Waits; w != nil && w.AskedJSON != "" {
		text += "; asked was " + askedWords(w.AskedJSON)
	}
	what := "the tier"
	if f.Tier == nil {
		what = "the batch"
	}
	switch at, ends := f.Deadline(); {
	case !ends:
		return text + "; by itself it makes nothing stuck."
	case x.asOf > at:
		return text + "; it makes " + what + " stuck since " + clock(at) + "."
	default:
		return text + "; it makes " + what + " stuck at " + clock(at) + "."
	}
}

// askedWords are the names of the sources that were asked, if they are plain text.
func askedWords(canonical string) string {
	var all []any
	if json.Unmarshal([]byte(canonical), &all) != nil {
		return "something"
	}
	parts := make([]string, 0, len(all))
	for _, one := range all {
		switch v := one.(type) {
		case string:
			parts = append(parts, cause.Clean(v))
		case map[string]any:
			if what, ok := v["source"].(string); ok {
				parts = append(parts, cause.Clean(what))
			} else if what, ok := v["what"].(string); ok {
				parts = append(parts, cause.Clean(what))
			}
		}
	}
	if len(parts) == 0 {
		return "something"
	}
	return strings.Join(parts[:min(8, len(parts))], ", ")
}

// sinceOf describes since when a case's timer runs, and how much of it has passed.
func (x *explainer) sinceOf(j *judge.Case) string {
	name := "the batch"
	if j.Tier != nil {
		name = x.d.TierName(j.Tier.Num)
	}
	at := clock(j.Since)
	limit := fmt.Sprintf("the limit is %s, until %s", lasting(j.Limit), clock(j.Since+int64(j.Limit)))
	if x.asOf-j.Since > int64(j.Limit) {
		limit = fmt.Sprintf("the limit of %s passed at %s", lasting(j.Limit), clock(j.Since+int64(j.Limit)))
	}
	switch j.Signal {
	case cause.NoProgress:
		return fmt.Sprintf("The last progress of %s was at %s; %s.", name, at, limit)
	case cause.JobWarmingUp:
		return fmt.Sprintf("In %s nothing has been processed since %s began to run at %s; %s.", name, j.Job.State.ID, at, limit)
	case cause.ProgramStarting:
		return fmt.Sprintf("%s says that it works, and nothing has been counted since %s; %s.", cause.Begin(name, ""), at, limit)
	case cause.ClusterColdStart:
		return fmt.Sprintf("In %s every live job is PENDING; the first, %s, was submitted at %s; %s.", name, j.Job.State.ID, at, limit)
	case cause.AwaitingJob, cause.PipelineNoJob:
		return fmt.Sprintf("For %s nothing is known to run; it could have begun from %s on; %s.", name, at, limit)
	case cause.NotFinalized:
		return fmt.Sprintf("No tier is open since %s; %s.", at, limit)
	}
	return fmt.Sprintf("The batch is known since %s, and nothing of it has begun; %s.", at, limit)
}

func (x *explainer) failures() string {
	d := x.d
	var parts []string
	if d.FailedTiers > 0 {
		parts = append(parts, count(d.FailedTiers, "tier")+" FAILED")
	}
	jobs := 0
	for _, t := range d.Tiers {
		for _, j := range t.Jobs {
			if !j.Superseded && j.Status == event.WordFailed {
				jobs++
			}
		}
	}
	if jobs > 0 {
		parts = append(parts, count(jobs, "job")+" FAILED, not replaced")
	}
	if d.FailedDocs > 0 {
		parts = append(parts, count(d.FailedDocs, "document")+" failed")
	}
	if len(parts) == 0 {
		parts = append(parts, "the batch ended "+d.StatusText())
	}
	return "Something failed: " + strings.Join(parts, ", ")
}

// change describes what happens next if no event arrives.
func (x *explainer) change(now judge.Verdict) *Change {
	at, _ := x.cases.Ahead(x.asOf)
	if x.d.Settles() {
		if t := x.d.Quiet() + int64(x.p.Settle) + 1; t > x.asOf && (at == 0 || t <= at) {
			return &Change{At: *judge.Instant(t), Health: now.Health, Cause: orNull(now.Code()), Because: fmt.Sprintf("nobody ever said the batch's status: it is settled as %s", x.d.SettledStatus())}
		}
	}
	if at == 0 {
		return nil
	}
	then := x.cases.Verdict(at)
	because := x.rule(then)
	if then.BlockedReason != "" {
		because = then.BlockedReason
	}
	return &Change{At: *judge.Instant(at), Health: then.Health, Cause: orNull(then.Code()), Because: because}
}

// notTaken says for each other verdict why it doesn't apply.
func (x *explainer) notTaken(v judge.Verdict) []Alternative {
	out := []Alternative{}
	for _, h := range []event.Health{event.HealthStuck, event.HealthDegraded, event.HealthScaling, event.HealthOK} {
		if h != v.Health {
			out = append(out, Alternative{h, x.whyNot(h, v)})
		}
	}
	return out
}

func (x *explainer) whyNot(h event.Health, v judge.Verdict) string {
	atWork := x.d.Status == event.WordProcessing
	switch h {
	case event.HealthStuck:
		if x.d.Status == event.WordPending {
			return "nothing of it has begun, and the threshold of a queue isn't passed"
		}
		if !atWork {
			return "only a batch that is PROCESSING, or waits to begin, can be stuck; this one is " + x.d.StatusText()
		}
		if len(x.cases.Tiers) == 0 {
			return "no tier is open, and the batch's status was never said: it settles instead"
		}
		return "no open tier is past its limit, and no cause past its own"
	case event.HealthDegraded:
		if v.Health == event.HealthStuck && x.d.HasFailures {
			return "something failed, but stuck comes first"
		}
		return "no tier, job or document failed that wasn't replaced"
	case event.HealthScaling:
		switch {
		case !atWork:
			return "only a batch that is PROCESSING can be scaling, this one is " + x.d.StatusText()
		case v.Health == event.HealthStuck:
			return "stuck comes first"
		case v.Health == event.HealthDegraded:
			return "degraded comes first"
		case len(x.cases.Tiers) == 0:
			return "no tier is open"
		}
		return "a tier moves"
	default:
		switch v.Health {
		case event.HealthStuck:
			return "a tier is past its limit, or a cause past its own"
		case event.HealthDegraded:
			return "something failed"
		default:
			return "no open tier has made progress yet"
		}
	}
}

func clock(ns int64) string { return cause.Moment(ns) }

// lasted formats a time in nanoseconds for people.
func lasted(ns int64) string { return lasting(time.Duration(ns)) }

// lasting formats a duration for people, to the second.
func lasting(d time.Duration) string { return cause.Lasting(d) }
