package client

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/headwayhq/headway/pkg/diagnostics"
)

// Event is one event about a batch. Data is *Batch, *Tier, *Job, *Collection or *Stage.
type Event struct {
	Batch string    // in its own system's form
	ID    string    // default: derived from source, subject, time and data
	Time  time.Time // when the fact became true; default: now. Set it to make a retry the same event
	Data  Facts
}

// Facts is the data of an event. Zero fields are left out, and change nothing.
type Facts interface {
	kind() (eventType, subject string)
}

// Batch facts.
type Batch struct {
	Status      string            `json:"status,omitempty"`
	Attempt     int               `json:"attempt,omitempty"`
	Name        string            `json:"name,omitempty"`
	Pipeline    string            `json:"pipeline,omitempty"`
	Owner       string            `json:"owner,omitempty"`
	Labels      map[string]string `json:"labels,omitempty"`
	RetryOf     string            `json:"retry_of,omitempty"`
	BucketID    string            `json:"bucket_id,omitempty"`
	TotalTiers  int               `json:"total_tiers,omitempty"`
	TotalObj    *int64            `json:"total_objects,omitempty"`
	CreatedAt   *time.Time        `json:"created_at,omitempty"`
	SubmittedAt *time.Time        `json:"submitted_at,omitempty"`
	StartedAt   *time.Time        `json:"started_at,omitempty"`
	CompletedAt *time.Time        `json:"completed_at,omitempty"`
	Error       string            `json:"error,omitempty"`
	ErrorType   string            `json:"error_type,omitempty"`
	Tiers       []TierPlan        `json:"tiers,omitempty"`
}

// TierPlan is one tier of a batch's plan.
type TierPlan struct {
	TierNum     int              `json:"tier_num"`
	RequiresGPU *bool            `json:"requires_gpu,omitempty"`
	TotalDocs   *int64           `json:"total_documents,omitempty"`
	Collections []CollectionPlan `json:"collections,omitempty"`
}

// CollectionPlan is one collection of a tier's plan.
type CollectionPlan struct {
	ID       string `json:"collection_id"`
	Name     string `json:"collection_name,omitempty"`
	Expected *int64 `json:"expected_documents,omitempty"`
}

// Tier facts. Counters are cumulative within the attempt.
type Tier struct {
	TierNum     int              `json:"tier_num"`
	Attempt     int              `json:"attempt,omitempty"`
	Worker      string           `json:"worker,omitempty"` // to which the counters belong; "": those of the whole tier
	Status      string           `json:"status,omitempty"`
	TaskID      string           `json:"task_id,omitempty"`
	RequiresGPU *bool            `json:"requires_gpu,omitempty"`
	StartedAt   *time.Time       `json:"started_at,omitempty"`
	CompletedAt *time.Time       `json:"completed_at,omitempty"`
	Processed   *int64           `json:"processed_documents,omitempty"`
	Total       *int64           `json:"total_documents,omitempty"`
	Failed      *int64           `json:"failed_documents,omitempty"`
	Error       string           `json:"error,omitempty"`
	ErrorType   string           `json:"error_type,omitempty"`
	Errors      []DocumentError  `json:"errors,omitempty"`
	Counts      map[string]int64 `json:"counts,omitempty"` // fetched, after_filter, missing_inputs, submitted, written
}

// DocumentError is one kind of error of a tier's documents.
type DocumentError struct {
	ErrorType  string   `json:"error_type"`
	Message    string   `json:"message"`
	Component  string   `json:"component,omitempty"`
	Stage      string   `json:"stage,omitempty"`
	Affected   int64    `json:"affected_count,omitempty"`
	Documents  []string `json:"affected_document_ids,omitempty"`
	Suggestion string   `json:"recovery_suggestion,omitempty"`
}

