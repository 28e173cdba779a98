package eventlog

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/nats-io/nats.go/jetstream"
)

// BatchOptions select the messages of one batch, from From to To inclusive.
type BatchOptions struct {
	Partition        int
	Namespace, Batch string
	From, To         uint64
	Identity         string // under which these sequences were read
}

var errReadAll = errors.New("all is read")

// ReadBatch passes every message of one batch that the log still has to sink, in order, each once, and returns after the
// last of them. Errors: those of Read.
func (l *Log) ReadBatch(ctx context.Context, o BatchOptions, sink func(Message) error) error {
	subject := l.subjectOf(o.Partition, o.Namespace, o.Batch) + ">"
	s, err := l.js.Stream(ctx, EventsStream)
	if err != nil {
		return fmt.Errorf("eventlog: read batch: %w", err)
	}
	last, err := s.GetLastMsgForSubject(ctx, subject)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("eventlog: read batch: %w", err)
	}
	if last.Sequence < o.From || o.To < o.From {
		return nil
	}
	err = l.Read(ctx, ReadOptions{From: o.From, Partition: o.Partition, Identity: o.Identity, subject: subject, short: true}, func(m Message) error {
		if m.Seq <= o.To {
			if err := sink(m); err != nil {
				return err
			}
		}
		// The server's count of pending messages lags, so reading ends at the sequence that was last when it began.
		if m.Seq >= min(o.To, last.Sequence) {
			return errReadAll
		}
		return nil
	})
	if errors.Is(err, errReadAll) {
		return nil
	}
	return err
}

// LastOfBatch is the last message of a batch that the log has; found is false if it has none. Errors: the server's.
func (l *Log) LastOfBatch(ctx context.Context, namespace, batch string) (m Message, found bool, err error) {
	return l.lastOfBatch(ctx, namespace, batch, ">")
}

// LastAnnounced is the last announcement of a batch that the log has; found is false if it has none. Errors: the server's.
func (l *Log) LastAnnounced(ctx context.Context, namespace, batch string) (m Message, found bool, err error) {
	return l.lastOfBatch(ctx, namespace, batch, "health")
}

func (l *Log) lastOfBatch(ctx context.Context, namespace, batch, kind string) (m Message, found bool, err error) {
	m, found, err = l.leaderLast(ctx, EventsStream, l.subjectOf(l.Partition(namespace, batch), namespace, batch)+kind)
	if err != nil {
		err = fmt.Errorf("eventlog: last of batch: %w", err)
	}
	return m, found, err
}

// subjectOf is how the subjects of a batch's messages begin.
func (l *Log) subjectOf(partition int, namespace, batch string) string {
	return logPrefix + strconv.Itoa(partition) + "." + namespace + "." + batch + "."
}
