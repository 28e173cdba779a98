package eventlog

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sync/errgroup"
)

// Held is how many messages the streams hold of a batch, not counting the events that erased it.
type Held struct {
	Events, Health, Dead int
	Last                 uint64 // sequence of its last event in the log, whatever it is; 0: none
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
	return h, nil
}

// Erase overwrites the messages of a batch in all streams, one by one, except the events that erased it (rule 28): whoever deletes by
// subject leaves the bytes on disk. It counts what it overwrote, also beside an error. To be repeated until it succeeds.
func (l *Log) Erase(ctx context.Context, namespace, batch string) (done Held, err error) {
	for _, s := range l.of(namespace, batch) {
		if s.stream == HealthStream {
			if err := l.sourced(ctx); err != nil {
				return done, fmt.Errorf("eventlog: erase: %w", err)
			}
		}
		var seqs []uint64
		if done.Last, err = l.eachHeader(ctx, s, func(seq uint64) error { seqs = append(seqs, seq); return nil }); err == nil && s.stream == EventsStream {
			err = l.recordFront(ctx, seqs)
		}
		if err != nil {
			return done, fmt.Errorf("eventlog: erase from %s: %w", s.stream, err)
		}
		n, err := l.overwrite(ctx, s.stream, seqs)
		*s.count(&done) += n
		if err != nil {
			return done, fmt.Errorf("eventlog: erase from %s: %w", s.stream, err)
		}
	}
	return done, nil
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
	if last, _, err = l.last(ctx, of.stream, of.subject); err != nil || last == 0 {
		return 0, err
	}
	o := ReadOptions{From: 1, Identity: info.Identity, stream: of.stream, subject: of.subject, short: true, headers: true}
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

// erasedKey is the metadata of the log that says up to which sequence nothing but erased batches is missing at its front. Otherwise the
// first sequence, which rises when the first messages are erased, would say that events of other batches were lost.
const erasedKey = "headway-erased-to"

func erasedTo(c jetstream.StreamConfig) uint64 {
	n, _ := strconv.ParseUint(c.Metadata[erasedKey], 10, 64)
	return n
}

// recordFront records, before they are erased, up to where the log's front will be gone, if these messages are its front and nothing else
// was lost there.
func (l *Log) recordFront(ctx context.Context, seqs []uint64) error {
	s, err := ask(ctx, l.js, EventsStream)
	if err != nil {
		return err
	}
	info := s.CachedInfo()
	first := info.State.FirstSeq
	if len(seqs) == 0 || seqs[0] > first || first > 1 && first-1 > erasedTo(info.Config) {
		return nil
	}
	for _, seq := range seqs {
		if seq < first {
			continue
		}
		if seq > first {
			break
		}
		if first, err = l.next(ctx, seq+1); err != nil {
			return err
		}
	}
	c := info.Config
	c.Metadata = map[string]string{}
	for k, v := range info.Config.Metadata {
		if !strings.HasPrefix(k, "_nats.") {
			c.Metadata[k] = v
		}
	}
	c.Metadata[erasedKey] = strconv.FormatUint(first-1, 10)
	limited, cancel := bounded(ctx)
	defer cancel()
	if _, err := l.js.UpdateStream(limited, c); err != nil {
		return fmt.Errorf("record that the front is erased: %w", err)
	}
	return nil
}

// next is the sequence of the first message from one on. There is one: the event that erased the batch.
func (l *Log) next(ctx context.Context, from uint64) (uint64, error) {
	seq, _, err := l.ask(ctx, EventsStream, map[string]any{"seq": from, "next_by_subj": ">"})
	return seq, err
}
