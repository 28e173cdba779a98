package view

import (
	"cmp"
	"strings"

	"github.com/headwayhq/headway/pkg/diagnostics/internal/crdt"
	"github.com/headwayhq/headway/pkg/diagnostics/internal/event"
)

// FoldVersion names the rules of the fold and the state encoding. A change of either raises it.
const FoldVersion = 6

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

// State is what a view knows of its batch. Stamps of an entry is the greatest length of source and id together of an event
// about it; see bounds.go.
type State struct {
	First         crdt.Stamp // earliest producer's event
	Last          int64      // time of the latest producer's event
	LastWork      int64      // time of the latest tier, job or stage event
	LastStored    int64      // when the latest stored producer's event was stored
	StatusSaid    bool       // an event other than a settling reported a batch status
	WaitingSaid   bool       // a job event had waiting_on, even null: so a source reports waits
	Settled       crdt.Register[Status]
	Name          crdt.Measured[Text]
	Pipeline      crdt.Measured[Text]
	Owner         crdt.Measured[Text]
	Labels        crdt.Measured[JSON]
	RetryOf       crdt.Measured[Text]
	BucketID      crdt.Measured[Text]
	TotalTiers    crdt.Register[Number]
	TotalObj      crdt.Register[Number]
	Created       crdt.Earliest
	Attempts      []*BatchAttempt // ascending
	Tiers         []*Tier         // ascending
	Jobs          []*Job          // by submission id, cluster and run
	Collections   []*Collection   // by id
	Announcements []*Announcement // by ordinal, ascending
	Sources       []*SourceClock  // by name
	Proofs        []*Proof        // by job, kind and process
	Refused       Refused

	// Erased is the earliest time of an event that erased the batch, in nanoseconds; 0: it wasn't erased. Otherwise nothing else is
	// known of it.
	Erased int64

	AttemptsFloor, AnnouncementsFloor int64 // nothing below is kept
	TiersCut                          crdt.Cut[crdt.Number]
	JobsCut                           crdt.Cut[JobKey]
	ProofsCut                         crdt.Cut[ProofKey]
	CollectionsCut, SourcesCut        crdt.Cut[crdt.Name]

	tracked *tracked // which parts changed; nil if nobody asks
	room    room
	fresh   int // so many tiers may begin to have workers, errors or stages before it is weighed again
}

// BatchAttempt is what was reported of one attempt of the batch.
type BatchAttempt struct {
	Num                int32
	Stamps             int32
	First              crdt.Stamp
	Last               int64
	Words              Words
	Submitted, Started crdt.Earliest
	Completed          crdt.Register[Number]
	Err, ErrType       crdt.Measured[Text]
}

// Tier is one tier: what was planned for it, and its attempts.
type Tier struct {
	Num           int32
	Stamps        int32
	LastStored    int64 // when the latest stored of its own events, of status, progress or stages, was stored
	PlanGPU       crdt.Register[Flag]
	PlanTotal     crdt.Register[Number]
	Attempts      []*TierAttempt // ascending
	AttemptsFloor int64          // nothing below is kept
	WorkersCut    crdt.Cut[Place[crdt.Name]]
	ErrorsCut     crdt.Cut[Place[ErrorKey]]
	StagesCut     crdt.Cut[Place[StageKey]]
	CoarseBelow   int64 // series of workers have two points in attempts below

	room    room // of its attempts
	derived any  // see Derived
}

// TierAttempt is what was reported of one attempt of a tier.
type TierAttempt struct {
	Num          int32
	Stamps       int32
	First        crdt.Stamp
	Last         int64
	Words        Words
	Started      crdt.Earliest
	Completed    crdt.Register[Number]
	TaskID       crdt.Measured[Text]
	GPU          crdt.Register[Flag]
	Total        crdt.Register[Number]
	Whole        Tally          // reported for the tier as a whole
	Workers      []*WorkerTally // reported by workers for their own parts, by key
	Err, ErrType crdt.Measured[Text]
	Errors       []*ErrorState
	Stages       []*StageState
}

// ErrorKey is what makes two errors the same.
type ErrorKey struct{ ErrType, Component, Stage, Message string }

