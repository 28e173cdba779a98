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
	// ActionTemplate says how an action is taken in a namespace: with a link or with a command. Both may contain
	// {namespace} {batch_id} {tier_num} {next_attempt} {ray_job_id} {cluster} {demand} {num_gpus}.
	ActionTemplate = judge.ActionTemplate
	// Verdict is the health of a batch at a moment, with its evidence.
	Verdict = judge.Verdict
	// Evidence has the facts on which a verdict is based.
	Evidence = judge.Evidence
	// WaitingOn is what a job waits for, and what the cluster offers.
	WaitingOn = judge.WaitingOn
	// Finding is one cause, and when it may be reported.
	Finding = judge.Finding
	// Publication is an event that the detector has to publish: an announcement or a settling.
	Publication = judge.Publication
	// Announcement is a change of health to publish.
	Announcement = judge.Announcement
	// Settling is the end of a batch for which no event ever reported a status.
	Settling = judge.Settling
)

// Kinds of actions. Headway knows the first three for Ray; for the others a namespace says in its policy how to
// reach its orchestrator.
const (
	ActionOpen     = judge.ActionOpen
	ActionLogs     = judge.ActionLogs
	ActionStop     = judge.ActionStop
	ActionRetry    = judge.ActionRetry
	ActionResubmit = judge.ActionResubmit
	ActionResize   = judge.ActionResize
)

type (
	// Meta is what the caller adds when a view is rendered: revision id, lag, and the page to show.
	Meta = answer.Meta
	// Snapshot is the public answer for one batch at one moment. Field names and types are those of the
	// compatible API; what that API doesn't have is marked as an extension. Slices are never nil.
	Snapshot = answer.Snapshot
	// Parts is an encoded snapshot that can be compared with another one: see SnapshotChange.
	Parts = answer.Parts
	// SnapshotChange is what differs between two snapshots: whole members, and of tiers, jobs and collections whole rows by their keys.
	SnapshotChange = answer.SnapshotChange
	// ListPart is an element of a list, or [from, count]: as many elements of the list before.
	ListPart = answer.ListPart
	// RowChange is how one row of a list differs.
	RowChange = answer.RowChange
	// Page says which tiers and collections of a large batch an answer shows. Everything else in it covers all of them.
	Page = answer.Page
	// Window is a part of a list: limit elements from offset on. The zero value is the whole list.
	Window = answer.Window
	// Past says that an answer about a past moment may not be what was shown then.
	Past = answer.Past
	// ViewInfo says how fresh and how complete an answer is.
	ViewInfo = answer.ViewInfo
	// TierDiagnostic is one tier, in its highest attempt.
	TierDiagnostic = answer.TierDiagnostic
	// JobDiagnostic is one Ray job of a tier (extension).
	JobDiagnostic = answer.JobDiagnostic
	// CollectionDiagnostic is one collection; status is ready, processing or empty.
	CollectionDiagnostic = answer.CollectionDiagnostic
	// Progress of a tier or job in documents; percentage 0 to 100 with two decimals.
	Progress = answer.Progress
	// FunnelCounts are the counters of a tier's funnel; null if never reported.
	FunnelCounts = answer.FunnelCounts
	// Series is progress over time: the greatest count reported in each time bucket that has an event.
	Series = answer.Series
	// ErrorDiagnostic is one kind of error, counted.
	ErrorDiagnostic = answer.ErrorDiagnostic
	// Cause is why something waits, failed or is in doubt.
	Cause = cause.Cause
	// CauseCode names a cause. The set is open: a later version may have codes that aren't among CauseCodes.
	CauseCode = cause.Code
	// CauseSubject is what a cause is about.
	CauseSubject = cause.Subject
	// TextMessage is a text with its code and parameters.
	TextMessage = cause.Message
	// Insight is a sentence that is based on a stated number.
	Insight = answer.Insight
	// Action is a step that a person can take, as a link or a command. Headway executes none.
	Action = answer.Action
	// ETA is an estimate of the end; nil if there is no evidence for one. The end comes before P50 as often
	// as after it, and before P90 nine times in ten.
	ETA = answer.ETA
	// TimelineEntry is one change of state, in order of time.
	TimelineEntry = answer.TimelineEntry
	// PerformanceSummary is present once a batch is over. Each moment of the total time counts once, for the
	// most advanced activity of any tier: queue + cold start + processing + hand-over + idle = total.
	PerformanceSummary = answer.PerformanceSummary
	// TierPerformance is one tier's share of the time.
	TierPerformance = answer.TierPerformance
	// StagePerformance is one stage's share, over all tiers and workers.
	StagePerformance = answer.StagePerformance
	// Row is the short form of a batch for lists. It is stored when the view is committed, and
	// holds until the moment that it names.
	Row = answer.Row
	// Run is one batch among the runs of its pipeline.
	Run = answer.Run
	// RunTier is one tier of a run.
	RunTier = answer.RunTier
	// RunWait is how long the job of a tier waited for one thing.
	RunWait = answer.RunWait
	// RowETA is the range in which the end is expected.
	RowETA = answer.RowETA
	// ProofInfo is a look at a process of a job, without its text.
	ProofInfo = answer.ProofInfo
	// Proof is a look at a process of a job, with its text.
	Proof = answer.Proof
	// Explanation derives a verdict step by step: what it follows from, what would change it, and why it is no other.
	Explanation = answer.Explanation
	// Step is one fact of a derivation and the events on which it is based.
	Step = answer.Step
	// EventStamp names an event.
	EventStamp = answer.EventStamp
	// Case is the row of the health table that applies to one open tier.
	Case = answer.Case
	// Change is the moment at which the verdict changes without a new event.
	Change = answer.Change
	// Alternative is a verdict that wasn't reached.
	Alternative = answer.Alternative
	// ThresholdPolicy holds the thresholds that applied, in seconds.
	ThresholdPolicy = answer.ThresholdPolicy
)

// DefaultPolicy returns the thresholds of the specification.
func DefaultPolicy() Policy { return judge.DefaultPolicy() }

// CheckStuckAfter returns why Policy.StuckAfter has no effect on a code; nil if it has one.
func CheckStuckAfter(code string) error { return judge.CheckStuckAfter(code) }

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
