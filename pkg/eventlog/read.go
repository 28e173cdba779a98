package eventlog

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Message is one stored event. Data belongs to the receiver.
type Message struct {
	Seq       uint64
	Stored    time.Time
	Partition int
	Subject   string // headway.log.<partition>.<namespace>.<batch>.<kind…>
	Data      []byte
	Header    nats.Header // nil if there is none
}

// ReadOptions say what to read.
type ReadOptions struct {
	From      uint64 // first sequence wanted, at least 1
	Partition int    // −1: all, unfiltered
	Identity  string // under which From was read

	subject     string    // instead of the partition's
	stream      string    // instead of EventsStream
	since       time.Time // instead of From: messages that the stream stored at this moment or later
	atOnce      int       // messages to ask for at once, instead of prefetch
	headersOnly bool      // without data
	short       bool      // the server's consumer is removed at the end, instead of when it was idle for long
}

// prefetch limits the messages buffered in this process until sink has taken them.
const prefetch = 4096

// onTheWay limits the bytes that one request for messages may bring. The server closes a connection to which it has more than 64 MiB
// to send, and requests of others on it wait behind them.
const onTheWay = 4 << 20

// aliveEvery is how often the server says that a reader for which nothing new is stored is alive. After two such times of silence it
// is made anew, perhaps on another server.
const aliveEvery = 5 * time.Second

// Read passes every message from From on to sink, in order and exactly once, and blocks until reading ends. sink may
// block for any time; an error of sink ends reading and is returned. Other errors: ErrIdentityChanged,
// ErrReaderEnded, the context's.
//
// An ordered consumer continues without an error after its stream was deleted and recreated, and waits without an
// error beyond the stream's end (rule 5). So the identity is checked before the first message, and again whenever the
// consumer's name shows that the client has created a new one.
func (l *Log) Read(ctx context.Context, o ReadOptions, sink func(Message) error) error {
	o.stream, o.atOnce = cmp.Or(o.stream, EventsStream), cmp.Or(o.atOnce, prefetch)
	r := &reader{log: l, o: o, sink: sink, last: max(o.From, 1) - 1}
	ctx, r.cancel = context.WithCancelCause(ctx)
	defer r.cancel(nil)
	r.ctx = ctx
	if err := r.check(); err != nil {
		return fmt.Errorf("eventlog: read: %w", err)
	}
	config := jetstream.OrderedConsumerConfig{
		DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: r.last + 1,
		InactiveThreshold: time.Minute, HeadersOnly: o.headersOnly, MaxResetAttempts: 1, // trouble says why
	}
	if !o.since.IsZero() {
		config.DeliverPolicy, config.OptStartSeq, config.OptStartTime = jetstream.DeliverByStartTimePolicy, 0, &o.since
	}
	switch {
	case o.subject != "":
		config.FilterSubjects = []string{o.subject}
	case o.Partition >= 0:
		config.FilterSubjects = []string{filter(o.Partition)}
	}
	made, cancel := bounded(ctx)
	c, err := l.js.OrderedConsumer(made, o.stream, config)
	cancel()
	if err != nil {
		return fmt.Errorf("eventlog: read: %w", err)
	}
	if o.short {
		defer func() { go l.remove(context.WithoutCancel(ctx), o.stream, c.CachedInfo()) }()
	}
	// A request that can't bring the next message would never end.
	limit := max(onTheWay, 2*int(l.js.Conn().MaxPayload()))
	consume, err := c.Consume(r.take, jetstream.PullMaxMessagesWithBytesLimit(o.atOnce, limit), jetstream.PullHeartbeat(aliveEvery), jetstream.ConsumeErrHandler(r.trouble))
	if err != nil {
		return fmt.Errorf("eventlog: read: %w", err)
	}
	select {
	case <-ctx.Done():
		consume.Stop()
		<-consume.Closed()
		r.mu.Lock() // wait until sink has returned
		defer r.mu.Unlock()
		return fmt.Errorf("eventlog: read: %w", context.Cause(ctx))
	case <-consume.Closed():
		r.mu.Lock()
		defer r.mu.Unlock()
		if cause := context.Cause(ctx); cause != nil {
			return fmt.Errorf("eventlog: read: %w", cause)
		}
		return fmt.Errorf("eventlog: read: %w", ErrReaderEnded)
	}
}

// remove deletes a consumer. If that fails, the server does so once it was idle for long.
func (l *Log) remove(ctx context.Context, stream string, consumer *jetstream.ConsumerInfo) {
	if consumer == nil {
		return
	}
	ctx, cancel := bounded(ctx)
	defer cancel()
	_ = l.js.DeleteConsumer(ctx, stream, consumer.Name)
}

