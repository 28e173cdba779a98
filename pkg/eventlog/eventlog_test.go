package eventlog

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/headwayhq/headway/pkg/headwaytest"
)

func open(t *testing.T) (*Log, *nats.Conn) {
	t.Helper()
	nc := headwaytest.NATS(t).Conn()
	l, err := Open(t.Context(), nc, Config{First: 1})
	if err != nil {
		t.Fatal(err)
	}
	return l, nc
}

func publish(t *testing.T, l *Log, subject string, data []byte) uint64 {
	t.Helper()
	seq, err := l.Publish(t.Context(), subject, nil, data)
	if err != nil {
		t.Fatal(err)
	}
	return seq
}

func TestProvision(t *testing.T) {
	l, nc := open(t)
	if _, err := Open(t.Context(), nc, Config{First: 1}); err != nil {
		t.Errorf("a second time: %v", err)
	}
	if _, err := Open(t.Context(), nc, Config{Partitions: 8}); !errors.Is(err, ErrMismatch) || !strings.Contains(err.Error(), "partitions is 32, want 8") {
		t.Errorf("another number of partitions: %v", err)
	}
	if l.Partitions() != DefaultPartitions {
		t.Errorf("%d partitions", l.Partitions())
	}
	for _, subject := range []string{"headway.events.n.b", "headway.events.n", "headway.elsewhere.n.b.batch"} {
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		if seq, err := l.Publish(ctx, subject, nil, nil); err == nil {
			t.Errorf("%s was acknowledged as %d", subject, seq)
		}
		cancel()
	}
}

// The partition that the client computes is the one under which the server stores the message.
func TestPartitionAgreesWithServer(t *testing.T) {
	l, _ := open(t)
	const n = 500
	for i := range n {
		publish(t, l, fmt.Sprintf("headway.events.ns_%d.batch-%d.job.x", i%7, i), []byte("{}"))
	}
	i := 0
	read(t, l, ReadOptions{From: 1, Partition: -1}, n, func(m Message) {
		ns, batch := fmt.Sprintf("ns_%d", i%7), fmt.Sprintf("batch-%d", i)
		want := fmt.Sprintf("headway.log.%d.%s.%s.job.x", l.Partition(ns, batch), ns, batch)
		if m.Subject != want || m.Partition != l.Partition(ns, batch) || m.Seq != uint64(i+1) {
			t.Errorf("message %d is %d on %s, want %s", i+1, m.Seq, m.Subject, want)
		}
		i++
	})
}

