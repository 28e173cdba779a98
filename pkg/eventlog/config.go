package eventlog

import (
	"errors"
	"hash/fnv"
	"log/slog"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// Names of the streams and their subjects.
const (
	EventsStream = "HEADWAY_EVENTS"
	HealthStream = "HEADWAY_HEALTH"
	DeadStream   = "HEADWAY_DLQ"
	// HistoryStream has the last state of each batch, so that the log may be cut.
	HistoryStream = "HEADWAY_HISTORY"

	eventsSubject = "headway.events.*.*.>"
	logPrefix     = "headway.log."
	deadPrefix    = "headway.dlq."

	incarnationKey = "headway-incarnation"
	generationKey  = "headway-generation" // of the history
)

// DefaultPartitions is how many partitions a new log has.
const DefaultPartitions = 32

// waitLimit bounds each wait for an answer of the server.
const waitLimit = 5 * time.Second

// leastDuplicates is the shortest window for duplicate message ids that nats-server accepts. Ids are shared by all
// subjects of a stream, so an event with an id that somebody else has used is acknowledged but not stored.
const leastDuplicates = 100 * time.Millisecond

// MaxPartitions bounds Config.Partitions.
const MaxPartitions = 1024

// Config is how the streams are created. The zero value is a usable default.
type Config struct {
	Partitions int           // default DefaultPartitions; fixed when the stream is created
	Replicas   int           // default 1
	MaxAge     time.Duration // of events; 0 keeps them forever. Views rebuilt from a log that has dropped events are incomplete
	HealthAge  time.Duration // of health changes; 0 keeps them forever
	Memory     bool          // keep the streams in memory
	First      uint64        // the first sequence of a new log or history; default: the present time in µs, so that no sequence occurs twice
	Logger     *slog.Logger  // logs streams that were recreated; default: discarded
}

func (c Config) withDefaults() Config {
	if c.Partitions == 0 {
		c.Partitions = DefaultPartitions
	}
	if c.Replicas == 0 {
		c.Replicas = 1
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}

func (c Config) storage() jetstream.StorageType {
	if c.Memory {
		return jetstream.MemoryStorage
	}
	return jetstream.FileStorage
}

// Errors of this package. They are wrapped with the operation.
var (
	// ErrMismatch: a stream exists with a configuration that Headway can't use; the message names the field.
	ErrMismatch = errors.New("stream exists with another configuration")
	// ErrOverlap: another stream has subjects of ours, so that the server refuses to create it; the message names that stream.
	ErrOverlap = errors.New("another stream has these subjects")
	// ErrServerTooOld: the NATS server is older than MinServer. Nothing was created.
	ErrServerTooOld = errors.New("the NATS server is too old")
	// ErrIdentityChanged: the stream was deleted and recreated, or lost its end. Every position and
	// every answer obtained before is void.
	ErrIdentityChanged = errors.New("stream identity changed")
	// ErrUnavailable: no event at all can be stored now, because no server answers, the stream is gone or the storage is
	// full. A publish error that isn't ErrUnavailable may concern that one event only.
	ErrUnavailable = errors.New("event log takes no events")
	// ErrReaderEnded: the server ended the reader; read again from its position.
	ErrReaderEnded = errors.New("reader ended")
)

// Partition returns the partition of a batch. Like the server's subject transform, it hashes namespace and batch id,
// concatenated, with FNV-1a, and takes the result modulo the number of partitions.
func Partition(namespace, batch string, partitions int) int {
	h := fnv.New32a()
	_, _ = h.Write([]byte(namespace))
	_, _ = h.Write([]byte(batch))
	return int(h.Sum32() % uint32(partitions))
}