type reader struct {
	log    *Log
	o      ReadOptions
	sink   func(Message) error
	ctx    context.Context //nolint:containedctx // the reader lives within one call of Read
	cancel context.CancelCauseFunc

	mu       sync.Mutex
	consumer string // name of the server's consumer of the last delivery
	last     uint64 // last sequence that sink has taken
	stored   time.Time
}

func (r *reader) take(m jetstream.Msg) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ctx.Err() != nil {
		return
	}
	meta, ok := parseReply(m.Reply())
	if !ok {
		r.cancel(fmt.Errorf("a delivery without metadata: %q", m.Reply()))
		return
	}
	if meta.consumer != r.consumer {
		if r.consumer != "" {
			if err := r.check(); err != nil {
				r.cancel(err)
				return
			}
		}
		r.consumer = strings.Clone(meta.consumer)
	}
	if meta.seq <= r.last {
		return
	}
	subject := m.Subject()
	out := Message{Seq: meta.seq, Stored: meta.stored, Partition: partitionOf(subject), Subject: subject, Data: m.Data(), Header: m.Headers()}
	if err := r.sink(out); err != nil {
		r.cancel(err)
		return
	}
	r.last, r.stored = meta.seq, meta.stored
}

// trouble decides which errors of the consumer end reading. The NATS client recovers from the others.
//
// When the client can't make its consumer anew, it would try for ever, each time with the same name. A server that was lost may have been
// chosen to hold that name, and then nobody answers until it is back. So one try has to do; the next reader has another name.
func (r *reader) trouble(_ jetstream.ConsumeContext, err error) {
	var refused *jetstream.APIError
	if errors.Is(err, jetstream.ErrStreamNotFound) || errors.Is(err, jetstream.ErrConsumerNotFound) ||
		errors.Is(err, jetstream.ErrConnectionClosed) || errors.Is(err, nats.ErrConnectionClosed) ||
		errors.Is(err, context.DeadlineExceeded) || errors.Is(err, nats.ErrNoResponders) || errors.As(err, &refused) {
		r.cancel(fmt.Errorf("%w: %w", ErrReaderEnded, err))
	}
}

// check compares the stream's identity with the one under which the reader's position was read.
func (r *reader) check() error {
	info, err := r.log.info(r.ctx, r.o.stream)
	if err != nil {
		return err
	}
	if info.Identity != r.o.Identity {
		return fmt.Errorf("%w: was %s, is %s", ErrIdentityChanged, r.o.Identity, info.Identity)
	}
	if r.last > info.Last {
		return fmt.Errorf("%w: position %d is beyond the end %d", ErrIdentityChanged, r.last, info.Last)
	}
	if !r.stored.IsZero() {
		at, found, err := r.log.storedAt(r.ctx, r.o.stream, r.last)
		if err != nil {
			return err
		}
		if found && !at.Equal(r.stored) {
			return fmt.Errorf("%w: message %d was stored at %v, now %v", ErrIdentityChanged, r.last, r.stored, at)
		}
	}
	return nil
}

type replyMeta struct {
	consumer string
	seq      uint64
	stored   time.Time
}

// parseReply reads a delivery's reply subject without allocating:
// $JS.ACK.[<domain>.<account>.]<stream>.<consumer>.<delivered>.<stream seq>.<consumer seq>.<time>.<pending>[.<token>].
func parseReply(reply string) (m replyMeta, ok bool) {
	var tokens [13]string
	n := 0
	for rest := reply; n < len(tokens); n++ {
		token, after, more := strings.Cut(rest, ".")
		tokens[n] = token
		if !more {
			n++
			break
		}
		rest = after
	}
	base := 2
	switch {
	case n < 9 || tokens[0] != "$JS" || tokens[1] != "ACK":
		return m, false
	case n >= 11:
		base = 4
	}
	seq, err := strconv.ParseUint(tokens[base+3], 10, 64)
	if err != nil {
		return m, false
	}
	ns, err := strconv.ParseInt(tokens[base+5], 10, 64)
	if err != nil {
		return m, false
	}
	return replyMeta{tokens[base+1], seq, time.Unix(0, ns).UTC()}, true
}

// partitionOf reads the partition from a subject of the log; −1 if there is none.
func partitionOf(subject string) int {
	rest, ok := strings.CutPrefix(subject, logPrefix)
	if !ok {
		return -1
	}
	token, _, _ := strings.Cut(rest, ".")
	n, err := strconv.Atoi(token)
	if err != nil {
		return -1
	}
	return n
}
