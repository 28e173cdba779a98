package diagnostics

import (
	"github.com/headwayhq/headway/pkg/diagnostics/internal/crdt"
	"github.com/headwayhq/headway/pkg/diagnostics/internal/event"
)

// Events and their decoding.

type (
	// Decoder decodes events. It reuses its memory: an Event is valid until the next Decode.
	// It isn't safe for concurrent use, and must not be copied after its first use.
	Decoder = event.Decoder
	// Message is an event as it arrived: from the stream, or over HTTP.
	Message = event.Message
	// Rejection is the field because of which an event is rejected, and the reason.
	Rejection = event.Rejection
	// Refusal is a refused message, as far as its batch is known.
	Refusal = event.Refusal
	// Event is one decoded, valid event. Exactly the facts that Type names are filled.
	// Its strings may alias the decoded message: clone a string to keep it longer.
	// Times are nanoseconds since 1970 UTC. Strings named JSON hold canonical JSON (RFC 8785).
	Event = event.Event
	// Type is the kind of an event, from its CloudEvents type.
	Type = event.Type
	// Word is a status in an event. Batches, tiers and jobs share one vocabulary; the decoder checks which
	// statuses a type may have.
	Word = event.Word
	// Health is the verdict on a batch.
	Health = event.Health
	// Opt is a value that an event may leave out. An absent field changes nothing.
	Opt[T any] = event.Opt[T]
	// BatchFacts is the data of a batch event.
	BatchFacts = event.BatchFacts
	// TierPlan is one entry of a batch event's tiers.
	TierPlan = event.TierPlan
	// CollectionPlan is one collection of a TierPlan.
	CollectionPlan = event.CollectionPlan
	// TierFacts is the data of a tier event.
	TierFacts = event.TierFacts
	// ErrorFact is one entry of a tier event's errors.
	ErrorFact = event.ErrorFact
	// JobFacts is the data of a job event.
	JobFacts = event.JobFacts
	// Waiting is what a job waits for.
	Waiting = event.Waiting
	// CollectionFacts is the data of a collection event.
	CollectionFacts = event.CollectionFacts
	// StageFacts is the data of a stage event. All counters are cumulative per worker.
	StageFacts = event.StageFacts
	// Bucket counts the executions that took at most UpperMS, but longer than the next smaller bound.
	Bucket = event.Bucket
	// ProofFacts is the data of a proof: what a process of a job was seen to do, taken while the job hung or after it had failed.
	ProofFacts = event.ProofFacts
	// HealthFacts is the data of an announcement of the detector.
	HealthFacts = event.HealthFacts
)

// Stamp orders the events that set one field: by time, then source, then id.
type Stamp = crdt.Stamp

// The kinds of events.
const (
	TypeUnknown    = event.TypeUnknown
	TypeBatch      = event.TypeBatch
	TypeTier       = event.TypeTier
	TypeJob        = event.TypeJob
	TypeCollection = event.TypeCollection
	TypeStage      = event.TypeStage
	TypeHealth     = event.TypeHealth
	TypeProof      = event.TypeProof
	TypeErase      = event.TypeErase
)

// The CloudEvents types of version 1.
const (
	TypeBatchV1      = event.TypeBatchV1
	TypeTierV1       = event.TypeTierV1
	TypeJobV1        = event.TypeJobV1
	TypeCollectionV1 = event.TypeCollectionV1
	TypeStageV1      = event.TypeStageV1
	TypeHealthV1     = event.TypeHealthV1
	TypeProofV1      = event.TypeProofV1
	TypeEraseV1      = event.TypeEraseV1
)

// DetectorSource is the source of the detector's events. Changes of health from another source are refused.
const DetectorSource = "headway/detector"

// EraseSource is the source of events that erase a batch. Those from another source are refused.
const EraseSource = "headway/erase"

// The statuses.
const (
	WordNone                = event.WordNone
	WordDraft               = event.WordDraft
	WordPending             = event.WordPending
	WordQueued              = event.WordQueued
	WordProcessing          = event.WordProcessing
	WordInProgress          = event.WordInProgress
	WordRunning             = event.WordRunning
	WordCompleted           = event.WordCompleted
	WordCompletedWithErrors = event.WordCompletedWithErrors
	WordFailed              = event.WordFailed
	WordCanceled            = event.WordCanceled
	WordSkipped             = event.WordSkipped
	WordSucceeded           = event.WordSucceeded
	WordStopped             = event.WordStopped
)

// The four verdicts.
const (
	HealthOK       = event.HealthOK
	HealthScaling  = event.HealthScaling
	HealthStuck    = event.HealthStuck
	HealthDegraded = event.HealthDegraded
)

// Funnel counters of a tier, in this order.
const (
	CountFetched       = event.CountFetched
	CountAfterFilter   = event.CountAfterFilter
	CountMissingInputs = event.CountMissingInputs
	CountSubmitted     = event.CountSubmitted
	CountWritten       = event.CountWritten
)

// ValidNamespace reports whether name is a valid namespace: ^[A-Za-z0-9_-]{1,128}$.
func ValidNamespace(name string) bool { return event.ValidNamespace(name) }

// ValidID reports whether id has the form that EncodeID returns: letters, digits, _ and -, and =XX for other bytes. Anything else
// could break out of a subject, a key or a pattern.
func ValidID(id string) bool { return event.ValidID(id) }

// EncodeID encodes an id of any system. An id that is already encoded stays unchanged. ok is false if it can't be an id:
// if it is empty, has more than 128 bytes or control characters, or isn't valid UTF-8.
func EncodeID(original string) (id string, ok bool) { return event.EncodeID(original) }

// DecodeID returns the original form of an id. Any other text stays unchanged.
func DecodeID(id string) string { return event.DecodeID(id) }

// NewRefusal is what has to be folded into the view of a batch when one of its messages was refused. ok is false if the subject
// doesn't name namespace and batch, and for an announcement or an erasure, because no producer sends those.
func NewRefusal(m Message, r *Rejection) (f Refusal, ok bool) { return event.NewRefusal(m, r) }

// ParseHealth parses a health; ok is false for any other text.
func ParseHealth(s string) (h Health, ok bool) { return event.ParseHealth(s) }

// Over reports whether the status of a row or a snapshot says that the batch has ended.
func Over(status string) bool { return event.Over(status) }

// Nearest returns the field of an event of type t that was probably meant by one that Decoder.Unknown named: in the same
// object, and at most two edits away, or fewer for a short name.
func Nearest(t Type, unknown string) (field string, ok bool) { return event.Nearest(t, unknown) }

// Hint is a sentence about a field that Decoder.Unknown named, such as “processed_document isn't a field; processed_documents?”.
func Hint(t Type, unknown string) string { return event.Hint(t, unknown) }
