package answer

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/headwayhq/headway/pkg/diagnostics/internal/cause"
	"github.com/headwayhq/headway/pkg/diagnostics/internal/event"
	"github.com/headwayhq/headway/pkg/diagnostics/internal/judge"
)

const maxNextActions = 8

// nextActions says what a person can do, most useful first: about the verdict, then about what failed,
// then what the insights recommend. It is never empty: where there is nothing to do it says so.
func (r *renderer) nextActions(v judge.Verdict, s *Snapshot) []string {
	out := []string{}
	put := func(format string, args ...any) {
		if text := fmt.Sprintf(format, args...); len(out) < maxNextActions && !slices.Contains(out, text) {
			out = append(out, text)
		}
	}
	if v.Health == event.HealthStuck {
		r.unblock(v, put)
	}
	if v.Health == event.HealthScaling {
		e := v.Evidence
		if w := e.WaitingOn; w != nil && w.Kind == "resources" && (w.NodesPending == nil || *w.NodesPending == 0) && e.RayJobID != nil {
			put("Unless such a node is about to join, add one: %s waits for %s, and the cluster offers %s. Or lower what it asks for and submit it again.",
				*e.RayJobID, orWord(string(w.Demand), "resources"), orWord(string(w.Offered), "none"))
		}
		put("Wait: this is expected until %s.", clock(e.Since.UnixNano()+int64(*e.ThresholdSeconds*1e9)))
	}
	failed := 0
	for _, t := range r.d.Tiers {
		if t.Status != event.WordFailed {
			continue
		}
		if failed++; failed <= 3 {
			put("Tier %d failed%s: mend the cause and run it again as attempt %d.", t.Num, failureOf(t), t.Attempt+1)
		}
	}
	if failed > 3 {
		put("%s more failed: see tiers for their errors.", count(failed-3, "tier"))
	}
	for _, j := range r.failedJobs() {
		put("%s failed%s while tier %d is %s: mend the cause and submit it again.", j.State.ID, clause(gist(string(j.State.Message.V))), j.Tier, r.d.TierAt(j.Tier).Status)
	}
	r.endedBadly(failed, put)
	if n := r.d.FailedDocs; n > 0 {
		example := ""
		if len(s.FailedDocumentsSample) > 0 {
			example = ", such as " + strings.Join(s.FailedDocumentsSample[:min(3, len(s.FailedDocumentsSample))], ", ")
		}
		put("Look at what failed, %s%s, and run it again once the cause is mended.", count(n, "document"), example)
	}
	for _, i := range s.Insights {
		if i.Severity != "info" && i.Recommendation != nil {
			put("%s", *i.Recommendation)
		}
	}
	if len(out) == 0 {
		put("%s", r.nothingToDo(s))
	}
	return out
}

// endedBadly says what is known of a batch that failed although no tier of it did.
func (r *renderer) endedBadly(failedTiers int, put func(string, ...any)) {
	why := ""
	if a := r.d.Batch; a != nil {
		why = clause(orWord(gist(string(a.Err.V)), string(a.ErrType.V)))
	}
	switch {
	case failedTiers > 0:
	case r.d.Status == event.WordFailed && why != "":
		put("The batch failed%s, and no tier of it did: mend the cause and submit the batch again.", why)
	case r.d.Status == event.WordFailed:
		put("The batch failed, and no event says why: look at the logs of what reported it, then submit the batch again.")
	case r.d.Status == event.WordCompletedWithErrors && r.d.FailedDocs == 0:
		put("The batch ended with errors%s, and no event names a document that failed: look at the logs of what reported it.", why)
	}
}

// failedJobs are the jobs that failed and weren't replaced, in tiers that haven't failed: at most three.
func (r *renderer) failedJobs() (out []*judge.Job) {
	if r.d.Status.Rank() == event.RankTerminal && r.d.Status != event.WordFailed && r.d.Status != event.WordCompletedWithErrors {
		return nil
	}
	for _, t := range r.d.Tiers {
		for _, j := range t.Jobs {
			if t.Status != event.WordFailed && j.Status == event.WordFailed && !j.Superseded && len(out) < 3 {
				out = append(out, j)
			}
		}
	}
	return out
}

