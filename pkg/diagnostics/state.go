package diagnostics

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
	maxSeriesPoints  = 128
)

// FoldVersion names the rules of the fold and the state encoding. A change of either raises it.
const FoldVersion = 2

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
	Batch     string

	state state
}

// state is what a view knows of its batch.
type state struct {
	first       crdt.Stamp // earliest producer's event
	last        int64      // time of the latest producer's event
	lastWork    int64      // time of the latest tier, job or stage event
	statusSaid  bool       // an event, not a settling, said a batch status
	settled     crdt.Register[word]
	name        crdt.Register[text]
	pipeline    crdt.Register[text]
	owner       crdt.Register[text]
	labels      crdt.Register[jsonText]
	retryOf     crdt.Register[text]
	bucketID    crdt.Register[text]
	totalTiers  crdt.Register[num]
	totalObj    crdt.Register[num]
	created     crdt.Earliest
	attempts    []*batchAttempt // ascending
	tiers       []*tier         // ascending
	jobs        []*job          // by submission id
	collections []*collection   // by id
	announced   []*announcement // by ordinal, ascending

	jobsTruncated, collectionsTruncated bool
}

type batchAttempt struct {
	num                int32
	first              crdt.Stamp
	last               int64
	words              words
	submitted, started crdt.Earliest
	completed          crdt.Register[num]
	err, errType       crdt.Register[text]
}

type tier struct {
	num       int32
	planGPU   crdt.Register[flag]
	planTotal crdt.Register[num]
	attempts  []*tierAttempt // ascending
}

type tierAttempt struct {
	num          int32
	first        crdt.Stamp
	last         int64
	words        words
	started      crdt.Earliest
	completed    crdt.Register[num]
	taskID       crdt.Register[text]
	gpu          crdt.Register[flag]
	total        crdt.Register[num]
	whole        tally          // said of the tier as a whole
	workers      []*workerTally // said by one worker of its own part, by key
	err, errType crdt.Register[text]
	errors       []*errorState
	stages       []*stageState

	workersTruncated, errorsTruncated, stagesTruncated bool
}

type errorKey struct{ errType, component, stage, message string }

func (k errorKey) compare(o errorKey) int {
	return cmp.Or(strings.Compare(k.errType, o.errType), strings.Compare(k.component, o.component),
		strings.Compare(k.stage, o.stage), strings.Compare(k.message, o.message))
}

type errorState struct {
	key        errorKey
	affected   int64          // said of the tier as a whole
	workers    []*errorWorker // by key
	docs       []string       // ascending
	suggestion crdt.Register[text]
}

type stageKey struct{ stage, component, worker string }

func (k stageKey) compare(o stageKey) int {
	return cmp.Or(strings.Compare(k.stage, o.stage), strings.Compare(k.component, o.component),
		strings.Compare(k.worker, o.worker))
}

type stageState struct {
	key     stageKey
	count   crdt.Counter
	totalMS float64
	maxMS   float64
	buckets []event.Bucket // ascending by upper bound
}

// What a job waits for counts only while its status is the one of the event that said so.
const (
	waitingPending = iota
	waitingRunning
	waitingCount
)

type job struct {
	id                 string
	tier               crdt.Register[num]
	attempt            int32 // the greatest said, 0 if none
	first              crdt.Stamp
	last               int64
	words              words
	submitted, started crdt.Earliest
	ended              crdt.Register[num]
	jobID, extractor   crdt.Register[text]
	collections        crdt.Register[jsonText]
	message, errType   crdt.Register[text]
	exitCode           crdt.Register[num]
	url                crdt.Register[text]
	resources, params  crdt.Register[jsonText]
	cluster, session   crdt.Register[text]
	total              crdt.Register[num]
	processed          crdt.Counter
	series             crdt.Series
	waiting            [waitingCount]crdt.Register[waiting]
}

type collection struct {
	id       string
	name     crdt.Register[text]
	tier     crdt.Register[num]
	docs     crdt.Register[num]
	expected crdt.Register[num]
}

type announcement struct {
	ordinal int64
	said    crdt.Register[announced]
}

// NewView returns the view of a batch of which nothing was heard.
func NewView(namespace, batch string) *View { return &View{Namespace: namespace, Batch: batch} }

// lastAnnounced is the health that was announced last, and the ordinal of the next announcement.
func (s *state) lastAnnounced() (event.Health, int64) {
	if n := len(s.announced); n > 0 {
		last := s.announced[n-1]
		return last.said.V.to, last.ordinal + 1
	}
	return event.HealthOK, 0
}
