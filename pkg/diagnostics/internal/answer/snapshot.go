package answer

import (
	"encoding/json"
	"time"

	"github.com/headwayhq/headway/pkg/diagnostics/internal/cause"
	"github.com/headwayhq/headway/pkg/diagnostics/internal/event"
	"github.com/headwayhq/headway/pkg/diagnostics/internal/judge"
)

// Snapshot is the public answer for one batch at one moment. Field names and types are those of the
// compatible API; what that API doesn't have is marked as an extension. Slices are never nil.
type Snapshot struct {
	BatchID             string                 `json:"batch_id"`
	BatchName           string                 `json:"batch_name"`
	Status              string                 `json:"status"`
	BucketID            string                 `json:"bucket_id"`
	CurrentTier         int                    `json:"current_tier"`
	TotalTiers          int                    `json:"total_tiers"`
	OverallProgress     float64                `json:"overall_progress"`
	CreatedAt           *time.Time             `json:"created_at"`
	SubmittedAt         *time.Time             `json:"submitted_at"`
	StartedAt           *time.Time             `json:"started_at"`
	CompletedAt         *time.Time             `json:"completed_at"`
	EstimatedCompletion *time.Time             `json:"estimated_completion"`
	DurationSeconds     *float64               `json:"duration_seconds"`
	Tiers               []TierDiagnostic       `json:"tiers"`
	Collections         []CollectionDiagnostic `json:"collections"`
	PerformanceSummary  *PerformanceSummary    `json:"performance_summary"`
	Insights            []Insight              `json:"insights"`
	HasFailures         bool                   `json:"has_failures"`
	FailedTierCount     int                    `json:"failed_tier_count"`
	TotalObjects        int64                  `json:"total_objects"`
	Health              event.Health           `json:"health"`
	BlockedReason       *string                `json:"blocked_reason"`
	StuckSeconds        *float64               `json:"stuck_seconds"`
	NextActions         []string               `json:"next_actions"`

	// Extensions.
	Cause                 *cause.Cause      `json:"cause"`    // null when nothing is wrong and nothing is waited for
	Doubts                []cause.Cause     `json:"doubts"`   // what makes other sentences doubtful
	Messages              []cause.Message   `json:"messages"` // the texts above, with what they were made from
	View                  ViewInfo          `json:"view"`
	LastActivityAt        *time.Time        `json:"last_activity_at"`
	HealthEvidence        judge.Evidence    `json:"health_evidence"`
	ETA                   *ETA              `json:"eta"`
	Actions               []Action          `json:"actions"`
	Timeline              []TimelineEntry   `json:"timeline"`
	FailureCategory       *string           `json:"failure_category"`
	FailedDocumentsSample []string          `json:"failed_documents_sample"`
	Errors                []ErrorDiagnostic `json:"errors"`
	Pipeline              *string           `json:"pipeline"`
	Owner                 *string           `json:"owner"`
	Labels                json.RawMessage   `json:"labels"`
	Attempt               int               `json:"attempt"`
	RetryOf               *string           `json:"retry_of"`
	Error                 *string           `json:"error"`
	ErrorType             *string           `json:"error_type"`
	Page                  *Page             `json:"page,omitempty"` // of tiers and collections; absent when all are shown
	At                    *Past             `json:"at,omitempty"`   // of a past moment: why it may not be what was shown then; absent when nothing says so
}

// Past says that the answer about a past moment, which is today's rules over the events of then, may not be what was shown then.
type Past struct {
	PolicyChanged bool      `json:"policy_changed"` // the thresholds of the namespace were others at announced_at
	AnnouncedAt   time.Time `json:"announced_at"`   // the moment of the last change of health that was announced before
}

// Window is a part of a list: limit elements from offset on. The zero value is all of it.
type Window struct {
	Offset int `json:"offset"`
	Limit  int `json:"limit"`
	Total  int `json:"total"` // of the whole list; set by Render
}

// Page says which tiers and collections of a large batch an answer shows. Everything else in it counts all.
type Page struct {
	Tiers       Window `json:"tiers"`
	Collections Window `json:"collections"`
}

