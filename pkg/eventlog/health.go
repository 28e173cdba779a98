package eventlog

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

const healthPrefix = "headway.health."

// HealthOptions select messages of the stream of health changes. Their subjects are headway.health.<namespace>.<batch>.
type HealthOptions struct {
	Namespace string    // "": all
	From      uint64    // first sequence wanted, at least 1; not with Since
	Since     time.Time // messages stored at this moment or later
	Identity  string    // of the stream, as HealthInfo said
	AtOnce    int       // about how many are wanted; default: as many as fit into memory
}

func (o HealthOptions) read() ReadOptions {
	subject := healthPrefix + ">"
	if o.Namespace != "" {
		subject = healthPrefix + o.Namespace + ".>"
	}
	return ReadOptions{From: o.From, Identity: o.Identity, subject: subject, stream: HealthStream, since: o.Since, atOnce: min(o.AtOnce, prefetch)}
}

// HealthInfo is like Info, of the stream of health changes.
func (l *Log) HealthInfo(ctx context.Context) (Info, error) { return l.info(ctx, HealthStream) }

// FollowHealth is like Read, of the stream of health changes.
func (l *Log) FollowHealth(ctx context.Context, o HealthOptions, sink func(Message) error) error {
	return l.Read(ctx, o.read(), sink)
}

// ReadHealth passes the stored changes to sink and returns after the last of them, or when sink doesn't want more.
// Errors: those of Read.
func (l *Log) ReadHealth(ctx context.Context, o HealthOptions, sink func(Message) (more bool)) error {
	read := o.read()
	last, stored, err := l.last(ctx, HealthStream, read.subject)
	if err != nil || last < o.From || last == 0 || stored.Before(o.Since) {
		return err
	}
	read.short = true
	err = l.Read(ctx, read, func(m Message) error {
		if !sink(m) || m.Seq >= last {
			return errReadAll
		}
		return nil
	})
	if errors.Is(err, errReadAll) {
		return nil
	}
	return err
}

// last asks a stream's leader for the last message on a subject; 0 if there is none. The client's own method would ask any
// replica, and one that lags would hide the newest messages.
func (l *Log) last(ctx context.Context, stream, subject string) (seq uint64, stored time.Time, err error) {
	return l.ask(ctx, stream, map[string]any{"last_by_subj": subject})
}

// ask asks a stream's leader for a message; 0 if there is none.
func (l *Log) ask(ctx context.Context, stream string, wanted map[string]any) (seq uint64, stored time.Time, err error) {
	ctx, cancel := bounded(ctx)
	defer cancel()
	question, err := json.Marshal(wanted)
	if err != nil {
		return 0, stored, fmt.Errorf("eventlog: ask %s for a message: %w", stream, err)
	}
	reply, err := l.js.Conn().RequestWithContext(ctx, "$JS.API.STREAM.MSG.GET."+stream, question)
	if err != nil {
		return 0, stored, fmt.Errorf("eventlog: ask %s for a message: %w", stream, refusal(err))
	}
	var answer struct {
		Message struct {
			Seq  uint64    `json:"seq"`
			Time time.Time `json:"time"`
		} `json:"message"`
		Error *jetstream.APIError `json:"error"`
	}
	if err := json.Unmarshal(reply.Data, &answer); err != nil {
		return 0, stored, fmt.Errorf("eventlog: ask %s for a message: %w", stream, err)
	}
	if e := answer.Error; e != nil && e.ErrorCode != jetstream.JSErrCodeMessageNotFound {
		return 0, stored, fmt.Errorf("eventlog: ask %s for a message: %w", stream, e)
	}
	return answer.Message.Seq, answer.Message.Time, nil
}