// read reads n messages.
func read(t *testing.T, l *Log, o ReadOptions, n int, each func(Message)) {
	t.Helper()
	info, err := l.Info(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	o.Identity = info.Identity
	enough := errors.New("enough")
	err = l.Read(t.Context(), o, func(m Message) error {
		each(m)
		if n--; n == 0 {
			return enough
		}
		return nil
	})
	if !errors.Is(err, enough) {
		t.Fatal(err)
	}
}

// reading starts a reader, and returns once it has delivered n messages.
func reading(t *testing.T, l *Log, n int) (identity string, got chan Message, ended chan error) {
	t.Helper()
	info, err := l.Info(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	got, ended = make(chan Message, 100), make(chan error, 1)
	go func() {
		ended <- l.Read(t.Context(), ReadOptions{From: 1, Partition: -1, Identity: info.Identity}, func(m Message) error { got <- m; return nil })
	}()
	for range n {
		<-got
	}
	return info.Identity, got, ended
}

// awaitEnd waits until a reader notices that its stream was replaced.
func awaitEnd(t *testing.T, ended chan error) {
	t.Helper()
	select {
	case err := <-ended:
		if !errors.Is(err, ErrIdentityChanged) && !errors.Is(err, ErrReaderEnded) {
			t.Errorf("it ended with %v", err)
		}
	case <-time.After(30 * time.Second):
		t.Error("the reader went on in silence")
	}
}

func TestRule5StreamRecreatedWhileReading(t *testing.T) {
	l, nc := open(t)
	for range 5 {
		publish(t, l, "headway.events.n.b.batch", []byte("old"))
	}
	_, got, ended := reading(t, l, 5)
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	if err := js.DeleteStream(t.Context(), EventsStream); err != nil {
		t.Fatal(err)
	}
	if err := Provision(t.Context(), js, Config{First: 1}); err != nil {
		t.Fatal(err)
	}
	for range 10 {
		publish(t, l, "headway.events.n.b.batch", []byte("new"))
	}
	awaitEnd(t, ended)
	for len(got) > 0 {
		if m := <-got; string(m.Data) == "new" {
			t.Error("a message of the new stream was handed on as one of the old")
		}
	}
}

func TestRule5BeyondTheEnd(t *testing.T) {
	l, _ := open(t)
	publish(t, l, "headway.events.n.b.batch", nil)
	info, err := l.Info(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	err = l.Read(ctx, ReadOptions{From: 100, Partition: -1, Identity: info.Identity}, func(Message) error { return nil })
	if !errors.Is(err, ErrIdentityChanged) {
		t.Errorf("reading from beyond the end: %v", err)
	}
	next, err := l.BumpIncarnation(t.Context(), info.Identity)
	if err != nil || next == info.Identity {
		t.Fatalf("%s %v", next, err)
	}
	if again, err := l.BumpIncarnation(t.Context(), info.Identity); err != nil || again != next {
		t.Errorf("who finds it later arrives at %s, not %s (%v)", again, next, err)
	}
	if now, err := l.Info(t.Context()); err != nil || now.Identity != next || now.Last != 1 {
		t.Errorf("%+v %v", now, err)
	}
}

// When a server restarts, or a consumer on it is deleted, no message is lost and none is delivered twice.
func TestReaderSurvives(t *testing.T) {
	s := headwaytest.NATS(t)
	nc := s.Conn()
	l, err := Open(t.Context(), nc, Config{First: 1})
	if err != nil {
		t.Fatal(err)
	}
	info, err := l.Info(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want, end := supervised(t, l, info.Identity)
	publish(t, l, "headway.events.n.b.batch", nil)
	want(1)
	deleteConsumers(t, nc)
	publish(t, l, "headway.events.n.b.batch", nil)
	want(2)
	s.Restart()
	for {
		if _, err := l.Publish(t.Context(), "headway.events.n.b.batch", nil, nil); err == nil {
			break
		}
	}
	want(3)
	if err := end(); !errors.Is(err, context.Canceled) {
		t.Errorf("it ended with %v", err)
	}
}

// A server of which one machine was lost may choose it to hold a consumer. Then nobody ever answers a request for a consumer of that name.
func TestReaderWhoseConsumerIsLost(t *testing.T) {
	t.Parallel()
	l, nc := open(t)
	info, err := l.Info(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	const create = "CONSUMER.CREATE." + EventsStream + "."
	lost := make(chan string, 1) // the name
	var loses atomic.Bool        // the next one
	_, err = nc.Subscribe("between.>", func(m *nats.Msg) {
		what := strings.TrimPrefix(m.Subject, "between.")
		if name, ok := strings.CutPrefix(what, create); ok && loses.CompareAndSwap(true, false) {
			lost <- name
		}
		select {
		case name := <-lost:
			lost <- name
			if what == create+name {
				return
			}
		default:
		}
		_ = nc.PublishMsg(&nats.Msg{Subject: "$JS.API." + what, Reply: m.Reply, Header: m.Header, Data: m.Data})
	})
	if err != nil {
		t.Fatal(err)
	}
	reads := &Log{partitions: l.partitions}
	if reads.js, err = jetstream.NewWithAPIPrefix(nc, "between"); err != nil {
		t.Fatal(err)
	}
	want, end := supervised(t, reads, info.Identity)
	publish(t, l, "headway.events.n.b.batch", nil)
	want(1)
	loses.Store(true)
	deleteConsumers(t, nc)
	publish(t, l, "headway.events.n.b.batch", nil)
	want(2)
	if len(lost) == 0 {
		t.Error("no consumer was lost")
	}
	_ = end()
}

// deleteConsumers deletes the consumers of all readers.
func deleteConsumers(t *testing.T, nc *nats.Conn) {
	t.Helper()
	_, s := stream(t, nc, EventsStream)
	for c := range s.ListConsumers(t.Context()).Info() {
		if err := s.DeleteConsumer(t.Context(), c.Name); err != nil {
			t.Fatal(err)
		}
	}
}

// supervised reads as the supervisor of ingest does. want waits for the next message.
func supervised(t *testing.T, l *Log, identity string) (want func(seq uint64), end func() error) {
	t.Helper()
	got := make(chan uint64, 100)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		from := uint64(1)
		var err error
		for ctx.Err() == nil {
			err = l.Read(ctx, ReadOptions{From: from, Partition: -1, Identity: identity}, func(m Message) error {
				from = m.Seq + 1
				got <- m.Seq
				return nil
			})
			select {
			case <-ctx.Done():
			case <-time.After(20 * time.Millisecond):
			}
		}
		ended <- err
	}()
	want = func(seq uint64) {
		t.Helper()
		select {
		case n := <-got:
			if n != seq {
				t.Fatalf("got %d, want %d", n, seq)
			}
		case <-time.After(40 * time.Second):
			t.Fatalf("%d never came", seq)
		}
	}
	return want, func() error { cancel(); return <-ended }
}

func TestRule10AnnouncementsAgainstTheLastOne(t *testing.T) {
	l, nc := open(t)
	publish(t, l, "headway.events.n.b.batch", nil)
	first, err := l.PublishHealth(t.Context(), "n", "b", 0, []byte("1"))
	if err != nil {
		t.Fatal(err)
	}
	var wrong WrongLastError
	if _, err := l.PublishHealth(t.Context(), "n", "b", 0, []byte("1")); !errors.As(err, &wrong) || wrong.Last != first {
		t.Errorf("a second first announcement: %v", err)
	}
	publish(t, l, "headway.events.n.b.batch", nil) // another subject of the batch doesn't matter
	second, err := l.PublishHealth(t.Context(), "n", "b", first, []byte("1"))
	if err != nil || second <= first {
		t.Errorf("the next, with equal bytes: %d %v", second, err)
	}
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	health, err := js.OrderedConsumer(t.Context(), HealthStream, jetstream.OrderedConsumerConfig{})
	if err != nil {
		t.Fatal(err)
	}
	batch, err := health.Fetch(2, jetstream.FetchMaxWait(10*time.Second))
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for m := range batch.Messages() {
		n++
		if m.Subject() != "headway.health.n.b" {
			t.Errorf("on %s", m.Subject())
		}
	}
	if n != 2 {
		t.Errorf("%d changes in %s", n, HealthStream)
	}
}

func TestRule12DeadLettersOnce(t *testing.T) {
	l, _ := open(t)
	ctx := t.Context()
	d := DeadLetter{
		Identity: "x_0", Seq: 5, Subject: "headway.log.1.n.b.batch", Field: "data.status", Reason: "no\r\nInjected: header",
		Stored: time.Now(), Data: bytes.Repeat([]byte("a"), 900<<10), Header: nats.Header{"Ce-Id": {"1"}},
	}
	for range 3 {
		if err := l.DeadLetter(ctx, d); err != nil {
			t.Fatal(err)
		}
	}
	all := func() (out []DeadLetter) {
		t.Helper()
		if err := l.DeadLetters(ctx, func(x DeadLetter) error { out = append(out, x); return nil }); err != nil {
			t.Fatal(err)
		}
		return out
	}
	got := all()
	if len(got) != 1 {
		t.Fatalf("%d letters", len(got))
	}
	x := got[0]
	if x.Seq != 5 || x.ID() != "x_0.5" || x.Subject != d.Subject || x.Field != d.Field || !x.Truncated || len(x.Data) != MaxDeadPayload ||
		x.Header.Get("Ce-Id") != "1" || strings.ContainsAny(x.Reason, "\r\n") || !x.Corrected.IsZero() {
		t.Errorf("%d bytes, %+v", len(x.Data), x.Reason)
	}
	if err := l.MarkCorrected(ctx, d.ID(), time.Now()); err != nil {
		t.Fatal(err)
	}
	if err := l.DeadLetter(ctx, d); err != nil { // a rebuild after it was corrected
		t.Fatal(err)
	}
	if got = all(); len(got) != 1 || got[0].Corrected.IsZero() || len(got[0].Data) != MaxDeadPayload {
		t.Errorf("after mending: %d letters", len(got))
	}
	if _, err := l.DeadLetterByID(ctx, "x_0.6"); !errors.Is(err, ErrNoDeadLetter) {
		t.Errorf("one that isn't there: %v", err)
	}
}

func TestParseReply(t *testing.T) {
	for reply, want := range map[string]string{
		"$JS.ACK.HEADWAY_EVENTS.abc_1.1.42.7.1700000000000000001.3":                 "abc_1 42 1700000000000000001 true",
		"$JS.ACK.dom.acc.HEADWAY_EVENTS.abc_1.1.42.7.1700000000000000001.3":         "abc_1 42 1700000000000000001 true",
		"$JS.ACK._.acc.HEADWAY_EVENTS.abc_2.1.42.7.1700000000000000001.3.tokenized": "abc_2 42 1700000000000000001 true",
		"_INBOX.x": " 0 0 false", "": " 0 0 false", "$JS.ACK.a.b.c.d.e.f.g": " 0 0 false",
	} {
		m, ok := parseReply(reply)
		ns := int64(0)
		if ok {
			ns = m.stored.UnixNano()
		}
		if got := fmt.Sprintf("%s %d %d %t", m.consumer, m.seq, ns, ok); got != want {
			t.Errorf("%q: %s, want %s", reply, got, want)
		}
	}
}
