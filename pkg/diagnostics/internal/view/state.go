package view

import (
	"cmp"
	"strings"

	"github.com/headwayhq/headway/pkg/diagnostics/internal/crdt"
	"github.com/headwayhq/headway/pkg/diagnostics/internal/event"
)

// Bounds of a view. Each keeps the smallest (or highest) keys, so that what is kept depends on the set
// of events alone: a key that was dropped once could never come back.
const (
	MaxAttempts      = 16     // highest attempts of a batch and of each tier
	MaxJobs          = 1_000  // smallest submission ids
	MaxCollections   = 10_000 // smallest collection ids
	MaxErrors        = 100    // smallest error keys of a tier attempt
	MaxErrorDocs     = 10     // smallest document ids of an error
	MaxStages        = 1_000  // smallest stage keys of a tier attempt
	MaxBuckets       = 256    // smallest upper bounds of a stage
	MaxWorkers       = 10_000 // smallest worker keys of a tier attempt
	MaxErrorWorkers  = 1_000  // smallest worker keys of an error
	MaxAnnouncements = 100    // latest ordinals
	MaxSources       = 64     // smallest names of sources
	MaxRefusals      = 100    // smallest hashes of refused messages
	MaxRefusedTiers  = 100    // smallest numbers of tiers about which messages were refused
	maxSeriesPoints  = 128
)

// FoldVersion names the rules of the fold and the state encoding. A change of either raises it.
const FoldVersion = 3

// Header is where in the stream a view stands. It is stored before the state and is no part of it.
type Header struct {
	Revision   uint64 // stream sequence of the last event that changed the view
	HealthSeq  uint64 // stream sequence of the last health event folded, 0 if none
	Incomplete bool   // events were lost to retention before they were folded
}

// View is the materialized state of one batch: a join-semilattice, whose value is a function of the
// set of events folded into it. A View is not safe for concurrent use.
type View struct {
	Header
	Namespace string
	Batch     string // as event.EncodeID writes it

	state State
}

// BatchID is the batch's id as its own system writes it.
func (v *View) BatchID() string { return event.DecodeID(v.Batch) }

// Of is what a view knows of its batch. It is a function, and the field unexported, so that the state is the core's
// own: View is public.
func Of(v *View) *State { return &v.state }

// State is what a view knows of its batch.
type State struct {
	First         crdt.Stamp // earliest producer's event
	Last          int64      // time of the latest producer's event
	LastWork      int64      // time of the latest tier, job or stage event
	LastStored    int64      // when the latest stored producer's event was stored
	StatusSaid    bool       // an event, not a settling, said a batch status
	WaitingSaid   bool       // a job event said waiting_on, null too: a source is in reach
	Settled       crdt.Register[Status]
	Name          crdt.Register[Text]
	Pipeline      crdt.Register[Text]
	Owner         crdt.Register[Text]
	Labels        crdt.Register[JSON]
	RetryOf       crdt.Register[Text]
	BucketID      crdt.Register[Text]
	TotalTiers    crdt.Register[Number]
	TotalObj      crdt.Register[Number]
	Created       crdt.Earliest
	Attempts      []*BatchAttempt // ascending
	Tiers         []*Tier         // ascending
	Jobs          []*Job          // by submission id, cluster and run
	Collections   []*Collection   // by id
	Announcements []*Announcement // by ordinal, ascending
	Sources       []*SourceClock  // by name
	Refused       Refused

	JobsTruncated, CollectionsTruncated, SourcesTruncated bool
}

// BatchAttempt is what was said of one attempt of the batch.
type BatchAttempt struct {
	Num                int32
	First              crdt.Stamp
	Last               int64
	Words              Words
	Submitted, Started crdt.Earliest
	Completed          crdt.Register[Number]
	Err, ErrType       crdt.Register[Text]
}

// Tier is one tier: what was planned for it, and its attempts.
type Tier struct {
	Num        int32
	LastStored int64 // when the latest stored of its own events, of status, progress or stages, was stored
	PlanGPU    crdt.Register[Flag]
	PlanTotal  crdt.Register[Number]
	Attempts   []*TierAttempt // ascending
}

