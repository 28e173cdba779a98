package eventlog

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sync/semaphore"
)

// Log is the event log.
type Log struct {
	js         jetstream.JetStream
	partitions int
	streams    streams
	front      *semaphore.Weighted // of erasures: one at a time removes from the log
}

// MinServer is the oldest version of nats-server with all that the log needs, such as subject transforms of streams.
const MinServer = "2.10"

// Supported reports whether a version of nats-server is at least MinServer.
func Supported(version string) bool {
	var major, minor int
	n, _ := fmt.Sscanf(strings.TrimPrefix(version, "v"), "%d.%d", &major, &minor)
	return n == 2 && (major > 2 || major == 2 && minor >= 10)
}

// Open provisions the streams. With Config.Partitions 0 it uses the number of partitions of the existing stream.
// Errors: ErrServerTooOld, those of Provision.
func Open(ctx context.Context, nc *nats.Conn, c Config) (*Log, error) {
	if v := nc.ConnectedServerVersion(); v != "" && !Supported(v) {
		return nil, fmt.Errorf("eventlog: %w: version %s, need %s or later", ErrServerTooOld, v, MinServer)
	}
	js, err := jetstream.New(nc, jetstream.WithPublishAsyncMaxPending(4096))
	if err != nil {
		return nil, fmt.Errorf("eventlog: %w", err)
	}
	if c.Partitions == 0 {
		if s, err := ask(ctx, js, EventsStream); err == nil {
			c.Partitions = partitionsOf(s.CachedInfo().Config)
		}
	}
	c = c.withDefaults()
	if err := Provision(ctx, js, c); err != nil {
		return nil, err
	}
	return &Log{js: js, partitions: c.Partitions, front: semaphore.NewWeighted(1), streams: streams{log: c.Logger, want: c.all(), first: c.First}}, nil
}

// bounded limits ctx for one operation on the server.
func bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, waitLimit)
}

// Partitions is how many partitions the log has.
func (l *Log) Partitions() int { return l.partitions }

// Partition is the partition of a batch.
func (l *Log) Partition(namespace, batch string) int {
	return Partition(namespace, batch, l.partitions)
}

// Info is the state of the stream at a moment.
type Info struct {
	Identity    string
	Born        uint64    // the first sequence that the stream ever had
	First, Last uint64    // sequences; First is Last + 1 where the stream is empty
	Deleted     int       // messages that are gone between the first and the last
	GoneBefore  time.Time // events stored before this moment are gone; zero if none are
	Now         time.Time // the server's time of the answer
}

// Info asks the stream for its identity and its end.
func (l *Log) Info(ctx context.Context) (Info, error) { return l.info(ctx, EventsStream) }

func (l *Log) info(ctx context.Context, stream string) (Info, error) {
	ctx, cancel := bounded(ctx)
	defer cancel()
	s, err := l.js.Stream(ctx, stream)
	if err != nil {
		return Info{}, fmt.Errorf("eventlog: info: %w", err)
	}
	i := s.CachedInfo()
	if n := partitionsOf(i.Config); stream == EventsStream && n != l.partitions {
		return Info{}, fmt.Errorf("eventlog: info: %w: partitions is %d, want %d", ErrMismatch, n, l.partitions)
	}
	first := i.State.FirstSeq
	if i.State.Msgs == 0 {
		first = i.State.LastSeq + 1 // the server reports 0 for a stream that never had any
	}
	born := max(1, i.Config.FirstSeq)
	var gone time.Time
	if first > born {
		if gone = i.State.FirstTime; i.State.Msgs == 0 {
			gone = i.TimeStamp // an empty stream has no first time
		}
	}
	return Info{
		Identity: identity(i.Created, incarnation(i.Config)),
		Born:     born, First: first, Last: i.State.LastSeq, Deleted: i.State.NumDeleted, GoneBefore: gone, Now: i.TimeStamp,
	}, nil
}

func identity(created time.Time, incarnation int) string {
	return strconv.FormatInt(created.UnixNano(), 36) + "_" + strconv.Itoa(incarnation)
}

func incarnation(c jetstream.StreamConfig) int {
	n, _ := strconv.Atoi(c.Metadata[incarnationKey])
	return n
}

// LastSeq is the sequence of the last message of a partition that the stream still has, or of all
// partitions for −1; 0 if there is none.
func (l *Log) LastSeq(ctx context.Context, partition int) (uint64, error) {
	ctx, cancel := bounded(ctx)
	defer cancel()
	s, err := l.js.Stream(ctx, EventsStream)
	if err != nil {
		return 0, fmt.Errorf("eventlog: last sequence: %w", err)
	}
	m, err := s.GetLastMsgForSubject(ctx, filter(partition))
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("eventlog: last sequence: %w", err)
	}
	return m.Sequence, nil
}

func filter(partition int) string {
	if partition < 0 {
		return logPrefix + ">"
	}
	return logPrefix + strconv.Itoa(partition) + ".>"
}

// StoredAt is when the stream stored the message with a sequence; found is false if it has no such message.
func (l *Log) StoredAt(ctx context.Context, seq uint64) (t time.Time, found bool, err error) {
	return l.storedAt(ctx, EventsStream, seq)
}

func (l *Log) storedAt(ctx context.Context, stream string, seq uint64) (t time.Time, found bool, err error) {
	ctx, cancel := bounded(ctx)
	defer cancel()
	s, err := l.js.Stream(ctx, stream)
	if err != nil {
		return time.Time{}, false, fmt.Errorf("eventlog: stored at: %w", err)
	}
	m, err := s.GetMsg(ctx, seq)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return time.Time{}, false, nil
	}
	if err != nil {
		return time.Time{}, false, fmt.Errorf("eventlog: stored at: %w", err)
	}
	return m.Time, true, nil
}

// BumpIncarnation gives a stream that lost its end its next identity, and returns the present one. from
// is the identity under which the loss was found. Other processes that find the same loss, at the same time or later,
// get the same result.
func (l *Log) BumpIncarnation(ctx context.Context, from string) (string, error) {
	ctx, cancel := bounded(ctx)
	defer cancel()
	s, err := l.js.Stream(ctx, EventsStream)
	if err != nil {
		return "", fmt.Errorf("eventlog: bump incarnation: %w", err)
	}
	info := s.CachedInfo()
	now := identity(info.Created, incarnation(info.Config))
	if now != from {
		return now, nil
	}
	_, n, _ := strings.Cut(from, "_")
	old, _ := strconv.Atoi(n)
	c := info.Config
	metadata := map[string]string{incarnationKey: strconv.Itoa(old + 1)}
	for k, v := range c.Metadata {
		if k != incarnationKey && !strings.HasPrefix(k, "_nats.") {
			metadata[k] = v
		}
	}
	c.Metadata = metadata
	if _, err := l.js.UpdateStream(ctx, c); err != nil {
		return "", fmt.Errorf("eventlog: bump incarnation: %w", err)
	}
	return identity(info.Created, old+1), nil
}