// Compare orders the keys of errors.
func (k ErrorKey) Compare(o ErrorKey) int {
	return cmp.Or(strings.Compare(k.ErrType, o.ErrType), strings.Compare(k.Component, o.Component),
		strings.Compare(k.Stage, o.Stage), strings.Compare(k.Message, o.Message))
}

// Short shortens the key, without a change of order.
func (k ErrorKey) Short() ErrorKey {
	crdt.ShortenNames(&k.ErrType, &k.Component, &k.Stage, &k.Message)
	return k
}

func (k ErrorKey) length() int {
	return len(k.ErrType) + len(k.Component) + len(k.Stage) + len(k.Message)
}

// ErrorState is one kind of error of a tier attempt, counted.
type ErrorState struct {
	Key         ErrorKey
	Stamps      int32
	Affected    int64          // reported for the tier as a whole
	Workers     []*ErrorWorker // by key
	WorkersCut  crdt.Cut[crdt.Name]
	WorkersMost int32    // the longest key of a worker
	Docs        []string // ascending
	DocsMost    int32    // the longest id of a document
	Suggestion  crdt.Measured[Text]
}

// StageKey names a stage as one worker measures it.
type StageKey struct{ Stage, Component, Worker string }

// Compare orders the keys of stages.
func (k StageKey) Compare(o StageKey) int {
	return cmp.Or(strings.Compare(k.Stage, o.Stage), strings.Compare(k.Component, o.Component),
		strings.Compare(k.Worker, o.Worker))
}

// Short shortens the key, without a change of order.
func (k StageKey) Short() StageKey {
	crdt.ShortenNames(&k.Stage, &k.Component, &k.Worker)
	return k
}

// StageState is what one worker measured of a stage, cumulative.
type StageState struct {
	Key     StageKey
	Stamps  int32
	Count   crdt.Counter
	Least   int64 // the smallest positive count ever reported, 0 if none
	Unit    crdt.Measured[Text]
	TotalMS float64
	MaxMS   float64
	Buckets []event.Bucket // ascending by upper bound
}

// What a job waits for counts only while the job has the status of the event that reported it.
const (
	WaitingPending = iota
	WaitingRunning
	WaitingKinds
)

// JobKey identifies a job. Parts that an event doesn't name are empty.
type JobKey struct{ ID, Cluster, Run string }

// Compare orders the keys of jobs.
func (k JobKey) Compare(o JobKey) int {
	return cmp.Or(strings.Compare(k.ID, o.ID), strings.Compare(k.Cluster, o.Cluster), strings.Compare(k.Run, o.Run))
}

// Short shortens the key, without a change of order.
func (k JobKey) Short() JobKey {
	crdt.ShortenNames(&k.ID, &k.Cluster, &k.Run)
	return k
}

// Job is what was said of one Ray job under one key. Words that name the cluster or the run and words that don't are kept
// apart here: which life they belong to is derived.
type Job struct {
	JobKey
	Stamps             int32
	Tier               crdt.Register[Number]
	Attempt            int32 // the greatest reported, 0 if none
	First              crdt.Stamp
	Last               int64
	LastStored         int64 // when the latest stored of its events was stored
	Words              Words
	Submitted, Started crdt.Earliest
	SubmittedLatest    int64 // the greatest submitted_at given
	Ended              crdt.Register[Number]
	JobID, Extractor   crdt.Measured[Text]
	Collections        crdt.Measured[JSON]
	Message, ErrType   crdt.Measured[Text]
	ExitCode           crdt.Register[Number]
	URL                crdt.Measured[Text]
	Resources, Params  crdt.Measured[JSON]
	Session            crdt.Measured[Text]
	Total              crdt.Register[Number]
	Processed          crdt.Counter
	Series             crdt.Series
	Waiting            [WaitingKinds]crdt.Measured[Waiting]
	Phases             [WaitingKinds]Phases // what it waited for before
}

// Collection is one collection of documents.
type Collection struct {
	ID       string
	Stamps   int32
	Name     crdt.Measured[Text]
	Tier     crdt.Register[Number]
	Docs     crdt.Register[Number]
	Expected crdt.Register[Number]
}

// Announcement is what was announced under an ordinal.
type Announcement struct {
	Ordinal int64
	Stamps  int32
	Said    crdt.Measured[Announced]
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
