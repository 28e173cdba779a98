package event

import "github.com/headwayhq/headway/pkg/diagnostics/internal/crdt"

// Type is the kind of an event, from its CloudEvents type.
type Type uint8

const (
	TypeUnknown Type = iota
	TypeBatch
	TypeTier
	TypeJob
	TypeCollection
	TypeStage
	TypeHealth
	TypeProof
	TypeErase
)

// The CloudEvents types of version 1.
const (
	TypeBatchV1      = "dev.headway.batch.v1"
	TypeTierV1       = "dev.headway.tier.v1"
	TypeJobV1        = "dev.headway.job.v1"
	TypeCollectionV1 = "dev.headway.collection.v1"
	TypeStageV1      = "dev.headway.stage.v1"
	TypeHealthV1     = "dev.headway.batch.health.changed.v1"
	TypeProofV1      = "dev.headway.job.proof.v1"
	TypeEraseV1      = "dev.headway.batch.erased.v1"
)

// Opt is a value that an event may leave out. An absent field changes nothing.
type Opt[T any] struct {
	V   T
	Set bool
}

// Event is one decoded, valid event. Exactly the facts that Type names are filled.
// Its strings may alias the decoded message: whoever keeps one longer clones it.
// Times are nanoseconds since 1970 UTC. Strings named JSON hold canonical JSON (RFC 8785).
type Event struct {
	crdt.Stamp
	Stored    int64 // when the stream stored it; 0: not known
	Type      Type
	Namespace string
	Batch     string

	BatchFacts      BatchFacts
	TierFacts       TierFacts
	JobFacts        JobFacts
	CollectionFacts CollectionFacts
	StageFacts      StageFacts
	HealthFacts     HealthFacts
	ProofFacts      ProofFacts
}

// BatchFacts is the data of a batch event.
type BatchFacts struct {
	Status      Word
	Attempt     int32 // 1 when absent
	Settled     bool  // written by the detector: see EVENTS "Settling"
	Name        Opt[string]
	Pipeline    Opt[string]
	Owner       Opt[string]
	LabelsJSON  Opt[string] // object of at most 32 members
	RetryOf     Opt[string]
	BucketID    Opt[string]
	TotalTiers  Opt[int64]
	TotalObj    Opt[int64]
	CreatedAt   Opt[int64]
	SubmittedAt Opt[int64]
	StartedAt   Opt[int64]
	CompletedAt Opt[int64]
	Error       Opt[string]
	ErrorType   Opt[string]
	Tiers       []TierPlan
}

// TierPlan is one entry of a batch event's tiers.
type TierPlan struct {
	TierNum     int32
	RequiresGPU Opt[bool]
	TotalDocs   Opt[int64]
	Collections []CollectionPlan
}

// CollectionPlan is one collection of a TierPlan.
type CollectionPlan struct {
	ID           string
	Name         Opt[string]
	ExpectedDocs Opt[int64]
}

// Funnel counters of a tier, in this order.
const (
	CountFetched = iota
	CountAfterFilter
	CountMissingInputs
	CountSubmitted
	CountWritten
	CountKinds
)

// TierFacts is the data of a tier event.
type TierFacts struct {
	TierNum     int32
	Attempt     int32  // 1 when absent
	Worker      string // whose counters these are; "": the tier's as a whole
	Status      Word
	TaskID      Opt[string]
	RequiresGPU Opt[bool]
	StartedAt   Opt[int64]
	CompletedAt Opt[int64]
	Processed   Opt[int64]
	Total       Opt[int64]
	Failed      Opt[int64]
	Error       Opt[string]
	ErrorType   Opt[string]
	Errors      []ErrorFact
	Counts      [CountKinds]Opt[int64]
}

// ErrorFact is one entry of a tier event's errors.
type ErrorFact struct {
	ErrorType  string
	Message    string // cut to 500 characters by the decoder
	Component  string
	Stage      string
	Affected   Opt[int64]
	DocIDs     []string
	Suggestion Opt[string]
}

