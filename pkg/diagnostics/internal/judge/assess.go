package judge

import (
	"fmt"
	"math"
	"time"

	"github.com/headwayhq/headway/pkg/diagnostics/internal/cause"
	"github.com/headwayhq/headway/pkg/diagnostics/internal/crdt"
	"github.com/headwayhq/headway/pkg/diagnostics/internal/event"
	"github.com/headwayhq/headway/pkg/diagnostics/internal/view"
)

// Verdict is the health of a batch at a moment, with its evidence.
type Verdict struct {
	Health        event.Health
	BlockedReason string // "" when ok or degraded
	StuckSeconds  float64
	Evidence      Evidence
}

// Case is one open tier's case: since when it is in its row of the health table, and what follows.
type Case struct {
	Tier   *Tier
	Signal string
	Since  int64
	By     []crdt.Stamp // what since rests on
	Limit  time.Duration
	Moves  bool
	Job    *Job
	Cause  *Impossible

	running, pending *Job // the live jobs that the reasons speak of
}

// Impossible is what Ray itself says: the job can never be placed.
type Impossible struct {
	Job   *Job
	Since int64 // of the waiting
	By    crdt.Stamp
	Text  string
}

// Caused reports that Ray itself says that the job can never be placed, for longer than the grace time.
func (j *Case) Caused(asOf int64, p Policy) bool {
	return j.Cause != nil && asOf-j.Cause.Since > int64(p.Grace)
}

// Stuck reports that the case is past its limit, or caused.
func (j *Case) Stuck(asOf int64, p Policy) bool {
	return asOf-j.Since > int64(j.Limit) || j.Caused(asOf, p)
}

// Assess judges the batch at asOf.
func (d *Derived) Assess(asOf int64, p Policy) Verdict {
	return d.Verdict(d.Judge(p), asOf, p)
}

// Judge makes the case of each open tier. It depends on no moment.
func (d *Derived) Judge(p Policy) []Case {
	if d.Status != event.WordProcessing {
		return nil
	}
	cases := make([]Case, 0, len(d.Open))
	for _, t := range d.Open {
		cases = append(cases, d.judgeTier(t, p))
	}
	if len(cases) == 0 && d.State.StatusSaid {
		cases = append(cases, d.judgeUnfinished(p))
	}
	return cases
}

func (d *Derived) judgeTier(t *Tier, p Policy) Case {
	j := Case{Tier: t}
	var running, pending, only *Job
	live := 0
	firstLive := int64(math.MaxInt64)
	for _, job := range t.Jobs {
		if !job.Live() {
			continue
		}
		live++
		only = job
		firstLive = min(firstLive, job.Submitted)
		if job.Status.Rank() == event.RankPending {
			if pending == nil || job.Submitted < pending.Submitted {
				pending = job
			}
		} else if running == nil || job.Start > running.Start {
			running = job
		}
	}
	if live != 1 {
		only = nil
	}
	window := p.WindowGPU
	if t.GPU.Set && !t.GPU.V {
		window = p.WindowNoGPU
	}
	switch {
	case !t.Moved.IsZero() && (live == 0 || t.Moved.Time >= firstLive):
		j.Moves, j.Signal, j.Since, j.By, j.Limit = true, cause.NoProgress, t.Moved.Time, []crdt.Stamp{t.Moved}, p.Timeout
		j.Job = firstOf(running, pending, t.Deciding())
	case running != nil:
		j.Signal, j.Since, j.By, j.Limit, j.Job = cause.JobWarmingUp, running.Start, []crdt.Stamp{running.StartBy}, p.Timeout, running
	case pending != nil:
		j.Signal, j.Since, j.By, j.Limit, j.Job = cause.ClusterColdStart, pending.Submitted, []crdt.Stamp{pending.submittedBy}, window, pending
	default:
		j.Signal, j.Limit, j.Job = cause.AwaitingJob, window, t.Deciding()
		j.Since, j.By = d.awaitedSince(t)
	}
	if j.Since == 0 {
		j.Since, j.By = d.State.First.Time, []crdt.Stamp{d.State.First}
	}
	j.running, j.pending, j.Cause = running, pending, t.impossible(only)
	return j
}

// Inside is the blocked reason until the limit is passed; "" where the row has none.
func (j *Case) Inside() string {
	switch j.Signal {
	case cause.JobWarmingUp:
		return cause.JobWarmingUp + ": " + j.running.State.ID + " is RUNNING, no document processed yet"
	case cause.ClusterColdStart:
		return cause.ClusterColdStart + ": " + coldStart(j.Tier, j.pending)
	case cause.AwaitingJob:
		return fmt.Sprintf(cause.AwaitingJob+": tier %d has no Ray job yet", j.Tier.Num)
	}
	return ""
}

