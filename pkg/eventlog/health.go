package eventlog

import (
	"context"
	"errors"
	"fmt"
	"time"
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
	last, stored, err := l.lastHealth(ctx, read.subject)
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

// lastHealth asks the stream's leader for the last message on a subject; 0 if there is none.
func (l *Log) lastHealth(ctx context.Context, subject string) (seq uint64, stored time.Time, err error) {
	m, _, err := l.leaderLast(ctx, HealthStream, subject)
	if err != nil {
		return 0, stored, fmt.Errorf("eventlog: last change of health: %w", err)
	}
	return m.Seq, m.Stored, nil
}