func clause(what string) string {
	if what == "" {
		return ""
	}
	return " (" + what + ")"
}

// unblock says what to do about a stuck batch.
func (r *renderer) unblock(v judge.Verdict, put func(string, ...any)) {
	e := v.Evidence
	job, tier := r.evidence(v)
	stood := lasting(time.Duration(v.StuckSeconds * 1e9))
	switch e.Signal {
	case cause.RayJobUnschedulable:
		offered := ""
		w, _, _ := job.WaitingOn()
		if w.OfferedJSON != "" {
			offered = " (the cluster offers " + w.OfferedJSON + ")"
		}
		put("Add a node type that offers %s%s, or lower what %s asks for and submit it again.", orWord(w.DemandJSON, "what it needs"), offered, job.State.ID)
	case cause.RayJobPending:
		put("Find out why the cluster hasn't placed %s for %s: a quota, a node that fails to start, or other jobs in front of it. Stop and submit it again if it can't be.", job.State.ID, stood)
	case cause.NoRayJob:
		put("Check the orchestrator: tier %d has had no live Ray job for %s. Submit one.", tier.Num, stood)
	case cause.NoProgress:
		switch {
		case job == nil || !job.Live():
			put("Check the orchestrator: tier %d has stood still for %s and has no live Ray job.", tier.Num, stood)
		case tier.TotalKnown && tier.Total > 0 && tier.Processed >= tier.Total:
			put("Look at how %s ends: all %d documents of tier %d are processed, but it hasn't completed for %s.", job.State.ID, tier.Total, tier.Num, stood)
		case job.Status.Rank() == event.RankPending:
			put("Find out why %s is PENDING again: tier %d has stood still for %s.", job.State.ID, tier.Num, stood)
		default:
			put("Read the logs of %s from %s on: it has stood still for %s.", job.State.ID, clock(e.Since.UnixNano()), stood)
		}
	case cause.NotFinalized:
		put("Check the orchestrator: every tier has been over for %s, but the end of the batch was never reported.", stood)
	}
}

// failureOf is what is known of why a tier failed, as a clause: its job's own words before the tier's.
func failureOf(t *judge.Tier) string {
	what := ""
	if t.AttemptState != nil {
		what = gist(string(t.AttemptState.Err.V))
	}
	if j := t.Deciding(); j != nil && j.Status.Rank() == event.RankTerminal {
		if own := gist(string(j.State.Message.V)); own != "" {
			what = own
		}
		what = strings.TrimSuffix(j.State.ID+": "+what, ": ")
	}
	return clause(what)
}

// gist is the first line of a message and its last, where a traceback has its error.
func gist(message string) string {
	first, rest, _ := strings.Cut(strings.TrimSpace(message), "\n")
	what := strings.TrimRight(event.Cut(first, 160), ". \r")
	if i := strings.LastIndexByte(rest, '\n'); strings.TrimSpace(rest[i+1:]) != "" {
		what += "; " + event.Cut(strings.TrimSpace(rest[i+1:]), 160)
	}
	return what
}

func (r *renderer) nothingToDo(s *Snapshot) string {
	switch {
	case r.d.Status == event.WordCompleted:
		return fmt.Sprintf("Nothing to do: the batch completed, %s.", count(r.d.TotalTiers, "tier"))
	case r.d.Status.Rank() == event.RankTerminal:
		return fmt.Sprintf("Nothing to do: the batch ended %s.", r.d.StatusText())
	case s.ETA != nil:
		return fmt.Sprintf("Nothing to do: the batch moves, and probably ends by %s.", clock(s.ETA.P90.UnixNano()))
	case r.d.Status == event.WordProcessing:
		return "Nothing to do: the batch moves."
	}
	return "Nothing to do: the batch hasn't begun."
}
