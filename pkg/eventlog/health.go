package eventlog

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

const (
	healthPrefix = "headway.health."
	headerSource = "Nats-Stream-Source" // of a copied message, by the server: its stream, its sequence there, and more
)

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

// ReadAnnounced passes the announcements of a batch up to a sequence of the log to sink, oldest first, also those that are gone from the
// log: each as the log had it, but stored when it was copied. Errors: those of Read.
func (l *Log) ReadAnnounced(ctx context.Context, namespace, batch string, upTo uint64, sink func(Message) error) error {
	subject := healthPrefix + namespace + "." + batch
	info, err := l.HealthInfo(ctx)
	if err != nil {
		return err
	}
	last, _, err := l.lastHealth(ctx, subject)
	if err != nil || last == 0 {
		return err
	}
	p := l.Partition(namespace, batch)
	err = l.Read(ctx, ReadOptions{From: 1, Identity: info.Identity, subject: subject, stream: HealthStream, short: true}, func(m Message) error {
		at := m.Seq
		m.Seq, m.Partition, m.Subject = sourceOf(m), p, l.subjectOf(p, namespace, batch)+"health"
		if m.Seq > 0 && m.Seq <= upTo {
			if err := sink(m); err != nil {
				return err
			}
		}
		if at >= last || m.Seq > upTo {
			return errReadAll
		}
		return nil
	})
	if errors.Is(err, errReadAll) {
		return nil
	}
	return err
}

// sourceOf is the sequence that a copied message has in the log; 0 if it doesn't say.
func sourceOf(m Message) uint64 {
	fields := strings.Fields(m.Header.Get(headerSource))
	if len(fields) < 2 || fields[0] != EventsStream {
		return 0
	}
	n, _ := strconv.ParseUint(fields[1], 10, 64)
	return n
}
