package detector

import (
	"context"

	"github.com/nats-io/nats.go"

	"github.com/headwayhq/headway/pkg/eventlog"
	"github.com/headwayhq/headway/pkg/viewstore"
)

// Log is the event log as the detector needs it.
type Log interface {
	Streams
	Publisher
}

// Streams is the present state of the log.
type Streams interface {
	// EnsureStreams recreates deleted streams. It may be called often.
	EnsureStreams(ctx context.Context) error
	Info(ctx context.Context) (eventlog.Info, error)
}

// Publisher stores events. Errors of both: eventlog.ErrUnavailable.
type Publisher interface {
	Publish(ctx context.Context, subject string, header nats.Header, data []byte) (uint64, error)
	// PublishHealth stores an announcement if the batch's last one is expectLast. Errors: eventlog.WrongLastError.
	PublishHealth(ctx context.Context, namespace, batch string, expectLast uint64, event []byte) (uint64, error)
}

// Store has what is due in the views of one stream identity and fold version.
type Store interface {
	// Serves reports whether this fold version is the one that serves. Only then may its views lead to announcements and
	// settling events: two versions whose verdicts differ would contradict each other without end (rule 17).
	Serves(ctx context.Context) (bool, error)
	// Due reads at most limit entries of each complete partition. Each partition's fence, entries and views are one
	// atomic read; a partition that can't be read has an error of its own.
	Due(ctx context.Context, limit int) ([]viewstore.DuePartition, error)
	// Reschedule moves an entry to a moment in ms (0: none), unless it has changed since it was read.
	Reschedule(ctx context.Context, partition int, entry viewstore.DueView, at int64) error
	RevisionID(revision uint64) string
}

// OnStore is Options.Store on a real view store.
func OnStore(s *viewstore.Store) func(identity string) Store {
	return func(identity string) Store { return s.WithIdentity(identity) }
}
