package judge

import (
	"github.com/headwayhq/headway/pkg/diagnostics/internal/cause"
	"github.com/headwayhq/headway/pkg/diagnostics/internal/crdt"
	"github.com/headwayhq/headway/pkg/diagnostics/internal/event"
	"github.com/headwayhq/headway/pkg/diagnostics/internal/view"
)

// failures are what failed: tiers, jobs, the batch, documents; of each the lowest tier, then the smallest id.
func (c *court) failures() (out []Finding) {
	d := c.d
	if !d.HasFailures {
		return nil
	}
	put := func(f Finding) {
		f.Certainty, f.StuckAt, f.Failure = cause.Known, forever, true
		out = append(out, always(f))
	}
	for _, t := range d.Tiers {
		if t.Status == event.WordFailed {
			put(c.failedTier(t))
		}
	}
	for _, t := range d.Tiers {
		for _, j := range t.Jobs {
			if t.Status != event.WordFailed && j.Status == event.WordFailed && !j.Superseded {
				f := Finding{Row: failedRow(j), Since: c.judged(j.End, j.EndBy()), By: []crdt.Stamp{j.EndBy()}, Tier: t, Job: j}
				f.waited()
				put(f)
			}
		}
	}
	if by := d.endBy(); d.Status == event.WordFailed {
		put(Finding{Row: cause.Of(cause.Failed), Since: c.judged(d.End, by), By: []crdt.Stamp{by}})
	}
	for _, t := range d.Tiers {
		if t.Failed > 0 && t.Own != nil {
			by := t.Own.Failed.At
			put(Finding{Row: cause.Of(cause.DocumentsFailed), Since: c.stamp(by), By: []crdt.Stamp{by}, Tier: t})
		}
	}
	if by := d.endBy(); len(out) == 0 { // COMPLETED_WITH_ERRORS, and no errors were reported
		put(Finding{Row: cause.Of(cause.DocumentsFailed), Since: c.judged(d.End, by), By: []crdt.Stamp{by}})
	}
	return out
}

func (c *court) failedTier(t *Tier) Finding {
	f := Finding{Row: cause.Of(cause.Failed), Since: c.judged(t.End, t.EndBy()), By: []crdt.Stamp{t.EndBy()}, Tier: t}
	if j := t.Deciding(); j != nil && j.End != 0 {
		f.Job, f.By = j, append(f.By, j.EndBy())
		if j.Status == event.WordFailed {
			f.Row = failedRow(j)
		}
	}
	if t.StoppedOnly() {
		f.Row = cause.Of(cause.Stopped)
	}
	f.waited()
	return f
}

// failedRow is the cause of a job's failure if its error type has one meaning. The error types are those of Ray's JobErrorType and KubeRay's
// JobFailedReason.
func failedRow(j *Job) *cause.Row {
	switch j.State.ErrType.V {
	case "NODE_OUT_OF_MEMORY":
		return cause.Of(cause.ProgramOOM)
	case "RUNTIME_ENV_SETUP_FAILURE", "RUNTIME_ENV_SETUP_FAILED":
		return cause.Of(cause.EnvFailed)
	case "JOB_SUPERVISOR_ACTOR_START_TIMEOUT", "DeadlineExceeded", "PreRunningDeadlineExceeded", "JobDeploymentStatusTransitionGracePeriodExceeded":
		return cause.Of(cause.Deadline)
	case "SubmissionFailed":
		return cause.Of(cause.SubmitterFailed)
	case "ValidationFailed":
		return cause.Of(cause.Rejected)
	case "JobStatusCheckTimeoutExceeded":
		return cause.Of(cause.Unreachable)
	case "JOB_SUPERVISOR_ACTOR_DIED", "ORPHANED", "orphaned":
		return cause.Of(cause.DriverLost)
	}
	return cause.Of(cause.Failed)
}

// waited adds what a job that a time limit ended was waiting for.
func (f *Finding) waited() {
	if f.Row.Code != cause.Deadline {
		return
	}
	if w := f.Job.State.Waiting[view.WaitingPending]; w.Set && w.V.Kind != "" {
		f.was = &w.V
		f.By = append(f.By, w.At)
	}
}

// StoppedOnly reports that a tier counts as FAILED only because somebody stopped its jobs, while nothing reported a failure.
func (t *Tier) StoppedOnly() bool {
	if t.Status != event.WordFailed || t.AttemptState != nil && (t.AttemptState.Err.Set || t.AttemptState.ErrType.Set) {
		return false
	}
	stopped := false
	for _, j := range t.Jobs {
		if j.Superseded {
			continue
		}
		if j.Status == event.WordFailed {
			return false
		}
		stopped = stopped || j.Status == event.WordStopped
	}
	return stopped
}

// Former reports that a tier ended before the present attempt of the batch began, and hasn't begun again.
func (d *Derived) Former(t *Tier) bool { return d.before(t.End) }

// FormerJob reports that a job ended before the present attempt of the batch began.
func (d *Derived) FormerJob(j *Job) bool { return d.before(j.End) }

func (d *Derived) before(end int64) bool { return d.Attempt > 1 && end != 0 && end < d.firstWord.Time }
