package judge

import (
	"sort"
	"sync"
	"time"

	"github.com/headwayhq/headway/pkg/diagnostics/internal/cause"
	"github.com/headwayhq/headway/pkg/diagnostics/internal/crdt"
	"github.com/headwayhq/headway/pkg/diagnostics/internal/event"
)

// Case is one open tier's state in the health table: its row, since when, and the causes found.
type Case struct {
	Tier     *Tier
	Signal   string // the row's signal before its limit has passed
	Past     string // and after that
	Since    int64
	By       []crdt.Stamp // the events from which Since follows
	Limit    time.Duration
	Moves    bool
	Job      *Job
	Findings []Finding // causes of the tier and of its jobs, each with the time for which it holds

	Quiet, Paused int64 // from when on it has been silent, or without progress, longer than its rhythm allows; forever if it has no rhythm

	running, pending *Job // the live jobs that the reasons name
}

// Cases are what a policy makes of a batch. They don't depend on the present. Not safe for concurrent use.
type Cases struct {
	Tiers  []*Case
	Failed []Finding // what failed, the most important first
	After  []Finding // what still runs after the end, and what ended incomplete

	court
	doubts func() []Finding
	told   map[*Finding]told
}

// court judges a batch by a policy.
type court struct {
	d     *Derived
	p     Policy
	shift map[string]int64
}

// Stuck is the finding by which the case is stuck at a moment; nil if it isn't.
func (j *Case) Stuck(asOf int64) *Finding {
	var speaks *Finding
	for i := range j.Findings {
		if f := &j.Findings[i]; f.Stuck(asOf) {
			sooner(&speaks, f)
		}
	}
	return speaks
}

// Waits is the finding that explains a case that isn't stuck; nil if it waits for nothing.
func (j *Case) Waits(asOf int64) *Finding {
	var speaks *Finding
	for i := range j.Findings {
		if f := &j.Findings[i]; f.Said(asOf) && !f.OpenOnly {
			sooner(&speaks, f)
		}
	}
	return speaks
}

// Judge makes the case of each open tier, and adds the other findings.
func (d *Derived) Judge(p Policy) *Cases {
	out := &Cases{court: court{d, p, d.shifts(p)}}
	c := &out.court
	switch d.Status {
	case event.WordProcessing:
		out.Tiers = make([]*Case, 0, len(d.Open))
		for _, t := range d.Open {
			out.Tiers = append(out.Tiers, c.tier(t))
		}
		if len(out.Tiers) == 0 && d.State.StatusSaid {
			out.Tiers = append(out.Tiers, c.unfinished())
		}
	case event.WordPending:
		out.Tiers = append(out.Tiers, c.notSubmitted())
	}
	out.Failed = c.failures()
	out.After = c.afterwards()
	c.refused(out.Tiers)
	out.doubts = sync.OnceValue(c.findDoubts)
	return out
}

// Of is the case of a tier; nil if it has none.
func (cases *Cases) Of(t *Tier) *Case {
	i := sort.Search(len(cases.Tiers), func(i int) bool { return cases.Tiers[i].Tier != nil && cases.Tiers[i].Tier.Num >= t.Num })
	if i < len(cases.Tiers) && cases.Tiers[i].Tier == t {
		return cases.Tiers[i]
	}
	return nil
}

// Doubts are findings that make other parts of an answer uncertain. No verdict follows from them.
func (cases *Cases) Doubts() []Finding { return cases.doubts() }

// moving is the case of a tier that makes progress and has no jobs, kept for as long as the tier doesn't change. It depends on nothing
// else but these.
type moving struct {
	timing
	attempt int32 // of the batch
	since   int64 // of that attempt
	Case
}

// timing is what of a policy concerns such a tier.
type timing struct {
	timeout, timeoutMost, pauseLeast, loopGap time.Duration
	pauseTimes, loop                          int
}

func (c *court) tier(t *Tier) *Case {
	if c.shift != nil || c.d.withJobs[t.Num] || t.State == nil || t.State.Derived() != t {
		return c.judgeTier(t)
	}
	p := &c.p
	now := timing{p.Timeout, p.TimeoutMost, p.PauseLeast, p.LoopGap, p.PauseTimes, p.Loop}
	kept := t.moving.Load()
	if kept == nil || kept.timing != now || kept.attempt != c.d.Attempt || kept.since != c.d.firstWord.Time {
		kept = &moving{now, c.d.Attempt, c.d.firstWord.Time, *c.judgeTier(t)}
		if kept.Moves {
			t.moving.Store(kept)
		}
	}
	return &kept.Case
}

