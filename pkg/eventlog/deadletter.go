package eventlog

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/headwayhq/headway/internal/seeded"
)

// Headers of a dead letter.
const (
	headerReason    = "Headway-Reason"
	headerField     = "Headway-Field"
	headerSubject   = "Headway-Subject"
	headerStored    = "Headway-Stored"
	headerTruncated = "Headway-Truncated"
	headerCorrected = "Headway-Corrected"
	headerOriginal  = "Headway-Original-" // before each header of the event itself
)

// MaxDeadPayload is how many bytes of an event a dead letter contains. The whole event stays in the log under its
// sequence. The server would refuse a dead letter of 1 MiB plus headers, and its partition would stop.
const MaxDeadPayload = 512 << 10

// maxDeadHeader limits the event's own headers in a dead letter.
const maxDeadHeader = 16 << 10

// maxLine limits a reason and a field, in bytes.
const maxLine = 1000

// DeadLetter is an event that could not be understood.
type DeadLetter struct {
	Identity  string
	Seq       uint64 // in the log
	Subject   string
	Field     string
	Reason    string
	Stored    time.Time
	Data      []byte // at most MaxDeadPayload
	Truncated bool
	Header    nats.Header
	Corrected time.Time // when a corrected event was published; zero if none was
}

// ID names a dead letter: <identity>.<sequence>.
func (d DeadLetter) ID() string { return d.Identity + "." + strconv.FormatUint(d.Seq, 10) }

// ErrNoDeadLetter: no dead letter has that id.
var ErrNoDeadLetter = errors.New("no such dead letter")

// DeadLetter stores d once. There is one dead letter for each sequence, however many processes store it and however
// often the log is read again (rule 12).
func (l *Log) DeadLetter(ctx context.Context, d DeadLetter) error {
	h := nats.Header{}
	size := 0
	for k, v := range d.Header {
		for _, value := range v {
			if size += len(k) + len(value); size <= maxDeadHeader {
				h.Add(headerOriginal+k, value)
			}
		}
	}
	h.Set(headerReason, oneLine(d.Reason))
	h.Set(headerField, oneLine(d.Field))
	h.Set(headerSubject, d.Subject)
	h.Set(headerStored, d.Stored.UTC().Format(time.RFC3339Nano))
	data := d.Data
	if len(data) > MaxDeadPayload {
		data = data[:MaxDeadPayload]
		h.Set(headerTruncated, strconv.Itoa(len(d.Data)))
	}
	subject := deadPrefix + d.ID()
	ctx, cancel := bounded(ctx)
	defer cancel()
	if seeded.Bug("dead-letter-again") {
		_, err := l.js.PublishMsg(ctx, &nats.Msg{Subject: subject, Header: h, Data: data})
		return err
	}
	_, err := l.js.PublishMsg(ctx, &nats.Msg{Subject: subject, Header: h, Data: data}, jetstream.WithExpectLastSequencePerSubject(0))
	if err != nil && !isWrongLast(err) {
		return fmt.Errorf("eventlog: dead letter %s: %w", d.ID(), err)
	}
	return nil
}

// oneLine removes line breaks from a header value and shortens it without splitting a character.
func oneLine(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' {
			return ' '
		}
		return r
	}, s)
	if len(s) > maxLine {
		s = strings.ToValidUTF8(s[:maxLine], "")
	}
	return s
}

// DeadLetters passes every dead letter to each, in the order in which they were stored.
func (l *Log) DeadLetters(ctx context.Context, each func(DeadLetter) error) error {
	s, err := ask(ctx, l.js, DeadStream)
	if err != nil {
		return fmt.Errorf("eventlog: dead letters: %w", err)
	}
	state := s.CachedInfo().State
	for seq := state.FirstSeq; seq <= state.LastSeq && state.Msgs > 0; seq++ {
		m, err := message(ctx, s, seq)
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			continue
		}
		if err != nil {
			return fmt.Errorf("eventlog: dead letters: %w", err)
		}
		if err := each(letter(m)); err != nil {
			return err
		}
	}
	return nil
}

