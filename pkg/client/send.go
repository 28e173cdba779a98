package client

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/cenkalti/backoff/v4"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/headwayhq/headway/pkg/diagnostics"
)

// Errors that a retry can't fix. They are wrapped with the subject and the server's message.
var (
	// ErrRejected: the server will never accept this message. Its subject isn't
	// headway.events.<namespace>.<batch>.<kind…>, it is too large, or the connection has no permission to publish it.
	ErrRejected = errors.New("rejected")
	// ErrNoStream: the server was reached, but it has no stream for Headway's events.
	ErrNoStream = errors.New("no stream takes events: Headway has not been started on this NATS server, or account")
)

const (
	// tryLimit bounds the wait for one acknowledgement.
	tryLimit = 5 * time.Second
	// noStreamLimit is the default of Options.NoStream.
	noStreamLimit = 15 * time.Second
)

// natsLog delivers events to JetStream.
type natsLog struct {
	js jetstream.JetStream
	o  Options
}

// deliver retries until the event is acknowledged. An error that a retry can't fix is returned at once. No message id is
// set: equal events count once however often and however late they are stored, while an id that anyone
// used shortly before, on any subject, would make the server acknowledge the event without storing it.
func (c *natsLog) deliver(ctx context.Context, m *nats.Msg) (seq uint64, err error) {
	if why := misshapen(m.Subject); why != "" {
		return 0, fmt.Errorf("client: publish %q: %w: the subject %s", m.Subject, ErrRejected, why)
	}
	retry := backoff.NewExponentialBackOff(backoff.WithInitialInterval(50*time.Millisecond),
		backoff.WithMaxInterval(2*time.Second), backoff.WithMaxElapsedTime(c.o.MaxElapsed))
	var last error
	var noStreamSince time.Time
	err = backoff.Retry(func() error {
		try, cancel := context.WithTimeout(ctx, tryLimit)
		defer cancel()
		ack, err := c.js.PublishMsg(try, m)
		switch {
		case err == nil:
			seq = ack.Sequence
			return nil
		case ctx.Err() != nil:
			return backoff.Permanent(ctx.Err())
		case !errors.Is(err, jetstream.ErrNoStreamResponse):
			noStreamSince = time.Time{}
			err = c.judge(m.Subject, err)
		case noStreamSince.IsZero():
			noStreamSince = time.Now()
			err = ErrNoStream
		case time.Since(noStreamSince) >= c.o.NoStream:
			err = backoff.Permanent(ErrNoStream)
		default:
			err = ErrNoStream
		}
		last = err
		return err
	}, backoff.WithContext(retry, ctx))
	if err == nil {
		return seq, nil
	}
	if last != nil && !errors.Is(err, last) && !errors.Is(last, err) {
		err = fmt.Errorf("%w, after %w", err, last)
	}
	return 0, fmt.Errorf("client: publish %s: %w", m.Subject, err)
}

// judge marks errors as permanent if a retry can't fix them.
func (c *natsLog) judge(subject string, err error) error {
	var said *jetstream.APIError
	switch {
	case errors.As(err, &said) && said.Code >= 400 && said.Code < 500,
		errors.Is(err, nats.ErrMaxPayload), errors.Is(err, nats.ErrBadSubject), errors.Is(err, jetstream.ErrInvalidSubject):
		return backoff.Permanent(fmt.Errorf("%w: %w", ErrRejected, err))
	case errors.Is(err, nats.ErrConnectionClosed):
		return backoff.Permanent(err)
	}
	// A publish without permission gets no answer; the server reports the error on the connection.
	if no := c.js.Conn().LastError(); errors.Is(no, nats.ErrPermissionViolation) && strings.Contains(no.Error(), `"`+subject+`"`) {
		return backoff.Permanent(fmt.Errorf("%w: %w", ErrRejected, no))
	}
	return err
}

// misshapen returns why the stream doesn't accept the subject, or "". It doesn't check that the kind is known: ingest
// does that, so that an older client can send kinds that only a newer Headway knows.
func misshapen(subject string) string {
	rest, ours := strings.CutPrefix(subject, "headway.events.")
	if !ours {
		return "isn't headway.events.<namespace>.<batch>.<kind>"
	}
	parts := strings.Split(rest, ".")
	switch {
	case len(parts) < 3:
		return "isn't headway.events.<namespace>.<batch>.<kind>"
	case !diagnostics.ValidNamespace(parts[0]):
		return "has a namespace that is not one: 1 to 128 letters, digits, _ and -"
	case !diagnostics.ValidID(parts[1]):
		return "has a batch that is not an id: letters, digits, _ and -, any other byte as =XX"
	}
	for _, part := range parts[2:] {
		if part == "" || strings.ContainsAny(part, " \t\r\n*>") {
			return "has a kind that is malformed"
		}
	}
	return ""
}
