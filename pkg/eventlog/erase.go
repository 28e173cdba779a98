package eventlog

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sync/errgroup"
)

// Held is how many messages the streams hold of a batch, not counting the events that erased it.
type Held struct {
	Events, History, Health, Dead int
	Last                          uint64 // sequence of its last event in the log, whatever it is; 0: none
}

// eraseKind is the end of the subject of events that erase a batch. They stay: a view that is rebuilt from the log is erased by them.
const eraseKind = ".erase"

// Held counts the messages of a batch in all streams.
func (l *Log) Held(ctx context.Context, namespace, batch string) (h Held, err error) {
	for _, s := range l.of(namespace, batch) {
		last, err := l.eachHeader(ctx, s, func(uint64) error { *s.count(&h)++; return nil })
		if err != nil {
			return h, fmt.Errorf("eventlog: count the messages of a batch in %s: %w", s.stream, err)
		}
		if s.stream == EventsStream {
			h.Last = last
		}
	}
	if h.History, err = l.heldHistory(ctx, namespace, batch); err != nil {
		return h, fmt.Errorf("eventlog: count the messages of a batch in %s: %w", HistoryStream, err)
	}
	return h, nil
}

// Erase overwrites what the streams have of a batch, message by message, except the events that erased it and its tombstone (rule 28):
// whoever deletes by subject leaves the bytes on disk. The tombstone takes the place of the batch's checkpoint first; nil if it is there
// already. It counts what it overwrote, also beside an error. To be repeated until it succeeds.
func (l *Log) Erase(ctx context.Context, namespace, batch string, tombstone *Checkpoint) (done Held, err error) {
	history, err := l.HistoryInfo(ctx)
	if err != nil {
		return done, err
	}
	if tombstone != nil {
		n, err := l.StoreTombstone(ctx, history.Generation, *tombstone)
		if done.History += n; err != nil {
			return done, err
		}
	}
	for _, s := range l.of(namespace, batch) {
		n, err := l.eraseFrom(ctx, s, history.Generation, &done.Last)
		if *s.count(&done) += n; err != nil {
			return done, fmt.Errorf("eventlog: erase from %s: %w", s.stream, err)
		}
		if s.stream != EventsStream {
			continue
		}
		n, err = l.eraseHistory(ctx, history.Generation, namespace, batch)
		if done.History += n; err != nil {
			return done, fmt.Errorf("eventlog: erase from %s: %w", HistoryStream, err)
		}
	}
	return done, nil
}

func (l *Log) eraseFrom(ctx context.Context, s messagesOf, generation string, last *uint64) (n int, err error) {
	if s.stream == HealthStream {
		if err := l.sourced(ctx); err != nil {
			return 0, err
		}
	}
	var seqs []uint64
	end, err := l.eachHeader(ctx, s, func(seq uint64) error { seqs = append(seqs, seq); return nil })
	if err != nil {
		return 0, err
	}
	if s.stream == EventsStream {
		*last = end
		// Two erasures at the log's beginning would each find the other one's messages there.
		if err := l.front.Acquire(ctx, 1); err != nil {
			return 0, err
		}
		defer l.front.Release(1)
		if err := l.raiseFloor(ctx, generation, seqs); err != nil {
			return 0, err
		}
	}
	return l.overwrite(ctx, s.stream, seqs)
}

// messagesOf selects the messages of a batch in one stream.
type messagesOf struct {
	stream, subject string
	is              func(Message) bool
	count           func(*Held) *int
}

// of selects what is of a batch, in the order in which it is erased: what is sourced or copied from the log comes after it.
func (l *Log) of(namespace, batch string) []messagesOf {
	whole := namespace + "." + batch
	all := logPrefix + strconv.Itoa(l.Partition(namespace, batch)) + "." + whole
	return []messagesOf{
		{EventsStream, all + ".>", func(m Message) bool { return m.Subject != all+eraseKind }, func(h *Held) *int { return &h.Events }},
		{HealthStream, healthPrefix + whole, func(Message) bool { return true }, func(h *Held) *int { return &h.Health }},
		{DeadStream, deadPrefix + ">", func(m Message) bool { return isOf(m.Header.Get(headerSubject), whole) }, func(h *Held) *int { return &h.Dead }},
	}
}

// isOf reports whether the subject of an event is that of a batch, <namespace>.<batch>.
func isOf(subject, batch string) bool {
	rest, events := strings.CutPrefix(subject, "headway.events.")
	if !events {
		rest = strings.TrimPrefix(subject, logPrefix)
		_, rest, _ = strings.Cut(rest, ".")
	}
	return strings.HasPrefix(rest, batch+".")
}