func (c *court) judgeTier(t *Tier) *Case {
	j := &Case{Tier: t, Quiet: forever, Paused: forever}
	var only *Job
	live, firstLive := 0, forever
	for _, job := range t.Jobs {
		if !job.Live() {
			continue
		}
		live++
		only = job
		firstLive = min(firstLive, c.submitted(job))
		if job.Status.Rank() == event.RankPending {
			if j.pending == nil || c.submitted(job) < c.submitted(j.pending) {
				j.pending = job
			}
		} else if j.running == nil || c.start(job) > c.start(j.running) {
			j.running = job
		}
	}
	if live != 1 {
		only = nil
	}
	moved := c.moved(t)
	switch {
	case moved != 0 && (live == 0 || moved >= firstLive):
		c.mover(j, moved)
	case j.running != nil:
		j.Signal, j.Past, j.Limit, j.Job = cause.JobWarmingUp, cause.NoProgress, c.p.Timeout, j.running
		j.Since, j.By = c.start(j.running), []crdt.Stamp{j.running.StartBy}
	case j.pending != nil:
		j.Signal, j.Past, j.Limit, j.Job = cause.ClusterColdStart, cause.RayJobPending, c.p.window(t), j.pending
		j.Since, j.By = c.submitted(j.pending), []crdt.Stamp{j.pending.submittedBy}
	case len(c.d.Jobs) == 0 && !c.p.ExpectsRay && (t.Status == event.WordProcessing || t.AttemptState != nil && (len(t.AttemptState.Stages) > 0 || t.Counted())):
		j.Signal, j.Past, j.Limit = cause.ProgramStarting, cause.NoProgress, c.p.Timeout
		j.Since, j.By = c.awaitedSince(t)
	default:
		j.Signal, j.Past, j.Limit, j.Job = cause.AwaitingJob, cause.NoRayJob, c.p.window(t), t.Deciding()
		j.Since, j.By = c.awaitedSince(t)
		if !c.rayKnown() {
			j.Signal, j.Past = cause.PipelineNoJob, cause.PipelineNoJob
		}
	}
	if j.Since == 0 {
		j.Since, j.By = c.stamp(c.d.State.First), []crdt.Stamp{c.d.State.First}
	}
	c.waits(j, only)
	c.timers(j)
	if f, ok := c.loop(t); ok {
		j.Findings = append(j.Findings, f)
	}
	return j
}

// mover is the row of a tier that has made progress since its earliest live job was submitted.
func (c *court) mover(j *Case, moved int64) {
	t := j.Tier
	r := t.beats()
	j.Moves, j.Signal, j.Past, j.Since, j.By, j.Limit = true, cause.NoProgress, cause.NoProgress, moved, []crdt.Stamp{t.Moved}, c.p.moverLimit(r)
	j.Job = firstOf(j.running, j.pending, t.Deciding())
	j.Quiet = c.heard(t) + c.p.pause(r.gap)
	j.Paused = moved + c.p.pause(r.rise)
}

// moved is the time of the tier's latest progress, 0 if there is none. A count that began again and rises counts as progress.
func (c *court) moved(t *Tier) int64 {
	at := c.stamp(t.Moved)
	if t.Moved.IsZero() {
		return 0
	}
	if mark := t.beats().fallMark; mark != 0 {
		at = max(at, c.judged(min(mark, t.Heard), t.Moved))
	}
	return at
}

func (c *court) submitted(j *Job) int64 { return c.judged(j.Submitted, j.submittedBy) }

func (c *court) start(j *Job) int64 { return c.judged(j.Start, j.StartBy) }

// rayKnown reports whether texts may mention Ray.
func (c *court) rayKnown() bool { return c.p.ExpectsRay || len(c.d.Jobs) > 0 }

// allOver reports that the tier had jobs of its own, and none is live.
func (j *Case) allOver() bool { return len(j.Tier.Jobs) > 0 && j.running == nil && j.pending == nil }

func firstOf(jobs ...*Job) *Job {
	for _, j := range jobs {
		if j != nil {
			return j
		}
	}
	return nil
}