func message(ctx context.Context, s jetstream.Stream, seq uint64) (*jetstream.RawStreamMsg, error) {
	ctx, cancel := bounded(ctx)
	defer cancel()
	return s.GetMsg(ctx, seq)
}

// DeadLetterByID finds one dead letter. Errors: ErrNoDeadLetter.
func (l *Log) DeadLetterByID(ctx context.Context, id string) (DeadLetter, error) {
	ctx, cancel := bounded(ctx)
	defer cancel()
	s, err := l.js.Stream(ctx, DeadStream)
	if err != nil {
		return DeadLetter{}, fmt.Errorf("eventlog: dead letter: %w", err)
	}
	m, err := s.GetLastMsgForSubject(ctx, deadPrefix+id)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return DeadLetter{}, fmt.Errorf("eventlog: dead letter %s: %w", id, ErrNoDeadLetter)
	}
	if err != nil {
		return DeadLetter{}, fmt.Errorf("eventlog: dead letter: %w", err)
	}
	return letter(m), nil
}

// MarkCorrected records that a corrected event was published in place of a dead letter. It deletes nothing, since a
// rebuild would store the dead letter again. The marked letter replaces the first under the same subject, which is overwritten rather than
// rolled up: nobody can erase a message that a rollup has removed.
func (l *Log) MarkCorrected(ctx context.Context, id string, at time.Time) error {
	ctx, cancel := bounded(ctx)
	defer cancel()
	s, err := l.js.Stream(ctx, DeadStream)
	if err != nil {
		return fmt.Errorf("eventlog: mark as corrected: %w", err)
	}
	m, err := s.GetLastMsgForSubject(ctx, deadPrefix+id)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return fmt.Errorf("eventlog: mark as corrected %s: %w", id, ErrNoDeadLetter)
	}
	if err != nil {
		return fmt.Errorf("eventlog: mark as corrected: %w", err)
	}
	h := nats.Header{}
	for k, v := range m.Header {
		if !strings.HasPrefix(k, "Nats-") {
			h[k] = v
		}
	}
	h.Set(headerCorrected, at.UTC().Format(time.RFC3339Nano))
	ack, err := l.js.PublishMsg(ctx, &nats.Msg{Subject: m.Subject, Header: h, Data: m.Data},
		jetstream.WithExpectLastSequencePerSubject(m.Sequence))
	if err != nil {
		return fmt.Errorf("eventlog: mark as corrected %s: %w", id, err)
	}
	var before []uint64
	_, err = l.eachHeader(ctx, messagesOf{stream: DeadStream, subject: m.Subject, is: func(m Message) bool { return m.Seq < ack.Sequence }},
		func(seq uint64) error { before = append(before, seq); return nil })
	if err == nil {
		_, err = l.overwrite(ctx, DeadStream, before)
	}
	if err != nil {
		return fmt.Errorf("eventlog: mark as corrected %s: remove the copy before: %w", id, err)
	}
	return nil
}

func letter(m *jetstream.RawStreamMsg) DeadLetter {
	d := DeadLetter{
		Subject: m.Header.Get(headerSubject), Field: m.Header.Get(headerField), Reason: m.Header.Get(headerReason),
		Data: m.Data, Truncated: m.Header.Get(headerTruncated) != "", Header: nats.Header{},
	}
	d.Stored, _ = time.Parse(time.RFC3339Nano, m.Header.Get(headerStored))
	d.Corrected, _ = time.Parse(time.RFC3339Nano, m.Header.Get(headerCorrected))
	id := strings.TrimPrefix(m.Subject, deadPrefix)
	identity, seq, _ := strings.Cut(id, ".")
	d.Identity = identity
	d.Seq, _ = strconv.ParseUint(seq, 10, 64)
	for k, v := range m.Header {
		if original, ok := strings.CutPrefix(k, headerOriginal); ok {
			d.Header[original] = v
		}
	}
	return d
}
