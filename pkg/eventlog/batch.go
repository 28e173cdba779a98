package eventlog

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

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

// leaderLast asks a stream's leader for the last message on a subject, without its headers. The client's own method would ask any
// replica, and one that lags would hide the newest message.
func (l *Log) leaderLast(ctx context.Context, stream, subject string) (m Message, found bool, err error) {
	ctx, cancel := bounded(ctx)
	defer cancel()
	question, err := json.Marshal(map[string]string{"last_by_subj": subject})
	if err != nil {
		return m, false, err
	}
	reply, err := l.js.Conn().RequestWithContext(ctx, "$JS.API.STREAM.MSG.GET."+stream, question)
	if err != nil {
		return m, false, refusal(err)
	}
	var answer struct {
		Message struct {
			Subject string    `json:"subject"`
			Seq     uint64    `json:"seq"`
			Data    []byte    `json:"data"`
			Time    time.Time `json:"time"`
		} `json:"message"`
		Error *jetstream.APIError `json:"error"`
	}
	if err := json.Unmarshal(reply.Data, &answer); err != nil {
		return m, false, err
	}
	if e := answer.Error; e != nil {
		if e.ErrorCode == jetstream.JSErrCodeMessageNotFound {
			return m, false, nil
		}
		return m, false, e
	}
	a := answer.Message
	return Message{Seq: a.Seq, Stored: a.Time, Partition: partitionOf(a.Subject), Subject: a.Subject, Data: a.Data}, true, nil
}