// awaitedSince is since when a tier without a job can have waited for one: the latest of its possible reasons.
func (c *court) awaitedSince(t *Tier) (int64, []crdt.Stamp) {
	d := c.d
	since, by := int64(0), crdt.Stamp{}
	put := func(at int64, s crdt.Stamp) {
		if at = c.judged(at, s); at > since {
			since, by = at, s
		}
	}
	put(t.first.Time, t.first)
	put(d.firstWord.Time, d.firstWord)
	if b := d.Batch; b != nil {
		if first := b.Words.FirstOf(event.RankProcessing); b.Started.T != 0 {
			put(b.Started.T, b.Started.At)
		} else {
			put(first.Time, first)
		}
	}
	put(t.Start, t.startBy)
	if before := d.TierAt(t.Num - 1); before != nil && before.End != 0 {
		put(before.End, before.EndBy())
	}
	if d.gap == t { // later tiers have ended: it waits since the last of these ends
		for _, o := range d.Tiers {
			put(o.End, o.EndBy())
		}
	}
	for _, j := range t.Jobs {
		if j.End != 0 {
			put(j.End, j.EndBy())
		}
	}
	if by.IsZero() {
		return since, nil
	}
	return since, []crdt.Stamp{by}
}

// EndBy is the stamp of the event from which an end follows.
func (t *Tier) EndBy() crdt.Stamp {
	if t.AttemptState != nil && t.AttemptState.Completed.Set {
		return t.AttemptState.Completed.At
	}
	if t.saidEnd {
		return t.AttemptState.Words.Shown().First
	}
	for _, j := range t.Jobs {
		if j.End == t.End && j.End != 0 {
			return j.EndBy()
		}
	}
	return crdt.Stamp{}
}

// EndBy is the stamp of the event from which the end follows.
func (j *Job) EndBy() crdt.Stamp {
	if j.State.Ended.Set {
		return j.State.Ended.At
	}
	return j.State.Words.Shown().First
}

// unfinished is the case of a batch whose tiers have all ended without a report of the batch's end.
func (c *court) unfinished() *Case {
	d := c.d
	j := &Case{Signal: cause.NotFinalized, Past: cause.NotFinalized, Limit: c.p.Timeout, Moves: true, Quiet: forever, Paused: forever}
	for _, t := range d.Tiers {
		if end := c.judged(t.End, t.EndBy()); end > j.Since {
			j.Since, j.Tier, j.By = end, t, []crdt.Stamp{t.EndBy()}
		}
	}
	if at := c.stamp(d.firstWord); at > j.Since {
		j.Since, j.By = at, []crdt.Stamp{d.firstWord}
	}
	if j.Since == 0 {
		j.Since, j.By = c.stamp(d.State.First), []crdt.Stamp{d.State.First}
	}
	past := j.Since + int64(j.Limit)
	f := Finding{Row: cause.Of(cause.NeverFinalized), Certainty: cause.Inferred, Since: j.Since, By: j.By, From: past, Until: forever, StuckAt: past, timer: true}
	if t := d.lastBegun; t != nil && t.Status != event.WordCompleted && t.Status != event.WordSkipped {
		f.Tier, f.By = t, append([]crdt.Stamp{t.EndBy()}, f.By...)
	}
	j.Findings = []Finding{f}
	return j
}

// notSubmitted is the case of a batch that is known and hasn't begun.
func (c *court) notSubmitted() *Case {
	d := c.d
	j := &Case{Signal: cause.Progress, Past: cause.PipelineNotSubmitted, Limit: c.p.Queued, Moves: true, Quiet: forever, Paused: forever}
	by := d.firstWord
	if by.IsZero() {
		by = d.State.First
	}
	j.Since, j.By = c.stamp(by), []crdt.Stamp{by}
	if d.Batch != nil {
		if at := c.judged(d.Batch.Submitted.T, d.Batch.Submitted.At); at > j.Since {
			j.Since, j.By = at, []crdt.Stamp{d.Batch.Submitted.At}
		}
	}
	past := j.Since + int64(j.Limit)
	j.Findings = []Finding{{Row: cause.Of(cause.NotSubmitted), Certainty: cause.Inferred, Since: j.Since, By: j.By, From: past, Until: forever, StuckAt: past, timer: true}}
	return j
}