// eachHeader passes the sequences of the messages that a stream has of a batch, in order, and returns that of the last one on the
// subject, whether it is of the batch or not.
func (l *Log) eachHeader(ctx context.Context, of messagesOf, do func(seq uint64) error) (last uint64, err error) {
	info, err := l.info(ctx, of.stream)
	if err != nil {
		return 0, err
	}
	m, found, err := l.leaderLast(ctx, of.stream, of.subject)
	if err != nil || !found {
		return 0, err
	}
	last = m.Seq
	o := ReadOptions{From: 1, Identity: info.Identity, stream: of.stream, subject: of.subject, short: true, headersOnly: true}
	err = l.Read(ctx, o, func(m Message) error {
		if of.is(m) {
			if err := do(m.Seq); err != nil {
				return err
			}
		}
		if m.Seq >= last {
			return errReadAll
		}
		return nil
	})
	if !errors.Is(err, errReadAll) {
		return last, err
	}
	return last, nil
}

// overwriteAtOnce limits how many messages are overwritten concurrently.
const overwriteAtOnce = 16

// overwrite deletes messages so that their bytes are overwritten on disk, and counts them.
func (l *Log) overwrite(ctx context.Context, stream string, seqs []uint64) (n int, err error) {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(overwriteAtOnce)
	done := make([]bool, len(seqs))
	for i, seq := range seqs {
		g.Go(func() error {
			var err error
			done[i], err = l.overwriteOne(ctx, stream, seq)
			return err
		})
	}
	err = g.Wait()
	for _, d := range done {
		if d {
			n++
		}
	}
	return n, err
}

// codeNoSuchSequence is the server's code for a message that isn't there (any more).
const codeNoSuchSequence jetstream.ErrorCode = 10043

func (l *Log) overwriteOne(ctx context.Context, stream string, seq uint64) (done bool, err error) {
	ctx, cancel := bounded(ctx)
	defer cancel()
	question, err := json.Marshal(map[string]any{"seq": seq, "no_erase": false})
	if err != nil {
		return false, err
	}
	reply, err := l.js.Conn().RequestWithContext(ctx, "$JS.API.STREAM.MSG.DELETE."+stream, question)
	if err != nil {
		return false, fmt.Errorf("message %d: %w", seq, refusal(err))
	}
	var answer struct {
		Error *jetstream.APIError `json:"error"`
	}
	if err := json.Unmarshal(reply.Data, &answer); err != nil {
		return false, fmt.Errorf("message %d: %w", seq, err)
	}
	if e := answer.Error; e != nil {
		if e.ErrorCode == codeNoSuchSequence || e.ErrorCode == jetstream.JSErrCodeMessageNotFound {
			return false, nil // another request has erased it
		}
		return false, fmt.Errorf("message %d: %w", seq, e)
	}
	return true, nil
}

// sourceWait limits how long erasing waits for the stream of changes of health.
const sourceWait = 2 * time.Second

// sourced waits until the stream of changes of health has taken over what the log had, as far as it says. What is still on its way after
// that is erased when erasing is repeated.
func (l *Log) sourced(ctx context.Context) error {
	limited, cancel := context.WithTimeout(ctx, sourceWait)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		s, err := ask(ctx, l.js, HealthStream)
		if err != nil {
			return err
		}
		behind := uint64(0)
		for _, from := range s.CachedInfo().Sources {
			behind += from.Lag
		}
		if behind == 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-limited.Done():
			return nil
		case <-tick.C:
		}
	}
}

// raiseFloor raises the floor over messages that are about to be erased, if they are the first ones beyond it: their batch's tombstone
// covers them. Otherwise the log's first sequence, which rises when the first messages are erased, would say that events were lost.
func (l *Log) raiseFloor(ctx context.Context, generation string, seqs []uint64) error {
	for len(seqs) > 0 {
		info, err := l.Info(ctx)
		if err != nil {
			return err
		}
		floor, err := l.ReadFloor(ctx, generation)
		if err != nil {
			return err
		}
		if floor.Identity != info.Identity {
			floor = Floor{Identity: info.Identity, Seq: floor.Seq}
		}
		to := max(floor.Covered, info.Born-1)
		if info.First-1 > to {
			return nil // events were lost there, which is noted by whoever reads the log
		}
		for {
			next, err := l.NextSeq(ctx, to+1)
			if err != nil {
				return err
			}
			if _, own := slices.BinarySearch(seqs, next); !own {
				if next > 0 && to > max(floor.Covered, info.Born-1) {
					to = next - 1 // what is missing between was erased before
				}
				break
			}
			to = next
		}
		if to <= max(floor.Covered, info.Born-1) {
			return nil
		}
		floor.Covered = to
		_, err = l.WriteFloor(ctx, generation, floor)
		var other WrongLastError
		if !errors.As(err, &other) {
			return err
		}
	}
	return nil
}

// NextSeq is the sequence of the log's first message from one on; 0 if there is none.
func (l *Log) NextSeq(ctx context.Context, from uint64) (uint64, error) {
	m, _, err := l.leaderGet(ctx, EventsStream, map[string]any{"seq": from, "next_by_subj": ">"})
	if err != nil {
		return 0, fmt.Errorf("eventlog: next message: %w", err)
	}
	return m.Seq, nil
}