// Job facts. Status is PENDING, RUNNING, SUCCEEDED, FAILED or STOPPED.
type Job struct {
	TierNum      int            `json:"tier_num"`
	Attempt      int            `json:"attempt,omitempty"`
	SubmissionID string         `json:"submission_id"`
	JobID        string         `json:"job_id,omitempty"`
	Extractor    string         `json:"extractor,omitempty"`
	Collections  []string       `json:"collections,omitempty"`
	Status       string         `json:"status"`
	SubmittedAt  *time.Time     `json:"submitted_at,omitempty"`
	StartedAt    *time.Time     `json:"started_at,omitempty"`
	EndedAt      *time.Time     `json:"ended_at,omitempty"`
	Message      string         `json:"message,omitempty"`
	ErrorType    string         `json:"error_type,omitempty"`
	ExitCode     *int           `json:"exit_code,omitempty"`
	DashboardURL string         `json:"dashboard_url,omitempty"`
	Resources    map[string]any `json:"resources,omitempty"` // num_cpus, num_gpus, memory_bytes
	Params       map[string]any `json:"submission_params,omitempty"`
	Cluster      string         `json:"cluster,omitempty"` // part of the job's key, like Run
	Run          string         `json:"run,omitempty"`     // which use of the submission id this is
	Session      string         `json:"session,omitempty"`
	Processed    *int64         `json:"processed_documents,omitempty"`
	Total        *int64         `json:"total_documents,omitempty"`
	WaitingOn    *WaitingOn     `json:"waiting_on,omitempty"`
}

// WaitingOn is what a job waits for. Kind is resources, runtime_env, node_launch, image_pull or quota. An empty Kind
// says that the job waits for nothing, while a Job without WaitingOn says nothing about it.
type WaitingOn struct {
	Kind         string         `json:"kind"`
	Since        time.Time      `json:"since"`
	Demand       map[string]any `json:"demand,omitempty"`
	Offered      map[string]any `json:"offered,omitempty"`
	NodesPending *int64         `json:"nodes_pending,omitempty"`
	Infeasible   *bool          `json:"infeasible,omitempty"`
	Detail       string         `json:"detail,omitempty"`
	Code         string         `json:"code,omitempty"` // for example IMAGE:PULL_FAILED; an unknown code is kept unchanged
	Asked        []any          `json:"asked,omitempty"`
	Holders      []any          `json:"holders,omitempty"`
	Fixes        []any          `json:"fixes,omitempty"`
}

// MarshalJSON writes null if the job waits for nothing.
func (w *WaitingOn) MarshalJSON() ([]byte, error) {
	if w.Kind == "" {
		return []byte("null"), nil
	}
	type plain WaitingOn
	return json.Marshal((*plain)(w))
}

// Collection facts.
type Collection struct {
	ID        string `json:"collection_id"`
	Name      string `json:"collection_name,omitempty"`
	TierNum   *int   `json:"tier_num,omitempty"`
	Documents *int64 `json:"document_count,omitempty"`
	Expected  *int64 `json:"expected_documents,omitempty"`
}

// Stage facts, cumulative per worker.
type Stage struct {
	TierNum   int          `json:"tier_num"`
	Attempt   int          `json:"attempt,omitempty"`
	Stage     string       `json:"stage"`
	Component string       `json:"component,omitempty"`
	Worker    string       `json:"worker,omitempty"`
	Unit      string       `json:"unit,omitempty"` // what is counted, if not documents
	Count     int64        `json:"count"`
	TotalMS   float64      `json:"total_ms,omitempty"`
	MaxMS     float64      `json:"max_ms,omitempty"`
	Buckets   [][2]float64 `json:"buckets,omitempty"` // [upper bound in ms, count]
}

// Proof is what a process of a job was seen to do, or why nothing could be seen. Remove credentials from a text before sending it.
type Proof struct {
	SubmissionID string     `json:"submission_id"`
	Cluster      string     `json:"cluster,omitempty"`
	Run          string     `json:"run,omitempty"`
	Kind         string     `json:"kind"`           // log, stack
	Process      string     `json:"process"`        // driver, worker
	Name         string     `json:"name,omitempty"` // which process
	Text         string     `json:"text,omitempty"` // at most 8,192 characters are kept
	Frame        string     `json:"frame,omitempty"`
	FrameSince   *time.Time `json:"frame_since,omitempty"`
	Looks        int64      `json:"looks,omitempty"` // how often it was seen in this frame, one after another
	Unavailable  string     `json:"unavailable,omitempty"`
}

