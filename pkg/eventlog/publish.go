package eventlog

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/headwayhq/headway/internal/seeded"
)

// Publish stores one event and returns its sequence once the stream has acknowledged it. Errors: ErrUnavailable.
func (l *Log) Publish(ctx context.Context, subject string, header nats.Header, data []byte) (uint64, error) {
	ctx, cancel := bounded(ctx)
	defer cancel()
	ack, err := l.js.PublishMsg(ctx, &nats.Msg{Subject: subject, Header: header, Data: data})
	if err != nil {
		return 0, fmt.Errorf("eventlog: publish: %w", refusal(err))
	}
	return ack.Sequence, nil
}

// refusal wraps errors that every event would get as ErrUnavailable.
func refusal(err error) error {
	for _, all := range []error{
		nats.ErrNoResponders, jetstream.ErrNoStreamResponse, nats.ErrConnectionClosed, nats.ErrDisconnected, nats.ErrReconnectBufExceeded,
	} {
		if errors.Is(err, all) {
			return fmt.Errorf("%w: %w", ErrUnavailable, err)
		}
	}
	var api *jetstream.APIError
	if errors.As(err, &api) {
		switch api.ErrorCode {
		case codeInsufficientResources, codeMemoryExceeded, codeStorageExceeded:
			return fmt.Errorf("%w: %w", ErrUnavailable, err)
		case codeStoreFailed:
			if !strings.Contains(api.Description, "per subject") {
				return fmt.Errorf("%w: %w", ErrUnavailable, err)
			}
		}
	}
	return err
}

// The server's codes for storage that is full, or a limit of the stream that is reached.
const (
	codeInsufficientResources jetstream.ErrorCode = 10023
	codeMemoryExceeded        jetstream.ErrorCode = 10028
	codeStorageExceeded       jetstream.ErrorCode = 10047
	codeStoreFailed           jetstream.ErrorCode = 10077
)

func isTimeout(err error) bool {
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, nats.ErrTimeout)
}

// WrongLastError: the batch's last announcement isn't the one expected.
type WrongLastError struct{ Last uint64 }

func (e WrongLastError) Error() string {
	return fmt.Sprintf("the last announcement is %d", e.Last)
}

// Structured returns the header of a message that is a whole CloudEvent. CloudEvents names it in lower case, and names of NATS
// headers are case-sensitive.
func Structured() nats.Header { return nats.Header{"content-type": {"application/cloudevents+json"}} }

// PublishHealth stores an announcement if the batch's last one is expectLast, the last one that was folded (0 if there is
// none). It sends no message id: if anyone had used the same id on any subject, the server would silently drop it as a
// duplicate (rule 10). Errors: WrongLastError, ErrUnavailable.
func (l *Log) PublishHealth(ctx context.Context, namespace, batch string, expectLast uint64, event []byte) (uint64, error) {
	ctx, cancel := bounded(ctx)
	defer cancel()
	subject := "headway.events." + namespace + "." + batch + ".health"
	stored := fmt.Sprintf("%s%d.%s.%s.health", logPrefix, l.Partition(namespace, batch), namespace, batch)
	if seeded.Bug("announce-without-expectation") {
		return l.Publish(ctx, subject, Structured(), event)
	}
	ack, err := l.js.PublishMsg(ctx, &nats.Msg{Subject: subject, Header: Structured(), Data: event}, jetstream.WithExpectLastSequenceForSubject(expectLast, stored), jetstream.WithRetryAttempts(0))
	if isWrongLast(err) {
		last, err := l.lastOf(ctx, stored)
		if err != nil {
			return 0, err
		}
		if last == 0 && expectLast > 0 {
			// The last announcement isn't in the log any more, and the server says 0 of a subject without messages (rule 27).
			if info, err := l.Info(ctx); err != nil || expectLast < info.First {
				if err != nil {
					return 0, err
				}
				return l.PublishHealth(ctx, namespace, batch, 0, event)
			}
		}
		return 0, fmt.Errorf("eventlog: announce: %w", WrongLastError{last})
	}
	if err != nil {
		return 0, fmt.Errorf("eventlog: announce: %w", refusal(err))
	}
	return ack.Sequence, nil
}

func isWrongLast(err error) bool {
	var api *jetstream.APIError
	return errors.As(err, &api) && (api.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequence || api.ErrorCode == codeWrongLastConstant)
}

// codeWrongLastConstant is the server's code for the same refusal by replicated streams.
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
