package judge

import (
	"github.com/headwayhq/headway/pkg/diagnostics/internal/cause"
	"github.com/headwayhq/headway/pkg/diagnostics/internal/crdt"
	"github.com/headwayhq/headway/pkg/diagnostics/internal/event"
	"github.com/headwayhq/headway/pkg/diagnostics/internal/view"
)

// WaitingOn is what the job waits for, if an event with its present status reported it.
func (j *Job) WaitingOn() (w view.Waiting, by crdt.Stamp, ok bool) {
	w, by, said := j.waitingWord()
	return w, by, said && w.Kind != ""
}

// waitingWord is the latest report of what the job waits for in its present status. said is true also if it waits for nothing.
func (j *Job) waitingWord() (w view.Waiting, by crdt.Stamp, said bool) {
	var r crdt.Measured[view.Waiting]
	switch j.Status.Rank() {
	case event.RankPending:
		r = j.State.Waiting[view.WaitingPending]
	case event.RankProcessing:
		r = j.State.Waiting[view.WaitingRunning]
	}
	return r.V, r.At, r.Set
}

// waits adds what the live jobs of a tier wait for. only is the tier's single live job, if it has but one.
func (c *court) waits(j *Case, only *Job) {
	for _, job := range j.Tier.Jobs {
		if !job.Live() {
			continue
		}
		w, by, said := job.waitingWord()
		switch {
		case said && (w.Kind != "" || job.Status.Rank() == event.RankPending):
			c.source(j, job, only, w, by)
		case !said && job.Status.Rank() == event.RankPending:
			c.untold(j, job)
		}
	}
}

// source adds what a source reported that a job waits for.
func (c *court) source(j *Case, job, only *Job, w view.Waiting, by crdt.Stamp) {
	row, certainty := cause.OfWaiting(w)
	f := always(Finding{Row: row, Certainty: certainty, By: []crdt.Stamp{by}, Tier: j.Tier, Job: job, StuckAt: forever, timer: row.Timer})
	if w.Kind == "" {
		f.Since = c.submitted(job)
		if at := c.stamp(by); f.Since == 0 || at < f.Since {
			f.Since = at
		}
	} else {
		f.Since, f.Waits = c.judged(w.Since, by), &w
	}
	cleared := c.counted(job) > f.Since
	ofTier := c.documents(j.Tier) > f.Since
	if ofTier && (job == only || job.Status.Rank() == event.RankProcessing && !job.State.Processed.Set) {
		cleared = true
	}
	past := j.Since + int64(j.Limit)
	limit, own := c.p.limit(row, j.Tier)
	never := f.Helps() == cause.No
	if never && row.Stuck.Kind != cause.LimitAtOnce && row.Helps != cause.No {
		limit, own = c.p.Grace, true // a source reported that this can never happen, whatever the code
	}
	switch {
	case cleared:
	case never && own:
		f.StuckAt = f.Since + int64(limit)
	case never:
		f.StuckAt = past
	case own && !j.Moves:
		f.StuckAt = f.Since + int64(limit)
		if row.Code == cause.Unreachable { // others may still report about the tier
			f.StuckAt = max(f.Since, c.heard(j.Tier)) + int64(limit)
		}
		if job.Status.Rank() == event.RankProcessing {
			f.StuckAt = min(f.StuckAt, past)
		}
	case c.anyDocument(j.Tier) <= f.Since: // what it waits for explains why the tier stands still
		f.StuckAt = past
	}
	if cleared && job.Status.Rank() == event.RankProcessing && never {
		return // it made progress since, so this no longer holds
	}
	j.Findings = append(j.Findings, f)
}

// untold adds a job that is PENDING for an unknown reason.
func (c *court) untold(j *Case, job *Job) {
	since := c.submitted(job)
	past := since + int64(c.p.window(j.Tier))
	stuck := forever
	if !j.Moves {
		stuck = past
	} else if c.anyDocument(j.Tier) <= since {
		stuck = j.Since + int64(j.Limit)
	}
	f := Finding{Row: cause.Of(cause.Unknown), Certainty: cause.Unsure, Since: since, By: []crdt.Stamp{job.submittedBy}, Tier: j.Tier, Job: job,
		From: -forever, Until: forever, StuckAt: stuck, timer: true}
	if j.Moves && j.Job != job { // beside a job that makes progress it is a cause once the window has passed
		f.OpenOnly, f.Until = true, past
		late := f
		late.OpenOnly, late.From, late.Until = false, past, forever
		j.Findings = append(j.Findings, f, late)
		return
	}
	if !c.d.State.WaitingSaid && j.Tier.GPU.Set && j.Tier.GPU.V {
		launching := f
		launching.Row, launching.Certainty, launching.Until, launching.StuckAt = cause.Of(cause.NodeLaunching), cause.Inferred, past, past
		f.From = past
		j.Findings = append(j.Findings, launching)
	}
	j.Findings = append(j.Findings, f)
}

// counted is the time of the job's latest progress in documents, 0 if there is none.
func (c *court) counted(j *Job) int64 { return c.stamp(j.State.Processed.Progress()) }

// documents is the time of the tier's latest progress in documents, 0 if there is none. Progress of stages doesn't end a cause.
func (c *court) documents(t *Tier) int64 {
	if t.Mark.IsZero() {
		return 0
	}
	return c.stamp(t.Mark)
}

// anyDocument is the time of the latest progress in documents of the tier or one of its jobs, 0 if there is none.
func (c *court) anyDocument(t *Tier) int64 {
	if !t.Counted() {
		return 0
	}
	return c.moved(t)
}

// timers adds the findings that follow from time alone, before and after the limit of the tier's row.
func (c *court) timers(j *Case) {
	past := j.Since + int64(j.Limit)
	t := j.Tier
	inside := func(code cause.Code) {
		j.Findings = append(j.Findings, Finding{Row: cause.Of(code), Certainty: cause.Inferred, Since: j.Since, By: j.By, Tier: t, Job: j.Job, From: -forever, Until: past, StuckAt: past, timer: true})
	}
	after := func(code cause.Code, from, until int64) {
		if from < until {
			j.Findings = append(j.Findings, Finding{Row: cause.Of(code), Certainty: cause.Inferred, Since: j.Since, By: j.By, Tier: t, Job: j.Job, From: from, Until: until, StuckAt: from, timer: true, heard: c.heard(t)})
		}
	}
	still := func() {
		gap := t.beats().gap
		silent := max(past, c.heard(t)+min(int64(c.p.Timeout), c.p.pause(gap)))
		after(cause.StandsStill, past, silent)
		after(cause.Silent, silent, forever)
	}
	switch {
	case j.Moves && t.AllHandled():
		after(cause.NotEnding, past, forever)
	case j.Moves && j.allOver():
		after(cause.NoJob, past, forever)
	case j.Moves:
		still()
	case j.Signal == cause.JobWarmingUp || j.Signal == cause.ProgramStarting:
		inside(cause.Starting)
		still()
	case j.Signal == cause.ClusterColdStart: // each job reported what it waits for
	default:
		inside(cause.NoJob)
		if c.d.gap == t {
			j.Past = cause.PipelineTierSkipped
			after(cause.TierSkipped, past, forever)
		} else {
			after(cause.NoJob, past, forever)
		}
	}
}
