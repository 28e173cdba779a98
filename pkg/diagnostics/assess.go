package diagnostics

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

// judgement is one open tier's case: since when it is in its row of the health table, and what follows.
type judgement struct {
	tier   *derivedTier
	signal string
	since  int64
	by     []crdt.Stamp // what since rests on
	limit  time.Duration
	moves  bool
	job    *derivedJob
	cause  *impossible

	running, pending *derivedJob // the live jobs that the reasons speak of
}

// impossible is what Ray itself says: the job can never be placed.
type impossible struct {
	job   *derivedJob
	since int64 // of the waiting
	by    crdt.Stamp
	text  string
}

func (j *judgement) caused(asOf int64, p Policy) bool {
	return j.cause != nil && asOf-j.cause.since > int64(p.Grace)
}

func (j *judgement) stuck(asOf int64, p Policy) bool {
	return asOf-j.since > int64(j.limit) || j.caused(asOf, p)
}

func (d *derived) assess(asOf int64, p Policy) Verdict {
	return d.verdict(d.judge(p), asOf, p)
}

// judge makes the case of each open tier. It depends on no moment.
func (d *derived) judge(p Policy) []judgement {
	if d.status != event.WordProcessing {
		return nil
	}
	cases := make([]judgement, 0, len(d.open))
	for _, t := range d.open {
		cases = append(cases, d.judgeTier(t, p))
	}
	if len(cases) == 0 && d.s.StatusSaid {
		cases = append(cases, d.judgeUnfinished(p))
	}
	return cases
}

func (d *derived) judgeTier(t *derivedTier, p Policy) judgement {
	j := judgement{tier: t}
	var running, pending, only *derivedJob
	live := 0
	firstLive := int64(math.MaxInt64)
	for _, job := range t.jobs {
		if !job.live() {
			continue
		}
		live++
		only = job
		firstLive = min(firstLive, job.submitted)
		if job.status.Rank() == event.RankPending {
			if pending == nil || job.submitted < pending.submitted {
				pending = job
			}
		} else if running == nil || job.start > running.start {
			running = job
		}
	}
	if live != 1 {
		only = nil
	}
	window := p.WindowGPU
	if t.gpu.Set && !t.gpu.V {
		window = p.WindowNoGPU
	}
	switch {
	case !t.moved.IsZero() && (live == 0 || t.moved.Time >= firstLive):
		j.moves, j.signal, j.since, j.by, j.limit = true, cause.NoProgress, t.moved.Time, []crdt.Stamp{t.moved}, p.Timeout
		j.job = firstOf(running, pending, t.deciding())
	case running != nil:
		j.signal, j.since, j.by, j.limit, j.job = cause.JobWarmingUp, running.start, []crdt.Stamp{running.startBy}, p.Timeout, running
	case pending != nil:
		j.signal, j.since, j.by, j.limit, j.job = cause.ClusterColdStart, pending.submitted, []crdt.Stamp{pending.submittedBy}, window, pending
	default:
		j.signal, j.limit, j.job = cause.AwaitingJob, window, t.deciding()
		j.since, j.by = d.awaitedSince(t)
	}
	if j.since == 0 {
		j.since, j.by = d.s.First.Time, []crdt.Stamp{d.s.First}
	}
	j.running, j.pending, j.cause = running, pending, t.impossible(only)
	return j
}

// inside is the blocked reason until the limit is passed; "" where the row has none.
func (j *judgement) inside() string {
	switch j.signal {
	case cause.JobWarmingUp:
		return cause.JobWarmingUp + ": " + j.running.j.ID + " is RUNNING, no document processed yet"
	case cause.ClusterColdStart:
		return cause.ClusterColdStart + ": " + coldStart(j.tier, j.pending)
	case cause.AwaitingJob:
		return fmt.Sprintf(cause.AwaitingJob+": tier %d has no Ray job yet", j.tier.num)
	}
	return ""
}

// past is the blocked reason once the limit is passed.
func (j *judgement) past() string {
	switch j.signal {
	case cause.NoProgress:
		return cause.NoProgress + ": " + movedReason(j.tier, j.running, j.pending)
	case cause.JobWarmingUp:
		return cause.NoProgress + ": " + j.running.j.ID + " is RUNNING but has processed no document"
	case cause.ClusterColdStart:
		return cause.RayJobPending + ": " + j.pending.j.ID + " is still PENDING" + waitsFor(j.pending)
	case cause.AwaitingJob:
		return fmt.Sprintf(cause.NoRayJob+": tier %d has no live Ray job", j.tier.num)
	}
	if j.tier == nil {
		return cause.NotFinalized + ": no tier is open, but the batch's end was never said"
	}
	return fmt.Sprintf(cause.NotFinalized+": tier %d ended last, no tier is open, but the batch's end was never said", j.tier.num)
}