// JobFacts is the data of a job event.
type JobFacts struct {
	TierNum          int32
	Attempt          Opt[int32]
	SubmissionID     string
	JobID            Opt[string]
	Extractor        Opt[string]
	CollectionsJSON  Opt[string] // array of ids, sorted
	Status           Word
	SubmittedAt      Opt[int64]
	StartedAt        Opt[int64]
	EndedAt          Opt[int64]
	Message          Opt[string]
	ErrorType        Opt[string]
	ExitCode         Opt[int64]
	DashboardURL     Opt[string]
	ResourcesJSON    Opt[string] // {num_cpus, num_gpus, memory_bytes}
	SubmissionParams Opt[string] // canonical JSON object; values of environment variables dropped, keys kept
	Cluster          Opt[string] // part of its identity
	Run              Opt[string] // part of its identity: which use of the submission id this is
	Session          Opt[string]
	Processed        Opt[int64]
	Total            Opt[int64]
	Waiting          Opt[Waiting] // Set with Kind "": the event had null, the job waits for nothing
}

// Waiting is what a job waits for.
type Waiting struct {
	Kind         string // resources, runtime_env, node_launch, image_pull, quota; "" = nothing
	Since        int64
	DemandJSON   string // canonical JSON, "" when absent
	OfferedJSON  string // canonical JSON, "" when absent
	NodesPending Opt[int64]
	Infeasible   Opt[bool]
	Detail       Opt[string]
	Code         Opt[string] // a known cause; another code is kept as it is
	AskedJSON    string      // canonical JSON array, "" when absent: what was asked, and what answered
	HoldersJSON  string      // canonical JSON array, "" when absent: who holds what it waits for
	FixesJSON    string      // canonical JSON array, "" when absent
}

// ProofFacts is the data of a proof: what a process of a job was seen to do, taken while the job hung or after it had failed.
type ProofFacts struct {
	SubmissionID string
	Cluster      Opt[string] // as in a job event
	Run          Opt[string] // as in a job event
	Kind         string      // log, stack
	Process      string      // driver, worker
	Name         Opt[string] // which process
	Text         Opt[string] // lines of a log, or frames of a stack, the innermost first; cut to 8,192 characters by the decoder
	Frame        Opt[string] // where the process is, as in “train.py:88 barrier”
	FrameSince   Opt[int64]  // when it was first seen there
	Looks        Opt[int64]  // how often it was seen there, one after another
	Unavailable  Opt[string] // why there is nothing to show, and what to set
}

// CollectionFacts is the data of a collection event.
type CollectionFacts struct {
	ID           string
	Name         Opt[string]
	TierNum      Opt[int32]
	Documents    Opt[int64]
	ExpectedDocs Opt[int64]
}

// StageFacts is the data of a stage event. All counters are cumulative per worker.
type StageFacts struct {
	TierNum   int32
	Attempt   int32 // 1 when absent
	Stage     string
	Component string
	Worker    string
	Unit      Opt[string] // what is counted, if not documents
	Count     Opt[int64]
	TotalMS   Opt[float64]
	MaxMS     Opt[float64]
	Buckets   []Bucket // by ascending upper bound
}

// Bucket counts the executions that took at most UpperMS, but longer than the next smaller bound.
type Bucket struct {
	UpperMS float64
	Count   int64
}

// HealthFacts is the data of an announcement of the detector.
type HealthFacts struct {
	Ordinal       int64
	From, To      Health
	BlockedReason string // "" when none
	StuckSeconds  Opt[float64]
	EvidenceJSON  string // canonical JSON, "" when absent
	Revision      string
	AsOf          int64
	Link          string
	ChangedJSON   string      // canonical JSON array of words, sorted; "" when absent: health, cause
	CauseFrom     Opt[string] // the code of the cause before; "" when there was none, not set in older announcements
	CauseTo       Opt[string]
	PolicyHash    string // of the thresholds of the namespace by which it was judged; "" in older announcements
}

func (o Opt[T]) Ptr() *T {
	if !o.Set {
		return nil
	}
	return &o.V
}
