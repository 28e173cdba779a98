package answer

import (
	"cmp"
	"slices"
	"time"

	"github.com/headwayhq/headway/pkg/diagnostics/internal/event"
	"github.com/headwayhq/headway/pkg/diagnostics/internal/judge"
	"github.com/headwayhq/headway/pkg/diagnostics/internal/view"
)

// Run is one batch among the runs of its pipeline: how it ended, how long it took, and what it waited for. Times are in seconds.
type Run struct {
	BatchID            string       `json:"batch_id"`
	BatchName          string       `json:"batch_name"`
	Status             string       `json:"status"`
	Health             event.Health `json:"health"`
	Cause              *string      `json:"cause"`    // the code of the cause, of failures too
	Sentence           *string      `json:"sentence"` // the cause in words
	Attempt            int          `json:"attempt"`
	OrderedAt          time.Time    `json:"ordered_at"` // created, else submitted, else the earliest event
	StartedAt          *time.Time   `json:"started_at"`
	CompletedAt        *time.Time   `json:"completed_at"`
	DurationSeconds    *float64     `json:"duration_seconds"` // up to now while it goes on
	QueueSeconds       float64      `json:"queue_seconds"`    // a job waited for Ray, and none ran
	FailedTierCount    int          `json:"failed_tier_count"`
	FailedDocuments    int64        `json:"failed_documents"`
	ProcessedDocuments int64        `json:"processed_documents"`
	TotalTiers         int          `json:"total_tiers"`
	Tiers              []RunTier    `json:"tiers"` // the lowest ones, if there are more than an answer has
}

// RunTier is one tier of a run, in its highest attempt.
type RunTier struct {
	TierNum            int        `json:"tier_num"`
	Status             string     `json:"status"`
	Attempt            int        `json:"attempt"`
	StartedAt          *time.Time `json:"started_at"`
	DurationSeconds    *float64   `json:"duration_seconds"` // up to now while it goes on
	QueueSeconds       *float64   `json:"queue_seconds"`    // from the submission of its job to its start, as in the batch's answer
	Waits              []RunWait  `json:"waits"`            // what its job waited for, the longest first
	ProcessedDocuments int64      `json:"processed_documents"`
	FailedDocuments    int64      `json:"failed_documents"`
	Cause              *string    `json:"cause"`    // the code of the tier's own cause
	Sentence           *string    `json:"sentence"` // the same in words
}

// RunWait is how long the job of a tier waited for one thing, before its start and after it.
type RunWait struct {
	Phase   string  `json:"phase"` // queued, quota, node_launch, image, environment, starting
	Seconds float64 `json:"seconds"`
}

// NewRun gives a batch as one of its pipeline's runs at asOf, with the lowest tiers, at most so many.
func NewRun(d *judge.Derived, asOf time.Time, p judge.Policy, most int) Run {
	r := newRenderer(d, asOf, p)
	health, _, f := r.cases.Standing(r.asOf)
	out := Run{
		BatchID: d.View.BatchID(), BatchName: d.BatchName(), Status: d.StatusText(), Health: health, Attempt: int(d.Attempt),
		OrderedAt: orderedAt(d), StartedAt: r.instant(d.Start), CompletedAt: r.instant(d.End),
		DurationSeconds: r.duration(d.Start, r.end()), QueueSeconds: judge.Seconds(r.breakdown().queue),
		FailedTierCount: d.FailedTiers, FailedDocuments: d.FailedDocs, TotalTiers: d.TotalTiers, Tiers: []RunTier{},
	}
	out.Cause, out.Sentence = r.named(f)
	for _, t := range d.Tiers {
		out.ProcessedDocuments = event.Plus(out.ProcessedDocuments, t.Processed)
	}
	for _, t := range d.Tiers[:min(most, len(d.Tiers))] {
		out.Tiers = append(out.Tiers, r.runTier(t))
	}
	return out
}

func (r *renderer) runTier(t *judge.Tier) RunTier {
	out := RunTier{
		TierNum: int(t.Num), Status: t.Status.String(), Attempt: int(t.Attempt), StartedAt: r.instant(t.Start),
		DurationSeconds: r.duration(t.Start, cmp.Or(t.End, r.d.End)), Waits: []RunWait{},
		ProcessedDocuments: t.Processed, FailedDocuments: t.Failed,
	}
	out.Cause, out.Sentence = r.named(r.tiers[t])
	j := t.Deciding()
	if j == nil {
		return out
	}
	out.QueueSeconds = r.queue(j)
	for _, p := range r.phases(j) {
		if p.Phase == view.PhaseWorking.String() || p.DurationSeconds == 0 {
			continue
		}
		i := slices.IndexFunc(out.Waits, func(w RunWait) bool { return w.Phase == p.Phase })
		if i < 0 {
			i = len(out.Waits)
			out.Waits = append(out.Waits, RunWait{Phase: p.Phase})
		}
		out.Waits[i].Seconds += p.DurationSeconds
	}
	slices.SortStableFunc(out.Waits, func(a, b RunWait) int { return cmp.Compare(b.Seconds, a.Seconds) })
	return out
}

// named is a finding's code and sentence.
func (r *renderer) named(f *judge.Finding) (code, sentence *string) {
	if f == nil {
		return nil, nil
	}
	return orNull(string(f.Row.Code)), orNull(r.cases.Sentence(f))
}