// Past is the blocked reason once the limit is passed.
func (j *Case) Past() string {
	switch j.Signal {
	case cause.NoProgress:
		return cause.NoProgress + ": " + movedReason(j.Tier, j.running, j.pending)
	case cause.JobWarmingUp:
		return cause.NoProgress + ": " + j.running.State.ID + " is RUNNING but has processed no document"
	case cause.ClusterColdStart:
		return cause.RayJobPending + ": " + j.pending.State.ID + " is still PENDING" + waitsFor(j.pending)
	case cause.AwaitingJob:
		return fmt.Sprintf(cause.NoRayJob+": tier %d has no live Ray job", j.Tier.Num)
	}
	if j.Tier == nil {
		return cause.NotFinalized + ": no tier is open, but the batch's end was never said"
	}
	return fmt.Sprintf(cause.NotFinalized+": tier %d ended last, no tier is open, but the batch's end was never said", j.Tier.Num)
}

func firstOf(jobs ...*Job) *Job {
	for _, j := range jobs {
		if j != nil {
			return j
		}
	}
	return nil
}

func movedReason(t *Tier, running, pending *Job) string {
	switch {
	case t.TotalKnown && t.Total > 0 && t.Processed >= t.Total:
		return fmt.Sprintf("tier %d processed all %d documents but hasn't completed", t.Num, t.Total)
	case running != nil:
		return fmt.Sprintf("tier %d stands still while %s is RUNNING", t.Num, running.State.ID)
	case pending != nil:
		return fmt.Sprintf("tier %d stands still, %s is PENDING again", t.Num, pending.State.ID)
	}
	return fmt.Sprintf("tier %d stands still and has no live Ray job", t.Num)
}

// awaitedSince is the latest of what a tier without a job can have waited for.
func (d *Derived) awaitedSince(t *Tier) (int64, []crdt.Stamp) {
	since, by := int64(0), crdt.Stamp{}
	put := func(at int64, s crdt.Stamp) {
		if at > since {
			since, by = at, s
		}
	}
	put(t.first.Time, t.first)
	put(d.firstWord.Time, d.firstWord)
	put(t.Start, t.startBy)
	if before := d.TierAt(t.Num - 1); before != nil && before.End != 0 {
		put(before.End, before.EndBy())
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

// EndBy is the stamp that an end rests on.
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

// EndBy is the stamp that the end rests on.
func (j *Job) EndBy() crdt.Stamp {
	if j.State.Ended.Set {
		return j.State.Ended.At
	}
	return j.State.Words.Shown().First
}

// judgeUnfinished is the case of a batch whose tiers are all over and whose end nobody said.
func (d *Derived) judgeUnfinished(p Policy) Case {
	j := Case{Signal: cause.NotFinalized, Limit: p.Timeout, Moves: true}
	for _, t := range d.Tiers {
		if t.End > j.Since {
			j.Since, j.Tier, j.By = t.End, t, []crdt.Stamp{t.EndBy()}
		}
	}
	if d.firstWord.Time > j.Since {
		j.Since, j.By = d.firstWord.Time, []crdt.Stamp{d.firstWord}
	}
	if j.Since == 0 {
		j.Since, j.By = d.State.First.Time, []crdt.Stamp{d.State.First}
	}
	return j
}

// WaitingOn is what the job waits for, if an event of its present status says so.
func (j *Job) WaitingOn() (w view.Waiting, by crdt.Stamp, ok bool) {
	var r crdt.Register[view.Waiting]
	switch j.Status.Rank() {
	case event.RankPending:
		r = j.State.Waiting[view.WaitingPending]
	case event.RankProcessing:
		r = j.State.Waiting[view.WaitingRunning]
	}
	return r.V, r.At, r.Set && r.V.Kind != ""
}

// impossible finds the live job that was said to be infeasible and has shown no progress since. only is the
// tier's single live job, if it has but one.
func (t *Tier) impossible(only *Job) *Impossible {
	var found *Impossible
	for _, j := range t.Jobs {
		if !j.Live() {
			continue
		}
		w, by, ok := j.WaitingOn()
		if !ok || !w.Infeasible.Set || !w.Infeasible.V {
			continue
		}
		own := j.State.Processed.Progress().Time > w.Since
		ofTier := t.Mark.Time > w.Since && (j == only || j.Status.Rank() == event.RankProcessing && !j.State.Processed.Set)
		if own || ofTier {
			continue
		}
		if found == nil || w.Since < found.Since {
			found = &Impossible{Job: j, Since: w.Since, By: by, Text: cause.RayJobUnschedulable + ": " + cause.Unplaceable(w)}
		}
	}
	return found
}

func coldStart(t *Tier, j *Job) string {
	w, _, ok := j.WaitingOn()
	if !ok {
		if t.GPU.Set && !t.GPU.V {
			return "workers scaling from zero"
		}
		return "GPU workers scaling from zero"
	}
	return cause.Waits(w)
}

func waitsFor(j *Job) string {
	if w, _, ok := j.WaitingOn(); ok {
		return ": " + cause.Waits(w)
	}
	return ""
}
