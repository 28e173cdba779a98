package eventlog

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Base is the checkpoint that a batch had when a period of time began. With the events that came after it, it gives the batch as of any
// moment since, also when the events before it are gone from the log (rule 35).
type Base struct {
	Checkpoint
	// Next is at most the sequence of the batch's first event that isn't in the value. Only while the log begins at or before it does the
	// log have all of them.
	Next uint64
}

const (
	headerNext   = "Headway-Next"
	periodLayout = "20060102-150405" // of a period's begin, in UTC, in subjects
)

func baseSubject(generation string, partition int, namespace, period, batch string) string {
	return basePrefix + generation + "." + strconv.Itoa(partition) + "." + namespace + "." + period + "." + batch
}

// BaseFilter selects all bases of a batch in the stream of the history. None comes after the batch's tombstone.
func (l *Log) BaseFilter(generation, namespace, batch string) string {
	return baseSubject(generation, l.Partition(namespace, batch), namespace, "*", batch)
}

// StoreBase stores the present checkpoint of a batch, whose sequence is expect, as the base of a period, for the time keep, which counts
// in seconds. stored is false if there is nothing to store: the checkpoint is another one by now, says of no moment that it stands for it, or
// lies in parts. Those are left out because a base of so large a batch would cost some MB for each period. Errors: ErrUnavailable.
func (l *Log) StoreBase(ctx context.Context, generation, namespace, batch string, expect, next uint64, period time.Time, keep time.Duration) (stored bool, err error) {
	ctx, cancel := bounded(ctx)
	defer cancel()
	p := l.Partition(namespace, batch)
	subject := checkpointSubject(generation, p, namespace, batch)
	m, found, err := l.leaderLast(ctx, HistoryStream, subject)
	if err != nil {
		return false, fmt.Errorf("eventlog: base: %w", err)
	}
	if !found || m.Seq != expect {
		return false, nil
	}
	c, parts, err := parseCheckpoint(&m)
	if err != nil {
		return false, fmt.Errorf("eventlog: base: %w", err)
	}
	if parts != "" || c.Erased || c.AsOf.IsZero() {
		return false, nil
	}
	h := c.header()
	h.Set(headerNext, strconv.FormatUint(max(next, c.Covers+1), 10))
	// The server stores it only while the checkpoint is the last one. So a request that comes late can't bring back what was erased.
	_, err = l.js.PublishMsg(ctx, &nats.Msg{Subject: baseSubject(generation, p, namespace, period.UTC().Format(periodLayout), batch), Header: h, Data: c.Value},
		jetstream.WithExpectLastSequenceForSubject(expect, subject), jetstream.WithRetryAttempts(0), jetstream.WithMsgTTL(max(keep.Round(time.Second), time.Second)))
	switch {
	case isWrongLast(err):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("eventlog: base: %w", refusal(err))
	}
	return true, nil
}

// Periods are those of which a batch has bases, oldest first. Errors: the server's.
func (l *Log) Periods(ctx context.Context, generation, namespace, batch string) ([]time.Time, error) {
	subjects, err := l.subjectsOf(ctx, l.BaseFilter(generation, namespace, batch))
	if err != nil {
		return nil, fmt.Errorf("eventlog: bases: %w", err)
	}
	var all []time.Time
	for subject := range subjects {
		if tokens := strings.Split(subject, "."); len(tokens) == 7 {
			if at, err := time.Parse(periodLayout, tokens[5]); err == nil {
				all = append(all, at)
			}
		}
	}
	slices.SortFunc(all, time.Time.Compare)
	return all, nil
}

// Base reads the base of a period; nil if it is gone. Errors: the server's.
func (l *Log) Base(ctx context.Context, generation, namespace, batch string, period time.Time) (*Base, error) {
	subject := baseSubject(generation, l.Partition(namespace, batch), namespace, period.UTC().Format(periodLayout), batch)
	m, found, err := l.leaderLast(ctx, HistoryStream, subject)
	if err != nil {
		return nil, fmt.Errorf("eventlog: base: %w", err)
	}
	if !found {
		return nil, nil
	}
	b := &Base{}
	if b.Checkpoint, err = checkpointOf(namespace, batch, &m); err != nil {
		return nil, fmt.Errorf("eventlog: base: %w", err)
	}
	if b.Next, err = strconv.ParseUint(m.Header.Get(headerNext), 10, 64); err != nil {
		return nil, fmt.Errorf("eventlog: base: %w: %s: %w", errNotACheckpoint, headerNext, err)
	}
	return b, nil
}
