package judge

import (
	"github.com/headwayhq/headway/pkg/diagnostics/internal/cause"
	"github.com/headwayhq/headway/pkg/diagnostics/internal/event"
	"github.com/headwayhq/headway/pkg/diagnostics/internal/view"
)

// Proofs are what the job's processes were seen to do.
func (d *Derived) Proofs(j *Job) []*view.Proof {
	if len(d.State.Proofs) == 0 {
		return nil
	}
	return d.State.ProofsOf(j.State)
}

// seenAt is the stack that shows where the work of a finding is stuck: a worker's before the driver's, which often only waits for its
// workers. Only one taken since the finding's begin says anything of it.
func (d *Derived) seenAt(f *Finding) *view.Proof {
	switch f.Row.Code {
	case cause.StandsStill, cause.Silent, cause.NotEnding, cause.Starting:
	default:
		return nil
	}
	jobs := []*Job{f.Job}
	if f.Job == nil {
		if f.Tier == nil {
			return nil
		}
		jobs = f.Tier.Jobs
	}
	var best *view.Proof
	for _, j := range jobs {
		if !j.Live() {
			continue
		}
		for _, p := range d.Proofs(j) {
			if p.Kind != event.ProofStack || p.Seen.V.Frame == "" || p.Seen.At.Time < f.Since {
				continue
			}
			if best == nil || p.Process == event.ProcessWorker && best.Process != event.ProcessWorker {
				best = p
			}
		}
	}
	return best
}

// place says where a process was seen: “the driver is in train.py:88 barrier since 12:03:00Z on 2026-11-27, seen 3 times”.
func place(p *view.Proof) string {
	s := &p.Seen.V
	text := "the " + p.Process
	if s.Name != "" {
		text += " (" + cause.Plain(s.Name) + ")"
	}
	since := s.FrameSince
	if since == 0 || since > p.Seen.At.Time {
		since = p.Seen.At.Time
	}
	text += " was seen in " + cause.Plain(s.Frame) + " at " + cause.Moment(p.Seen.At.Time)
	if s.Looks > 1 {
		text += ", and there in each of " + cause.Count(s.Looks, "look") + " since " + cause.Moment(since)
	}
	return event.Cut(text, maxDetail)
}
