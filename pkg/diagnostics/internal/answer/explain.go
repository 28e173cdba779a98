package answer

import (
	"time"

	"github.com/headwayhq/headway/pkg/diagnostics/internal/cause"
	"github.com/headwayhq/headway/pkg/diagnostics/internal/event"
)

// Explanation is a verdict as a derivation: what it follows from, what would change it, and why it is no other.
type Explanation struct {
	BatchID       string        `json:"batch_id"`
	Status        string        `json:"status"`
	Health        event.Health  `json:"health"`
	BlockedReason *string       `json:"blocked_reason"`
	Cause         *cause.Cause  `json:"cause"`  // as in the snapshot
	Doubts        []cause.Cause `json:"doubts"` // as in the snapshot
	View          ViewInfo      `json:"view"`
	Rule          string        `json:"rule"` // the row of the health table, in words
	Since         *time.Time    `json:"since"`
	// ThresholdSeconds is the limit of the rule, ElapsedSeconds how much of it has passed at as_of.
	ThresholdSeconds *float64        `json:"threshold_seconds"`
	ElapsedSeconds   *float64        `json:"elapsed_seconds"`
	Steps            []Step          `json:"steps"`      // in the order in which they follow from one another
	Tiers            []Case          `json:"tiers"`      // the cases of the open tiers, in tier order
	NextCheck        *Change         `json:"next_check"` // null: with no new event nothing changes any more
	NotTaken         []Alternative   `json:"not_taken"`  // the other verdicts
	Policy           ThresholdPolicy `json:"policy"`
	Proofs           []Proof         `json:"proofs"`       // what processes of its live and failed jobs were seen to do
	At               *Past           `json:"at,omitempty"` // as in the snapshot
}

// Proof is a look at a process of a job, with its text.
type Proof struct {
	RayJobID    string     `json:"ray_job_id"`
	Kind        string     `json:"kind"`    // log, stack
	Process     string     `json:"process"` // driver, worker
	Name        *string    `json:"name"`
	TakenAt     time.Time  `json:"taken_at"`
	Frame       *string    `json:"frame"`
	FrameSince  *time.Time `json:"frame_since"`
	Looks       *int64     `json:"looks"`
	Unavailable *string    `json:"unavailable"`
	Text        *string    `json:"text"` // the last lines of the log, or the frames of the stack, the innermost first
}

// Step is one fact of a derivation and what it rests on.
type Step struct {
	Says   string       `json:"says"`
	Events []EventStamp `json:"events"` // empty where it follows from the steps before it
}

// EventStamp names an event.
type EventStamp struct {
	ID     string    `json:"id"`
	Source string    `json:"source"`
	Time   time.Time `json:"time"`
}

// Case is the result of the health table for one open tier.
type Case struct {
	TierNum          *int       `json:"tier_num"` // null: no tier is open, but the batch's end was never said
	Signal           string     `json:"signal"`
	Since            *time.Time `json:"since"`
	ThresholdSeconds float64    `json:"threshold_seconds"`
	ElapsedSeconds   float64    `json:"elapsed_seconds"`
	Finding          string     `json:"finding"` // moving, waiting, stuck
	RayJobID         *string    `json:"ray_job_id"`
	Reason           *string    `json:"reason"` // null while it moves

	Cause *cause.Cause `json:"cause"`
}

// Change is the moment at which the verdict changes if no event comes.
type Change struct {
	At      time.Time    `json:"at"`
	Health  event.Health `json:"health"`
	Cause   *string      `json:"cause"` // the code of the cause then; null if there is none
	Because string       `json:"because"`
}

// Alternative is a verdict that wasn't reached.
type Alternative struct {
	Health  event.Health `json:"health"`
	Because string       `json:"because"`
}

// ThresholdPolicy holds the thresholds that applied, in seconds.
type ThresholdPolicy struct {
	WindowGPUSeconds    float64 `json:"window_gpu_seconds"`
	WindowNoGPUSeconds  float64 `json:"window_no_gpu_seconds"`
	TimeoutSeconds      float64 `json:"timeout_seconds"`
	GraceSeconds        float64 `json:"grace_seconds"`
	SettleSeconds       float64 `json:"settle_seconds"`
	ScalingDelaySeconds float64 `json:"scaling_delay_seconds"`
}

// AppendJSON appends the explanation as one line of JSON.
func (e *Explanation) AppendJSON(dst []byte) []byte { return appendJSON(dst, e) }