func firstOf(jobs ...*derivedJob) *derivedJob {
	for _, j := range jobs {
		if j != nil {
			return j
		}
	}
	return nil
}

func movedReason(t *derivedTier, running, pending *derivedJob) string {
	switch {
	case t.totalKnown && t.total > 0 && t.processed >= t.total:
		return fmt.Sprintf("tier %d processed all %d documents but hasn't completed", t.num, t.total)
	case running != nil:
		return fmt.Sprintf("tier %d stands still while %s is RUNNING", t.num, running.j.ID)
	case pending != nil:
		return fmt.Sprintf("tier %d stands still, %s is PENDING again", t.num, pending.j.ID)
	}
	return fmt.Sprintf("tier %d stands still and has no live Ray job", t.num)
}

// awaitedSince is the latest of what a tier without a job can have waited for.
func (d *derived) awaitedSince(t *derivedTier) (int64, []crdt.Stamp) {
	since, by := int64(0), crdt.Stamp{}
	put := func(at int64, s crdt.Stamp) {
		if at > since {
			since, by = at, s
		}
	}
	put(t.first.Time, t.first)
	put(d.firstWord.Time, d.firstWord)
	put(t.start, t.startBy)
	if before := d.tierAt(t.num - 1); before != nil && before.end != 0 {
		put(before.end, before.endBy())
	}
	for _, j := range t.jobs {
		if j.end != 0 {
			put(j.end, j.endBy())
		}
	}
	if by.IsZero() {
		return since, nil
	}
	return since, []crdt.Stamp{by}
}

// endBy is the stamp that an end rests on.
func (t *derivedTier) endBy() crdt.Stamp {
	if t.a != nil && t.a.Completed.Set {
		return t.a.Completed.At
	}
	if t.saidEnd {
		return t.a.Words.Shown().First
	}
	for _, j := range t.jobs {
		if j.end == t.end && j.end != 0 {
			return j.endBy()
		}
	}
	return crdt.Stamp{}
}

func (j *derivedJob) endBy() crdt.Stamp {
	if j.j.Ended.Set {
		return j.j.Ended.At
	}
	return j.j.Words.Shown().First
}

// judgeUnfinished is the case of a batch whose tiers are all over and whose end nobody said.
func (d *derived) judgeUnfinished(p Policy) judgement {
	j := judgement{signal: cause.NotFinalized, limit: p.Timeout, moves: true}
	for _, t := range d.tiers {
		if t.end > j.since {
			j.since, j.tier, j.by = t.end, t, []crdt.Stamp{t.endBy()}
		}
	}
	if d.firstWord.Time > j.since {
		j.since, j.by = d.firstWord.Time, []crdt.Stamp{d.firstWord}
	}
	if j.since == 0 {
		j.since, j.by = d.s.First.Time, []crdt.Stamp{d.s.First}
	}
	return j
}

// waitingOn is what the job waits for, if an event of its present status says so.
func (j *derivedJob) waitingOn() (w view.Waiting, by crdt.Stamp, ok bool) {
	var r crdt.Register[view.Waiting]
	switch j.status.Rank() {
	case event.RankPending:
		r = j.j.Waiting[view.WaitingPending]
	case event.RankProcessing:
		r = j.j.Waiting[view.WaitingRunning]
	}
	return r.V, r.At, r.Set && r.V.Kind != ""
}

// impossible finds the live job that was said to be infeasible and has shown no progress since. only is the
// tier's single live job, if it has but one.
func (t *derivedTier) impossible(only *derivedJob) *impossible {
	var found *impossible
	for _, j := range t.jobs {
		if !j.live() {
			continue
		}
		w, by, ok := j.waitingOn()
		if !ok || !w.Infeasible.Set || !w.Infeasible.V {
			continue
		}
		own := j.j.Processed.Progress().Time > w.Since
		ofTier := t.mark.Time > w.Since && (j == only || j.status.Rank() == event.RankProcessing && !j.j.Processed.Set)
		if own || ofTier {
			continue
		}
		if found == nil || w.Since < found.since {
			found = &impossible{job: j, since: w.Since, by: by, text: cause.RayJobUnschedulable + ": " + cause.Unplaceable(w)}
		}
	}
	return found
}

func coldStart(t *derivedTier, j *derivedJob) string {
	w, _, ok := j.waitingOn()
	if !ok {
		if t.gpu.Set && !t.gpu.V {
			return "workers scaling from zero"
		}
		return "GPU workers scaling from zero"
	}
	return cause.Waits(w)
}

func waitsFor(j *derivedJob) string {
	if w, _, ok := j.waitingOn(); ok {
		return ": " + cause.Waits(w)
	}
	return ""
}