// Action is a step that a person can take, with what it takes. Headway executes none.
type Action struct {
	Label   string  `json:"label"`
	Kind    string  `json:"kind"`    // open, logs, stop, retry, resubmit, resize
	Href    *string `json:"href"`    // http or https; null for a command
	Command *string `json:"command"` // text to copy; null for a link
}

// ViewInfo says how fresh and how whole an answer is.
type ViewInfo struct {
	ID         string    `json:"id"`       // revision id: <stream identity>-<fold version>-<sequence>
	Revision   uint64    `json:"revision"` // stream sequence of the last event that changed the view
	AsOf       time.Time `json:"as_of"`    // the moment at which time-dependent fields were evaluated
	LagSeconds float64   `json:"lag_seconds"`
	Incomplete bool      `json:"incomplete"`         // events were lost to retention before they were folded
	Truncated  bool      `json:"truncated"`          // a bound of the view was reached
	LeftOut    []string  `json:"left_out,omitempty"` // of which kinds entries were left out: tiers, collections, jobs, attempts, workers, errors, stages
}

// TierDiagnostic is one tier, in its highest attempt.
type TierDiagnostic struct {
	TierNum          int             `json:"tier_num"`
	Status           string          `json:"status"`
	TaskID           *string         `json:"task_id"`
	StartedAt        *time.Time      `json:"started_at"`
	CompletedAt      *time.Time      `json:"completed_at"`
	DurationSeconds  *float64        `json:"duration_seconds"`
	Progress         Progress        `json:"progress"`
	RayJobID         *string         `json:"ray_job_id"`
	RayDashboardURL  *string         `json:"ray_dashboard_url"`
	Error            *string         `json:"error"`
	ErrorType        *string         `json:"error_type"`
	RequiresGPU      *bool           `json:"requires_gpu"`
	RayJobStatus     *string         `json:"ray_job_status"`
	SubmissionParams json.RawMessage `json:"submission_params"`

	Cause                   *cause.Cause    `json:"cause"`
	Attempt                 int             `json:"attempt"`
	QueueSeconds            *float64        `json:"queue_seconds"`
	ThroughputDocsPerSecond *float64        `json:"throughput_docs_per_second"`
	FailedDocuments         int64           `json:"failed_documents"`
	Counts                  *FunnelCounts   `json:"counts"`
	Series                  Series          `json:"series"`
	Jobs                    []JobDiagnostic `json:"jobs"`
}

// Progress of a tier or job in documents; percentage 0 to 100 with two decimals.
type Progress struct {
	ProcessedDocuments int64   `json:"processed_documents"`
	TotalDocuments     int64   `json:"total_documents"`
	Percentage         float64 `json:"percentage"`
}

// FunnelCounts are the counters of a tier's funnel; null where never said.
type FunnelCounts struct {
	Fetched       *int64 `json:"fetched"`
	AfterFilter   *int64 `json:"after_filter"`
	MissingInputs *int64 `json:"missing_inputs"`
	Submitted     *int64 `json:"submitted"`
	Written       *int64 `json:"written"`
}

// Series is progress over time: for each time bucket with a word in it the greatest count said.
type Series struct {
	WidthSeconds int64      `json:"width_seconds"` // of a bucket, a power of two
	Points       [][2]int64 `json:"points"`        // [begin of the bucket in seconds since 1970, count]
}

// JobDiagnostic is one Ray job of a tier (extension).
type JobDiagnostic struct {
	RayJobID        string           `json:"ray_job_id"` // the submission id
	JobID           *string          `json:"job_id"`
	Attempt         int              `json:"attempt"`
	Extractor       *string          `json:"extractor"`
	Collections     []string         `json:"collections"`
	Status          string           `json:"status"`
	Superseded      bool             `json:"superseded"`
	SubmittedAt     *time.Time       `json:"submitted_at"`
	StartedAt       *time.Time       `json:"started_at"`
	EndedAt         *time.Time       `json:"ended_at"`
	QueueSeconds    *float64         `json:"queue_seconds"`
	DurationSeconds *float64         `json:"duration_seconds"`
	Progress        Progress         `json:"progress"`
	Message         *string          `json:"message"`
	ErrorType       *string          `json:"error_type"`
	ExitCode        *int64           `json:"exit_code"`
	DashboardURL    *string          `json:"ray_dashboard_url"`
	Resources       json.RawMessage  `json:"resources"`
	Cluster         *string          `json:"cluster"`
	Session         *string          `json:"session"`
	WaitingOn       *judge.WaitingOn `json:"waiting_on"`
	Cause           *cause.Cause     `json:"cause"`
	Phases          []JobPhase       `json:"phases"` // from its submission on, one after another; those before its start add up to queue_seconds
	Proofs          []ProofInfo      `json:"proofs"` // what its processes were seen to do while it hung; the explanation has their texts
}

