package judge

import (
	"regexp"
	"time"

	"github.com/headwayhq/headway/pkg/diagnostics/internal/cause"
	"github.com/headwayhq/headway/pkg/diagnostics/internal/crdt"
	"github.com/headwayhq/headway/pkg/diagnostics/internal/event"
	"github.com/headwayhq/headway/pkg/diagnostics/internal/view"
)

// run is one try at a tier's work: a job, or an attempt if it has no jobs.
type run struct {
	begin, end int64
	endBy      crdt.Stamp
	reach      int64
	job        *Job
	error      string
}

// loop finds work that is begun again and again without getting further than before. A retry that gets further isn't one.
func (c *court) loop(t *Tier) (Finding, bool) {
	for _, live := range t.Jobs {
		if !live.Live() {
			continue
		}
		if f, ok := c.isLoop(t, c.runsBefore(t, live), c.reach(live, live.State.Last)); ok {
			f.Job = live
			return f, true
		}
	}
	if (!c.d.withJobs[t.Num] || len(c.ofTier(t)) == 0) && t.AttemptState != nil && t.Status.Rank() < event.RankTerminal {
		return c.isLoop(t, c.attemptsBefore(t), t.Processed)
	}
	return Finding{}, false
}

// isLoop counts the runs since the one that got furthest, oldest first.
func (c *court) isLoop(t *Tier, runs []run, live int64) (Finding, bool) {
	count, record := 0, run{reach: -1}
	for _, r := range runs {
		if r.reach > record.reach {
			record, count = r, 1
			continue
		}
		count++
	}
	if count < c.p.Loop || live > record.reach {
		return Finding{}, false
	}
	f := always(Finding{Row: cause.Of(cause.RetryLoop), Certainty: cause.Known, Since: record.end, Tier: t})
	f.StuckAt = record.end
	last := runs[len(runs)-1]
	for i := len(runs) - 1; i >= max(0, len(runs)-count) && len(f.By) < 8; i-- {
		f.By = append(f.By, runs[i].endBy)
	}
	reach := "getting past " + cause.Count(record.reach, "document")
	if record.reach == 0 {
		reach = "counting a document"
	}
	f.params = cause.Params{"count": itoa(int64(count)), "reach": reach, "error": cause.Clause(Gist(last.error))}
	return f, true
}

// ofTier are all jobs of the tier, in all of its attempts, in the batch's present attempt.
func (c *court) ofTier(t *Tier) (out []*Job) {
	for _, j := range c.d.Jobs {
		if j.Tier == t.Num && (c.d.Attempt <= 1 || j.Submitted >= c.d.firstWord.Time-attributionSlack) {
			out = append(out, j)
		}
	}
	return out
}

// runsBefore are the runs that a job replaces, one after another, oldest first.
func (c *court) runsBefore(t *Tier, live *Job) []run {
	jobs := c.ofTier(t)
	if len(jobs) < c.p.Loop {
		return nil
	}
	var out []run
	for at := live; len(out) < maxRuns; {
		var before *Job
		for _, j := range jobs {
			if j == at || j.End == 0 || j.Submitted >= at.Submitted || j.State.Extractor.V != at.State.Extractor.V || j.State.Collections.V != at.State.Collections.V ||
				at.Submitted < j.End-supersedeSlack || at.Submitted-j.End > int64(c.p.LoopGap) {
				continue
			}
			if before == nil || j.End > before.End {
				before = j
			}
		}
		if before == nil || before.Status != event.WordFailed {
			break
		}
		at = before
		if takenAway(string(before.State.ErrType.V), string(before.State.Message.V)) {
			continue // its end has nothing to do with the work
		}
		out = append(out, run{begin: before.Submitted, end: c.judged(before.End, before.EndBy()), endBy: before.EndBy(), reach: c.reach(before, before.End), job: before, error: string(before.State.Message.V)})
	}
	reverse(out)
	return out
}

const maxRuns = 1_000

// takenAway reports that a run ended because its node or resources were taken or lost. It may get further when begun again.
func takenAway(errorType, message string) bool {
	return errorType == "NODE_DIED" || lostNode.MatchString(message)
}

var lostNode = regexp.MustCompile(`(?i)\bpreempt(ed|ion)?\b|\bNodeDiedError\b|\bnode\b.{0,60}\b(died|terminated|lost|gone|drained|reclaimed)\b|\bspot\b.{0,40}\b(interrupt|reclaim)`)

func reverse(runs []run) {
	for i, k := 0, len(runs)-1; i < k; i, k = i+1, k-1 {
		runs[i], runs[k] = runs[k], runs[i]
	}
}

// reach is how far a job got: its own count, or what its tier's attempt had counted by then.
func (c *court) reach(j *Job, by int64) int64 {
	if j.State.Processed.Set {
		return j.State.Processed.N
	}
	t := c.d.TierAt(j.Tier)
	if t == nil || t.State == nil {
		return 0
	}
	for _, a := range t.State.Attempts {
		if a.Num == j.Attempt {
			return countBy(a, j, by)
		}
	}
	return 0
}

// countBy is what an attempt had counted at the end of one of its jobs; for a live job everything that it counted.
func countBy(a *view.TierAttempt, j *Job, by int64) int64 {
	own := a.Tally()
	if j.End == 0 || own.Processed.At.Time <= by {
		return own.Processed.N
	}
	n := int64(0)
	for _, p := range own.Series.Points {
		if p.Bucket<<own.Series.Shift*int64(time.Second) <= by {
			n = max(n, p.N)
		}
	}
	return n
}

// attemptsBefore are the attempts of a tier without jobs that failed one after another, oldest first.
func (c *court) attemptsBefore(t *Tier) []run {
	var out []run
	begin := c.stamp(t.first)
	attempts := t.State.Attempts
	for i := len(attempts) - 2; i >= 0; i-- {
		a := attempts[i]
		shown := a.Words.Shown()
		end := c.judged(shown.First.Time, shown.First)
		if a.Completed.Set {
			end = c.judged(int64(a.Completed.V), a.Completed.At)
		}
		if shown.Word != event.WordFailed || begin-end > int64(c.p.LoopGap) || c.d.Attempt > 1 && a.First.Time < c.d.firstWord.Time {
			break
		}
		begin = c.stamp(a.First)
		if !takenAway(string(a.ErrType.V), string(a.Err.V)) {
			out = append(out, run{end: end, endBy: shown.First, reach: a.Tally().Processed.N, error: string(a.Err.V)})
		}
	}
	reverse(out)
	return out
}