// TierAttempt is what was said of one attempt of a tier.
type TierAttempt struct {
	Num          int32
	First        crdt.Stamp
	Last         int64
	Words        Words
	Started      crdt.Earliest
	Completed    crdt.Register[Number]
	TaskID       crdt.Register[Text]
	GPU          crdt.Register[Flag]
	Total        crdt.Register[Number]
	Whole        Tally          // said of the tier as a whole
	Workers      []*WorkerTally // said by one worker of its own part, by key
	Err, ErrType crdt.Register[Text]
	Errors       []*ErrorState
	Stages       []*StageState

	WorkersTruncated, ErrorsTruncated, StagesTruncated bool
}

// ErrorKey is what makes two errors the same.
type ErrorKey struct{ ErrType, Component, Stage, Message string }

func (k ErrorKey) compare(o ErrorKey) int {
	return cmp.Or(strings.Compare(k.ErrType, o.ErrType), strings.Compare(k.Component, o.Component),
		strings.Compare(k.Stage, o.Stage), strings.Compare(k.Message, o.Message))
}

// ErrorState is one kind of error of a tier attempt, counted.
type ErrorState struct {
	Key        ErrorKey
	Affected   int64          // said of the tier as a whole
	Workers    []*ErrorWorker // by key
	Docs       []string       // ascending
	Suggestion crdt.Register[Text]
}

// StageKey names a stage as one worker measures it.
type StageKey struct{ Stage, Component, Worker string }

func (k StageKey) compare(o StageKey) int {
	return cmp.Or(strings.Compare(k.Stage, o.Stage), strings.Compare(k.Component, o.Component),
		strings.Compare(k.Worker, o.Worker))
}

// StageState is what one worker measured of a stage, cumulative.
type StageState struct {
	Key     StageKey
	Count   crdt.Counter
	Least   int64 // the smallest positive count ever said, 0 if none
	Unit    crdt.Register[Text]
	TotalMS float64
	MaxMS   float64
	Buckets []event.Bucket // ascending by upper bound
}

// What a job waits for counts only while its status is the one of the event that said so.
const (
	WaitingPending = iota
	WaitingRunning
	WaitingKinds
)

// JobKey is what makes two words be of the same job; what an event doesn't say of it is empty.
type JobKey struct{ ID, Cluster, Run string }

func (k JobKey) compare(o JobKey) int {
	return cmp.Or(strings.Compare(k.ID, o.ID), strings.Compare(k.Cluster, o.Cluster), strings.Compare(k.Run, o.Run))
}

// Job is what was said of one Ray job under one key. Words that name the cluster or the run and words that don't are kept
// apart here: which life they belong to is derived.
type Job struct {
	JobKey
	Tier               crdt.Register[Number]
	Attempt            int32 // the greatest said, 0 if none
	First              crdt.Stamp
	Last               int64
	LastStored         int64 // when the latest stored of its events was stored
	Words              Words
	Submitted, Started crdt.Earliest
	SubmittedLatest    int64 // the greatest submitted_at given
	Ended              crdt.Register[Number]
	JobID, Extractor   crdt.Register[Text]
	Collections        crdt.Register[JSON]
	Message, ErrType   crdt.Register[Text]
	ExitCode           crdt.Register[Number]
	URL                crdt.Register[Text]
	Resources, Params  crdt.Register[JSON]
	Session            crdt.Register[Text]
	Total              crdt.Register[Number]
	Processed          crdt.Counter
	Series             crdt.Series
	Waiting            [WaitingKinds]crdt.Register[Waiting]
	Phases             [WaitingKinds]Phases // what it waited for before
}

// Collection is one collection of documents.
type Collection struct {
	ID       string
	Name     crdt.Register[Text]
	Tier     crdt.Register[Number]
	Docs     crdt.Register[Number]
	Expected crdt.Register[Number]
}

// Announcement is what was announced under an ordinal.
type Announcement struct {
	Ordinal int64
	Said    crdt.Register[Announced]
}

// NewView returns the view of a batch of which nothing was heard.
func NewView(namespace, batch string) *View { return &View{Namespace: namespace, Batch: batch} }

// LastAnnounced is the health that was announced last, and the ordinal of the next announcement.
func (s *State) LastAnnounced() (event.Health, int64) {
	if n := len(s.Announcements); n > 0 {
		last := s.Announcements[n-1]
		return last.Said.V.To, last.Ordinal + 1
	}
	return event.HealthOK, 0
}