// ProofInfo is a look at a process of a job, without its text.
type ProofInfo struct {
	Kind        string     `json:"kind"`        // log, stack
	Process     string     `json:"process"`     // driver, worker
	Name        *string    `json:"name"`        // which process
	TakenAt     time.Time  `json:"taken_at"`    // when
	Frame       *string    `json:"frame"`       // where it was: file, line and function
	FrameSince  *time.Time `json:"frame_since"` // when it was first seen there
	Looks       *int64     `json:"looks"`       // how often it was seen there, one after another
	Unavailable *string    `json:"unavailable"` // why there is nothing to show, and what to set
}

// JobPhase is what a job waited for, or that it worked, for a time.
type JobPhase struct {
	Phase           string     `json:"phase"` // queued, quota, node_launch, image, environment, starting, working
	StartedAt       time.Time  `json:"started_at"`
	EndedAt         *time.Time `json:"ended_at"` // null: it goes on
	DurationSeconds float64    `json:"duration_seconds"`
}

// CollectionDiagnostic is one collection; status is ready, processing or empty.
type CollectionDiagnostic struct {
	CollectionID      string `json:"collection_id"`
	CollectionName    string `json:"collection_name"`
	Status            string `json:"status"`
	DocumentCount     int64  `json:"document_count"`
	ExpectedDocuments *int64 `json:"expected_documents"`
	TierNum           *int   `json:"tier_num"`
}

// Insight is a sentence that rests on a stated number.
type Insight struct {
	Type           string   `json:"type"`     // bottleneck, optimization, warning
	Severity       string   `json:"severity"` // info, warning, critical
	Message        string   `json:"message"`
	Stage          *string  `json:"stage"`
	MetricValue    *float64 `json:"metric_value"`
	Recommendation *string  `json:"recommendation"`
}

// ETA is an estimate of the end; nil where there is no evidence for one. The end comes before P50 as often
// as after it, and before P90 nine times in ten.
type ETA struct {
	P50        time.Time `json:"p50"`
	P90        time.Time `json:"p90"`
	Confidence string    `json:"confidence"` // low, medium, high
	Method     string    `json:"method"`     // what it rests on, in words
}

// TimelineEntry is one change of state, in order of time.
type TimelineEntry struct {
	At      time.Time `json:"at"`
	Kind    string    `json:"kind"` // batch, tier, job, health
	Subject string    `json:"subject"`
	Change  string    `json:"change"`
	Reason  *string   `json:"reason"`
}

// ErrorDiagnostic is one kind of error, counted.
type ErrorDiagnostic struct {
	TierNum             int      `json:"tier_num"`
	ErrorType           string   `json:"error_type"`
	Message             string   `json:"message"`
	Component           string   `json:"component"`
	Stage               string   `json:"stage"`
	AffectedCount       int64    `json:"affected_count"`
	AffectedDocumentIDs []string `json:"affected_document_ids"`
	RecoverySuggestion  *string  `json:"recovery_suggestion"`
}

// PerformanceSummary is given once a batch is over. Each moment of the total time counts once, for the
// furthest that any tier had come: queue + cold start + processing + hand-over + idle = total.
type PerformanceSummary struct {
	TotalTimeSeconds        float64            `json:"total_time_seconds"`         // from the start, or the first submission if earlier, to the end
	QueueSeconds            float64            `json:"queue_seconds"`              // a job waited for Ray, none ran
	ColdStartSeconds        float64            `json:"cold_start_seconds"`         // a job ran, and is known to have processed nothing yet
	ProcessingSeconds       float64            `json:"processing_seconds"`         // a job or tier had begun and wasn't over
	HandOverSeconds         float64            `json:"hand_over_seconds"`          // between the end of a tier and whatever came next
	IdleSeconds             float64            `json:"idle_seconds"`               // none of these
	ThroughputDocsPerSecond float64            `json:"throughput_docs_per_second"` // 0 where fewer than 20 documents, or less than 10 s, carry none
	DocumentsProcessed      int64              `json:"documents_processed"`
	DocumentsFailed         int64              `json:"documents_failed"`
	Tiers                   []TierPerformance  `json:"tiers"`
	Stages                  []StagePerformance `json:"stages"`
	Bottlenecks             []string           `json:"bottlenecks"`
	Phases                  []PhaseTime        `json:"phases"` // of all jobs
}

