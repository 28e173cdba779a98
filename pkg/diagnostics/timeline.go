package diagnostics

import (
	"fmt"
	"slices"
)

const maxTimeline = 200

// timeline is derived from the state: begin and end of the batch, its tiers' attempts and its jobs, and
// the announcements. The latest maxTimeline entries are shown.
func (r *renderer) timeline() []TimelineEntry {
	out := []TimelineEntry{}
	put := func(at int64, kind, subject, change string, reason *string) {
		if at != 0 {
			out = append(out, TimelineEntry{At: *instant(at), Kind: kind, Subject: subject, Change: change, Reason: reason})
		}
	}
	d := r.d
	put(d.start, "batch", r.v.Batch, "started", nil)
	put(d.end, "batch", r.v.Batch, d.statusText(), nil)
	for _, t := range d.tiers {
		put(t.start, "tier", tierName(t.num), "started", nil)
		put(t.end, "tier", tierName(t.num), t.status.String(), nil)
	}
	for _, j := range d.jobs {
		put(j.submitted, "job", j.j.id, "submitted", nil)
		put(j.start, "job", j.j.id, "RUNNING", nil)
		put(j.end, "job", j.j.id, j.status.String(), optText(j.j.errType))
	}
	for _, a := range r.v.announced {
		var reason *string
		if a.said.v.reason != "" {
			text := a.said.v.reason
			reason = &text
		}
		put(a.said.v.asOf, "health", r.v.Batch, a.said.v.from.String()+" → "+a.said.v.to.String(), reason)
	}
	slices.SortStableFunc(out, func(a, b TimelineEntry) int { return a.At.Compare(b.At) })
	return out[max(0, len(out)-maxTimeline):]
}

// nextActions says what a person can do, most useful first.
func (r *renderer) nextActions(v Verdict) []string {
	out := []string{}
	put := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }
	e := v.Evidence
	job := "the Ray job"
	if e.RayJobID != nil {
		job = *e.RayJobID
	}
	if v.Health == HealthStuck {
		switch e.Signal {
		case "ray_job_unschedulable":
			put("Give the cluster a node type that offers what %s needs, or lower its demand and submit it again.", job)
		case "ray_job_pending":
			put("Check whether the cluster can start the node that %s waits for; stop and submit it again if it can't.", job)
		case "no_ray_job":
			put("Check the orchestrator: tier %d has no live Ray job. Submit it again.", *e.TierNum)
		case "no_progress":
			put("Look at the logs of %s: it has stood still since %s.", job, e.Since.Format("2006-01-02 15:04:05Z"))
		case "not_finalized":
			put("Check the orchestrator: every tier is over, but the end of the batch was never reported.")
		}
	}
	for _, t := range r.d.tiers {
		if t.status == WordFailed {
			put("Tier %d failed: read its error, mend the cause and run it again as a higher attempt.", t.num)
		}
	}
	if r.d.failedDocs > 0 {
		put("%d documents failed: see errors for their types and failed_documents_sample for examples.", r.d.failedDocs)
	}
	if v.Health == HealthScaling {
		put("Wait: this is expected until %s.", instant(e.Since.UnixNano()+int64(*e.ThresholdSeconds*1e9)).Format("2006-01-02 15:04:05Z"))
	}
	return out
}
