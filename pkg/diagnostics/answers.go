package diagnostics

import (
	"encoding/json"

	"github.com/headwayhq/headway/pkg/diagnostics/internal/answer"
	"github.com/headwayhq/headway/pkg/diagnostics/internal/cause"
	"github.com/headwayhq/headway/pkg/diagnostics/internal/judge"
)

// Verdicts and answers.

type (
	// Policy holds the thresholds of health. Values are for one namespace: see Policies.
	Policy = judge.Policy
	// ActionTemplate says how an action is taken in a namespace: by a link or by a command. Both may hold
	// {namespace} {batch_id} {tier_num} {next_attempt} {ray_job_id} {cluster} {demand} {num_gpus}.
	ActionTemplate = judge.ActionTemplate
	// Verdict is the health of a batch at a moment, with its evidence.
	Verdict = judge.Verdict
	// Evidence is what a verdict rests on.
	Evidence = judge.Evidence
	// WaitingOn is what a job waits for, and what the cluster offers.
	WaitingOn = judge.WaitingOn
	// Finding is one cause that may be said, and when.
	Finding = judge.Finding
	// Publication is an event that the detector has to publish: an announcement or a settling.
	Publication = judge.Publication
	// Announcement is a change of health to publish.
	Announcement = judge.Announcement
	// Settling is the end of a batch of which no event ever said a status.
	Settling = judge.Settling
)

// Kinds of actions. The first three come with Ray; for the others a namespace says in its policy how its
// orchestrator is told.
const (
	ActionOpen     = judge.ActionOpen
	ActionLogs     = judge.ActionLogs
	ActionStop     = judge.ActionStop
	ActionRetry    = judge.ActionRetry
	ActionResubmit = judge.ActionResubmit
	ActionResize   = judge.ActionResize
)

type (
	// Meta is what the surroundings know of a view when it is rendered.
	Meta = answer.Meta
	// Snapshot is the public answer for one batch at one moment. Field names and types are those of the
	// compatible API; what that API doesn't have is marked as an extension. Slices are never nil.
	Snapshot = answer.Snapshot
	// Page says which tiers and collections of a large batch an answer shows. Everything else in it counts all.
	Page = answer.Page
	// Window is a part of a list: limit elements from offset on. The zero value is all of it.
	Window = answer.Window
	// ViewInfo says how fresh and how whole an answer is.
	ViewInfo = answer.ViewInfo
	// TierDiagnostic is one tier, in its highest attempt.
	TierDiagnostic = answer.TierDiagnostic
	// JobDiagnostic is one Ray job of a tier (extension).
	JobDiagnostic = answer.JobDiagnostic
	// CollectionDiagnostic is one collection; status is ready, processing or empty.
	CollectionDiagnostic = answer.CollectionDiagnostic
	// Progress of a tier or job in documents; percentage 0 to 100 with two decimals.
	Progress = answer.Progress
	// FunnelCounts are the counters of a tier's funnel; null where never said.
	FunnelCounts = answer.FunnelCounts
	// Series is progress over time: for each time bucket with a word in it the greatest count said.
	Series = answer.Series
	// ErrorDiagnostic is one kind of error, counted.
	ErrorDiagnostic = answer.ErrorDiagnostic
	// Cause is why something waits, failed or is in doubt.
	Cause = cause.Cause
	// CauseCode names a cause. It is an open string: a later version may say one that isn't among CauseCodes.
	CauseCode = cause.Code
	// CauseSubject is what a cause is about.
	CauseSubject = cause.Subject
	// TextMessage is a text with what it was made from.
	TextMessage = cause.Message
	// Insight is a sentence that rests on a stated number.
	Insight = answer.Insight
	// Action is a step that a person can take, with what it takes. Headway executes none.
	Action = answer.Action
	// ETA is an estimate of the end; nil where there is no evidence for one. The end comes before P50 as often
	// as after it, and before P90 nine times in ten.
	ETA = answer.ETA
	// TimelineEntry is one change of state, in order of time.
	TimelineEntry = answer.TimelineEntry
	// PerformanceSummary is given once a batch is over. Each moment of the total time counts once, for the
	// furthest that any tier had come: queue + cold start + processing + hand-over + idle = total.
	PerformanceSummary = answer.PerformanceSummary
	// TierPerformance is one tier's share of the time.
	TierPerformance = answer.TierPerformance
	// StagePerformance is one stage's share, over all tiers and workers.
	StagePerformance = answer.StagePerformance
	// Row is the light form of a batch for lists. It is a function of the view alone (its health is the
	// last announced), so that it can be stored when the view is committed.
	Row = answer.Row
	// RowETA is the range in which the end is expected.
	RowETA = answer.RowETA
	// Explanation is a verdict as a derivation: what it follows from, what would change it, and why it is no other.
	Explanation = answer.Explanation
	// Step is one fact of a derivation and what it rests on.
	Step = answer.Step
	// EventStamp names an event.
	EventStamp = answer.EventStamp
	// Case is what the health table says of one open tier.
	Case = answer.Case
	// Change is the moment at which the verdict changes if no event comes.
	Change = answer.Change
	// Alternative is a verdict that wasn't reached.
	Alternative = answer.Alternative
	// ThresholdPolicy holds the thresholds that applied, in seconds.
	ThresholdPolicy = answer.ThresholdPolicy
)

// DefaultPolicy returns the thresholds of the specification.
func DefaultPolicy() Policy { return judge.DefaultPolicy() }

// CauseCodes are the codes that a cause or a doubt can have.
func CauseCodes() []string {
	out := make([]string, 0, len(cause.Table()))
	for _, r := range cause.Table() {
		out = append(out, string(r.Code))
	}
	return out
}

// Shape is what is asked for or offered, in words: "8 GPUs, 64 GiB memory". It is empty for what has no such words.
func Shape(resources json.RawMessage) string { return cause.Shape(string(resources)) }
