package eventlog

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Publish stores one event and returns its sequence once the stream has acknowledged it.
func (l *Log) Publish(ctx context.Context, subject string, header nats.Header, data []byte) (uint64, error) {
	ack, err := l.js.PublishMsg(ctx, &nats.Msg{Subject: subject, Header: header, Data: data})
	if err != nil {
		return 0, fmt.Errorf("eventlog: publish: %w", err)
	}
	return ack.Sequence, nil
}

// Outgoing is one event to publish.
type Outgoing struct {
	Subject string
	Header  nats.Header
	Data    []byte
}

// PublishAll stores events side by side and returns once all are acknowledged. On an error any of them
// may be stored: send them again, equal events fold once.
func (l *Log) PublishAll(ctx context.Context, events []Outgoing) error {
	futures := make([]jetstream.PubAckFuture, 0, len(events))
	for _, e := range events {
		f, err := l.js.PublishMsgAsync(&nats.Msg{Subject: e.Subject, Header: e.Header, Data: e.Data})
		if err != nil {
			return fmt.Errorf("eventlog: publish: %w", err)
		}
		futures = append(futures, f)
	}
	for _, f := range futures {
		select {
		case <-f.Ok():
		case err := <-f.Err():
			return fmt.Errorf("eventlog: publish: %w", err)
		case <-ctx.Done():
			return fmt.Errorf("eventlog: publish: %w", ctx.Err())
		}
	}
	return nil
}

// WrongLastError: the batch's last announcement isn't the one expected.
type WrongLastError struct{ Last uint64 }

func (e WrongLastError) Error() string {
	return fmt.Sprintf("the last announcement is %d", e.Last)
}

// PublishHealth stores an announcement if the batch's last one is expectLast, the one that was folded (0:
// none). It carries no message id: an id used by anyone on any subject would make it a silent
// duplicate (rule 10). Errors: WrongLastError.
func (l *Log) PublishHealth(ctx context.Context, namespace, batch string, expectLast uint64, event []byte) (uint64, error) {
	subject := "headway.events." + namespace + "." + batch + ".health"
	stored := fmt.Sprintf("%s%d.%s.%s.health", logPrefix, l.Partition(namespace, batch), namespace, batch)
	ack, err := l.js.PublishMsg(ctx, &nats.Msg{Subject: subject, Data: event}, jetstream.WithExpectLastSequenceForSubject(expectLast, stored), jetstream.WithRetryAttempts(0))
	if isWrongLast(err) {
		last, err := l.lastOf(ctx, stored)
		if err != nil {
			return 0, err
		}
		return 0, fmt.Errorf("eventlog: announce: %w", WrongLastError{last})
	}
	if err != nil {
		return 0, fmt.Errorf("eventlog: announce: %w", err)
	}
	return ack.Sequence, nil
}

func isWrongLast(err error) bool {
	var api *jetstream.APIError
	return errors.As(err, &api) && (api.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequence || api.ErrorCode == codeWrongLastConstant)
}

// codeWrongLastConstant is the server's other code for the same refusal, by replicated streams.
const codeWrongLastConstant = 10164

func (l *Log) lastOf(ctx context.Context, subject string) (uint64, error) {
	s, err := l.js.Stream(ctx, EventsStream)
	if err != nil {
		return 0, fmt.Errorf("eventlog: announce: %w", err)
	}
	m, err := s.GetLastMsgForSubject(ctx, subject)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("eventlog: announce: %w", err)
	}
	return m.Sequence, nil
}
