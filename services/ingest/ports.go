package ingest

import (
	"context"
	"log/slog"
	"sync"
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

// stream is the event log as a whole: which one it is, and from where to where it goes.
type stream interface {
	Info(ctx context.Context) (eventlog.Info, error)
	StoredAt(ctx context.Context, seq uint64) (at time.Time, found bool, err error)
	BumpIncarnation(ctx context.Context, from string) (string, error)
	EnsureStreams(ctx context.Context) error
}

// undertaker keeps events that can't be understood.
type undertaker interface {
	DeadLetter(ctx context.Context, d eventlog.DeadLetter) error
}

// Log is what ingest needs of the event log.
type Log interface {
	reader
	stream
	undertaker
	Partitions() int
}

// views are read and written by the owner of their partition.
type views interface {
	Load(ctx context.Context, p int, believed *viewstore.Fence, keys []viewstore.Key) (*viewstore.Fence, []viewstore.Value, error)
	Commit(ctx context.Context, p int, believed, next viewstore.Fence, lease time.Duration, writes []viewstore.Write) (viewstore.Fence, error)
	Release(ctx context.Context, p int, believed viewstore.Fence) error
}

// catalogue tells which views there are.
type catalogue interface {
	Verify(ctx context.Context, looks []viewstore.Look) ([]viewstore.Damage, error)
	Page(ctx context.Context, p int, cursor uint64) (keys []viewstore.Key, next uint64, err error)
	Sweep(ctx context.Context, p int, moment func(viewstore.Key, []byte) int64) error
}

// mender makes indexes anew.
type mender interface {
	Recatalogue(ctx context.Context, p int, believed viewstore.Fence) (ok bool, err error)
	Reindex(ctx context.Context, p int, believed viewstore.Fence, d viewstore.Damage) error
	Refill(ctx context.Context, p int, believed, next viewstore.Fence, lease time.Duration, writes []viewstore.Write) (viewstore.Fence, error)
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
	store    store
	policies policies
	router   *router
	slots    chan struct{} // who holds one folds: under load the others' queues grow, and so do their batches
	restores chan struct{} // who holds one reads a single batch from the log

	lease     time.Duration
	maxBatch  int // events
	cacheSize int // bytes

	metrics *metrics
	logger  *slog.Logger
	wg      *sync.WaitGroup

	fold func(*diagnostics.View, *diagnostics.Event) diagnostics.Outcome
	// catchUp reads a partition by itself until the main reader can take over.
	catchUp func(ctx context.Context, p *partition)
}
