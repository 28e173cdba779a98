package cause

import (
	"encoding/json"
	"time"
)

// How certain a cause is.
const (
	Known    = "known"    // an event or a recorded response reports it
	Inferred = "inferred" // it is the only explanation of what is known
	Unsure   = "unknown"  // the reason isn't known
)

// Cause is why something waits, failed or is in doubt.
type Cause struct {
	Code         Code            `json:"code"`
	Certainty    string          `json:"certainty"` // known, inferred, unknown
	Since        *time.Time      `json:"since"`
	WhoActs      *string         `json:"who_acts"`      // pipeline, platform, orchestrator, producer, nobody
	WaitingHelps *string         `json:"waiting_helps"` // yes, perhaps, no
	Sentence     string          `json:"sentence"`
	Detail       *string         `json:"detail"` // in the words of the source
	Subject      Subject         `json:"subject"`
	Demand       json.RawMessage `json:"demand"`
	Offered      json.RawMessage `json:"offered"`
	Holders      json.RawMessage `json:"holders"`
	Fixes        json.RawMessage `json:"fixes"`
	Asked        json.RawMessage `json:"asked"`
	Evidence     []string        `json:"evidence"` // ids of events
}

// Subject is what a cause is about.
type Subject struct {
	Kind    string  `json:"kind"` // batch, tier, job, collection, source
	ID      string  `json:"id"`   // of a tier its number, counted from zero
	Cluster *string `json:"cluster"`
}

// Message is a text with its code and parameters, so that it can be written in another language or time zone.
type Message struct {
	Code   string            `json:"code"`
	Params map[string]string `json:"params"`
	Text   string            `json:"text"`
}