func (*Batch) kind() (string, string) { return diagnostics.TypeBatchV1, "batch" }
func (t *Tier) kind() (string, string) {
	kind := "tier." + strconv.Itoa(t.TierNum)
	if t.Status == "" && (t.Processed != nil || t.Failed != nil || len(t.Counts) > 0) {
		kind += ".progress"
	}
	return diagnostics.TypeTierV1, kind
}
func (j *Job) kind() (string, string) {
	return diagnostics.TypeJobV1, "job." + subjectID(j.SubmissionID)
}
func (c *Collection) kind() (string, string) {
	return diagnostics.TypeCollectionV1, "collection." + subjectID(c.ID)
}
func (p *Proof) kind() (string, string) {
	return diagnostics.TypeProofV1, "proof." + subjectID(p.SubmissionID)
}
func (s *Stage) kind() (string, string) {
	return diagnostics.TypeStageV1, "stage." + strconv.Itoa(s.TierNum)
}

// subjectID encodes an id for a subject. An invalid id is left unchanged, so that validation rejects it with a reason.
func subjectID(original string) string {
	if id, ok := diagnostics.EncodeID(original); ok {
		return id
	}
	return original
}

// BatchStatus reports a batch's change of status.
func BatchStatus(batch, status string) Event {
	return Event{Batch: batch, Data: &Batch{Status: status}}
}

// TierStatus reports a tier's change of status.
func TierStatus(batch string, tier int, status string) Event {
	return Event{Batch: batch, Data: &Tier{TierNum: tier, Status: status}}
}

// TierProgress reports how many of a tier's documents are processed.
func TierProgress(batch string, tier int, processed, total int64) Event {
	return Event{Batch: batch, Data: &Tier{TierNum: tier, Processed: &processed, Total: &total}}
}

// JobStatus reports a job's change of status: PENDING, RUNNING, SUCCEEDED, FAILED or STOPPED.
func JobStatus(batch string, tier int, submissionID, status string) Event {
	return Event{Batch: batch, Data: &Job{TierNum: tier, SubmissionID: submissionID, Status: status}}
}

// CollectionCount reports how many documents a collection has.
func CollectionCount(batch, collection string, documents int64) Event {
	return Event{Batch: batch, Data: &Collection{ID: collection, Documents: &documents}}
}

// StageTimes reports how often a worker has run a stage so far, and the total duration.
func StageTimes(batch string, tier int, stage, worker string, count int64, total time.Duration) Event {
	return Event{Batch: batch, Data: &Stage{
		TierNum: tier, Stage: stage, Worker: worker, Count: count, TotalMS: float64(total) / float64(time.Millisecond),
	}}
}

// encode builds the structured CloudEvent, and validates it with Headway's own decoder.
func (c *Client) encode(e Event) (subject string, data []byte, err error) {
	o := c.o
	if e.Data == nil {
		return "", nil, fmt.Errorf("client: %w", &diagnostics.Rejection{Field: "data", Reason: "is missing"})
	}
	if e.Time.IsZero() {
		e.Time = time.Now()
	}
	eventType, kind := e.Data.kind()
	subject = "headway.events." + o.Namespace + "." + subjectID(e.Batch) + "." + kind
	facts, err := json.Marshal(e.Data)
	if err != nil {
		return "", nil, fmt.Errorf("client: data: %w", err)
	}
	at := e.Time.UTC().Format(time.RFC3339Nano)
	if e.ID == "" {
		sum := sha256.Sum256(fmt.Appendf(nil, "%s\n%s\n%s\n%s", o.Source, subject, at, facts))
		e.ID = hex.EncodeToString(sum[:16])
	}
	data, err = json.Marshal(map[string]any{
		"specversion": "1.0", "id": e.ID, "source": o.Source, "type": eventType, "subject": e.Batch, "time": at,
		"data": json.RawMessage(facts),
	})
	if err != nil {
		return "", nil, fmt.Errorf("client: %w", err)
	}
	d := c.decoders.Get().(*diagnostics.Decoder)
	defer c.decoders.Put(d)
	if _, rejection := d.Decode(diagnostics.Message{Subject: subject, Data: data, Stored: time.Now()}); rejection != nil {
		return "", nil, fmt.Errorf("client: %w", rejection)
	}
	return subject, data, nil
}