// PhaseTime is how long the jobs of a batch together were in a phase.
type PhaseTime struct {
	Phase      string  `json:"phase"`
	JobSeconds float64 `json:"job_seconds"`
	Jobs       int     `json:"jobs"`
}

// TierPerformance is one tier's share of the time.
type TierPerformance struct {
	TierNum         int      `json:"tier_num"`
	DurationSeconds float64  `json:"duration_seconds"`
	QueueSeconds    float64  `json:"queue_seconds"`
	PctOfTotal      float64  `json:"pct_of_total"`
	DocsPerSecond   *float64 `json:"docs_per_second"` // null where fewer than 20 documents, or less than 10 s, carry none
}

// StagePerformance is one stage's share, over all tiers and workers.
type StagePerformance struct {
	StageName      string   `json:"stage_name"`
	Component      string   `json:"component"`
	ExecutionCount int64    `json:"execution_count"`
	TotalTimeMS    float64  `json:"total_time_ms"`
	AvgTimeMS      float64  `json:"avg_time_ms"`
	P50MS          *float64 `json:"p50_ms"`
	P95MS          *float64 `json:"p95_ms"`
	P99MS          *float64 `json:"p99_ms"`
	QuantileError  *float64 `json:"quantile_error_ms"` // the most by which p50, p95 or p99 can be off: they are interpolated within their buckets
	MaxTimeMS      float64  `json:"max_time_ms"`
	PctOfTotal     float64  `json:"pct_of_total"`
	Rank           int      `json:"rank"`
}

// Row is the light form of a batch for lists. It is stored when the view is committed, and
// holds until the moment that it names.
type Row struct {
	BatchID         string          `json:"batch_id"`
	BatchName       string          `json:"batch_name"`
	Pipeline        *string         `json:"pipeline"`
	Owner           *string         `json:"owner"`
	Labels          json.RawMessage `json:"labels"` // an object, or null
	Status          string          `json:"status"`
	Health          event.Health    `json:"health"`
	BlockedReason   *string         `json:"blocked_reason"`
	Cause           *string         `json:"cause"` // the code of the cause
	CurrentTier     int             `json:"current_tier"`
	TotalTiers      int             `json:"total_tiers"`
	OverallProgress float64         `json:"overall_progress"`
	HasFailures     bool            `json:"has_failures"`
	AsOf            time.Time       `json:"as_of"`      // the moment for which health, blocked_reason and cause were found
	Until           *time.Time      `json:"until"`      // they hold until then if no event comes; null: for ever
	OrderedAt       time.Time       `json:"ordered_at"` // created, else submitted, else the earliest event
	StartedAt       *time.Time      `json:"started_at"`
	CompletedAt     *time.Time      `json:"completed_at"`
	LastActivityAt  *time.Time      `json:"last_activity_at"`
	Revision        uint64          `json:"revision"`

	// Sentence is the cause in words, of failures too. Alike are the same words without what is this batch's own: batches with the same
	// cause and the same Alike have the same trouble. Both are absent without a cause, and from rows of earlier versions.
	Sentence *string `json:"sentence,omitempty"`
	Alike    *string `json:"alike,omitempty"`

	// Spark is the pace of the current tier, for a sparkline: documents in each of up to 24 equal parts of
	// the time since its first. Empty before that.
	Spark []int64 `json:"spark"`
	// ETA is the estimate as of the last activity; null as in the snapshot.
	ETA *RowETA `json:"eta"`

	erased int64 // nanoseconds; 0: the batch wasn't erased
}

// RowETA is the range in which the end is expected.
type RowETA struct {
	P50 time.Time `json:"p50"`
	P90 time.Time `json:"p90"`
}
