package ingest

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/headwayhq/headway/pkg/diagnostics"
	"github.com/headwayhq/headway/pkg/eventlog"
	"github.com/headwayhq/headway/pkg/viewstore"
)

// reader reads the event log.
type reader interface {
	Read(ctx context.Context, o eventlog.ReadOptions, sink func(eventlog.Message) error) error
	ReadBatch(ctx context.Context, o eventlog.BatchOptions, sink func(eventlog.Message) error) error
	LastSeq(ctx context.Context, partition int) (uint64, error)
}

// stream is the event log as a whole: its identity, and its first and last sequences.
type stream interface {
	Info(ctx context.Context) (eventlog.Info, error)
	StoredAt(ctx context.Context, seq uint64) (at time.Time, found bool, err error)
	BumpIncarnation(ctx context.Context, from string) (string, error)
	EnsureStreams(ctx context.Context) error
}

// undertaker stores dead letters.
type undertaker interface {
	DeadLetter(ctx context.Context, d eventlog.DeadLetter) error
}

// Log is what ingest needs of the event log.
type Log interface {
	reader
	stream
	undertaker
	archive
	cutter
	Partitions() int
}

// views reads and writes the views of an owned partition.
type views interface {
	Load(ctx context.Context, p int, believed *viewstore.Fence, keys []viewstore.Key) (*viewstore.Fence, []viewstore.Value, error)
	Commit(ctx context.Context, p int, believed, next viewstore.Fence, lease time.Duration, writes []viewstore.Write, marks ...viewstore.Mark) (viewstore.Fence, error)
	Uncovered(ctx context.Context, p int, believed viewstore.Fence) ([]viewstore.Mark, error)
	UncoverAll(ctx context.Context, p int, believed, next viewstore.Fence, lease time.Duration, from uint64) (viewstore.Fence, error)
	Drop(ctx context.Context, p int, believed, next viewstore.Fence, lease time.Duration, keys []viewstore.Key) (viewstore.Fence, error)
	Wipe(ctx context.Context, p int, believed viewstore.Fence) error
	Release(ctx context.Context, p int, believed viewstore.Fence) error
}

// catalogue knows which views exist.
type catalogue interface {
	Verify(ctx context.Context, looks []viewstore.Look) ([]viewstore.Damage, error)
	Page(ctx context.Context, p int, cursor uint64) (keys []viewstore.Key, next uint64, err error)
	Sweep(ctx context.Context, p int, moment func(viewstore.Key, []byte) int64) error
	EachRow(ctx context.Context, p int, do func(k viewstore.Key, row string)) error
}

// mender rebuilds indexes.
type mender interface {
	Recatalogue(ctx context.Context, p int, believed viewstore.Fence) (ok bool, err error)
	Reindex(ctx context.Context, p int, believed viewstore.Fence, d viewstore.Damage) error
	Refill(ctx context.Context, p int, believed, next viewstore.Fence, lease time.Duration, writes []viewstore.Write, marks ...viewstore.Mark) (viewstore.Fence, error)
	Void(ctx context.Context, p int, believed viewstore.Fence) error
}

// store is what a partition needs of the view store.
type store interface {
	views
	catalogue
	mender
}

// policies are the thresholds of health.
type policies interface {
	For(namespace string) diagnostics.Policy
	Hold() time.Duration
	Hash() string
}

// needs is what the partitions of one process share.
type needs struct {
	log      Log
	archive  archive
	cutter   cutter
	rows     Rows // may be nil
	store    store
	policies policies
	router   *router
	slots    chan struct{} // only a partition with a slot folds: under load the queues of the others grow, and so do their batches
	restores chan struct{} // limits how many single batches are read from the log at once
	readers  chan struct{} // limits how many groups are read for at once
	counting chan struct{} // limits how many partitions are counted at once

	lease     time.Duration
	maxBatch  int // events
	budget    *budget
	buffers   *sync.Pool // of *[]byte: the values of one commit
	apartFrom int        // the size of a view in bytes from which on its parts are stored apart

	checkpointEvery time.Duration                        // how long an active batch may stay uncovered
	historyAge      func(namespace string) time.Duration // of finished batches; 0: forever
	redisKeep       func(namespace string) time.Duration // after a batch's end; 0: forever
	archives        *atomic.Bool                         // this version writes checkpoints (rule 32)
	base            bases                                // of past moments

	metrics *metrics
	logger  *slog.Logger
	wg      *sync.WaitGroup

	fold func(*diagnostics.View, *diagnostics.Event) diagnostics.Outcome
	// catchUp reads for partitions that the main reader has passed until it can take over.
	catchUp func(ctx context.Context, queues []*queue)
}
