package headwaytest_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/headwayhq/headway/pkg/client"
	"github.com/headwayhq/headway/pkg/diagnostics"
)

// A broker is a real nats-server that can be stopped and started again with the same port and data.
type broker struct {
	t       *testing.T
	options server.Options
	s       *server.Server
}

func startBroker(t *testing.T, o server.Options) *broker {
	t.Helper()
	o.JetStream, o.StoreDir, o.Host, o.Port, o.NoSigs, o.NoLog = true, t.TempDir(), "127.0.0.1", server.RANDOM_PORT, true, true
	b := &broker{t: t, options: o}
	t.Cleanup(b.stop)
	b.start()
	return b
}

func (b *broker) start() {
	b.t.Helper()
	o := b.options
	s, err := server.NewServer(&o)
	if err != nil {
		b.t.Fatal(err)
	}
	s.Start()
	if !s.ReadyForConnections(10 * time.Second) {
		b.t.Fatal("nats-server isn't ready")
	}
	b.s, b.options.Port = s, s.Addr().(*net.TCPAddr).Port
}

func (b *broker) stop() {
	if b.s != nil {
		b.s.Shutdown()
		b.s.WaitForShutdown()
		b.s = nil
	}
}

func (b *broker) url() string { return "nats://127.0.0.1:" + strconv.Itoa(b.options.Port) }

// stream is configured like Headway's, as far as producers can notice.
func (b *broker) stream(more ...nats.Option) jetstream.Stream {
	b.t.Helper()
	nc, err := nats.Connect(b.url(), append(more, nats.MaxReconnects(-1), nats.ReconnectWait(20*time.Millisecond))...)
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	if err != nil {
		b.t.Fatal(err)
	}
	s, err := js.CreateOrUpdateStream(b.t.Context(), jetstream.StreamConfig{
		Name: "HEADWAY_EVENTS", Subjects: []string{"headway.events.*.*.>"}, MaxMsgSize: 64 << 10,
	})
	if err != nil {
		b.t.Fatal(err)
	}
	return s
}

func connect(t *testing.T, url string, o client.Options) *client.Client {
	t.Helper()
	c, err := client.Connect(url, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel() // what is in flight isn't waited for
		_ = c.Close(ctx)
	})
	return c
}

func stored(t *testing.T, s jetstream.Stream) []*jetstream.RawStreamMsg {
	t.Helper()
	info, err := s.Info(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	all := make([]*jetstream.RawStreamMsg, 0, info.State.Msgs)
	for seq := info.State.FirstSeq; info.State.Msgs > 0 && seq <= info.State.LastSeq; seq++ {
		m, err := s.GetMsg(t.Context(), seq)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, m)
	}
	return all
}

func oneOfEachType() []client.Event {
	return []client.Event{
		client.BatchStatus("b", "PROCESSING"), client.TierStatus("b", 0, "PROCESSING"), client.TierProgress("b", 0, 1, 2),
		client.JobStatus("b", 0, "j", "RUNNING"), client.CollectionCount("b", "c", 4), client.StageTimes("b", 0, "s", "w", 3, time.Second),
	}
}

// Publish returns once the event is stored. Each type arrives on the subject that the core expects, unchanged.
func TestPublish(t *testing.T) {
	b := startBroker(t, server.Options{})
	s := b.stream()
	c := connect(t, b.url(), client.Options{Namespace: "search", Source: "test"})
	events := oneOfEachType()
	for i, e := range events {
		if err := c.Publish(t.Context(), e); err != nil {
			t.Fatal(err)
		}
		info, err := s.Info(t.Context())
		if err != nil || info.State.Msgs != uint64(i+1) {
			t.Fatalf("after %d acknowledgements %d are kept (%v)", i+1, info.State.Msgs, err)
		}
	}
	var d diagnostics.Decoder
	for _, m := range stored(t, s) {
		e, rejection := d.Decode(diagnostics.Message{Subject: m.Subject, Data: m.Data, Stored: m.Time})
		if rejection != nil {
			t.Errorf("%s: %v\n%s", m.Subject, rejection, m.Data)
			continue
		}
		if e.Subject() != m.Subject {
			t.Errorf("sent on %s, belongs on %s", m.Subject, e.Subject())
		}
		if id := m.Header.Get(nats.MsgIdHdr); id != "" {
			t.Errorf("a message id: %s", id)
		}
	}
}

// An invalid event is refused with the name of its field before anything is sent.
func TestRefused(t *testing.T) {
	b := startBroker(t, server.Options{})
	s := b.stream()
	c := connect(t, b.url(), client.Options{})
	for _, e := range []struct {
		client.Event
		field string
	}{
		{client.BatchStatus("a\nb", "PROCESSING"), "subject"},
		{client.BatchStatus("b", "RUNNING"), "data.status"},
		{client.TierProgress("b", -1, 1, 2), "subject"},
		{client.TierProgress("b", 0, -1, 2), "data.processed_documents"},
		{client.JobStatus("b", 0, "a\tb", "RUNNING"), "subject"},
		{client.Event{Batch: "b"}, "data"},
		{client.Event{Batch: "b", Time: time.Now().Add(time.Hour), Data: &client.Batch{}}, "time"},
	} {
		err := c.Publish(t.Context(), e.Event)
		var rejection *diagnostics.Rejection
		if !errors.As(err, &rejection) || rejection.Field != e.field {
			t.Errorf("%+v: %v, want field %s", e.Event, err, e.field)
		}
		if ack, err := c.PublishAsync(t.Context(), e.Event); err == nil || ack != nil {
			t.Errorf("%+v was handed over", e.Event)
		}
	}
	if err := c.Flush(t.Context()); err != nil {
		t.Error(err)
	}
	if all := stored(t, s); len(all) > 0 {
		t.Errorf("%d were sent", len(all))
	}
}

// If the server restarts in the middle and keeps its data, every event is stored at least once.
func TestWaitsOutServer(t *testing.T) {
	b := startBroker(t, server.Options{})
	s := b.stream()
	c := connect(t, b.url(), client.Options{MaxInFlight: 32})
	const events = 600
	acks := make([]*client.Ack, 0, events)
	send := func(from, to int) {
		for i := from; i < to; i++ {
			e := client.TierProgress("b", 0, int64(i), events)
			e.ID = strconv.Itoa(i)
			ack, err := c.PublishAsync(t.Context(), e)
			if err != nil {
				t.Error(err)
				return
			}
			acks = append(acks, ack)
		}
	}
	send(0, events/2)
	b.stop()
	done := make(chan struct{})
	go func() { defer close(done); send(events/2, events) }() // stops at 32 in flight
	b.start()
	<-done
	if err := c.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	ids := map[string]bool{}
	for _, m := range stored(t, s) {
		ids[idOf(t, m.Data)] = true
	}
	if len(ids) != events {
		t.Errorf("%d of %d events are kept", len(ids), events)
	}
	for i, a := range acks {
		if a.Err() != nil || a.Sequence() == 0 {
			t.Errorf("event %d: sequence %d, %v", i, a.Sequence(), a.Err())
		}
	}
}

// No more events are in flight than allowed. A caller that waits for a free place stops when its context ends.
func TestInFlightIsBounded(t *testing.T) {
	b := startBroker(t, server.Options{})
	b.stream()
	c := connect(t, b.url(), client.Options{MaxInFlight: 3})
	b.stop()
	background, giveUp := context.WithCancel(t.Context())
	for range 3 {
		if _, err := c.PublishAsync(background, client.BatchStatus("b", "PROCESSING")); err != nil {
			t.Fatal(err)
		}
	}
	short, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := c.PublishAsync(short, client.BatchStatus("b", "PROCESSING")); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a fourth: %v", err)
	}
	if err := c.Flush(short); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("flush: %v", err)
	}
	giveUp()
	if err := c.Flush(t.Context()); !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "3 events failed") {
		t.Errorf("flush of what was given up: %v", err)
	}
	if err := c.Flush(t.Context()); err != nil {
		t.Errorf("a failure is told twice: %v", err)
	}
}

// What a retry can't repair is an error at once, which says what to do.
func TestPermanent(t *testing.T) {
	b := startBroker(t, server.Options{
		Users: []*server.User{
			{Username: "all", Password: "x"},
			{Username: "some", Password: "x", Permissions: &server.Permissions{
				Publish: &server.SubjectPermission{Allow: []string{"headway.events.own.>", "$JS.API.>"}},
			}},
		},
	})
	withUser := func(name string) string { return strings.Replace(b.url(), "//", "//"+name+":x@", 1) }
	c := connect(t, withUser("all"), client.Options{})

	hasty := connect(t, withUser("all"), client.Options{NoStream: time.Millisecond})
	err := hasty.Publish(t.Context(), client.BatchStatus("b", "PROCESSING"))
	if !errors.Is(err, client.ErrNoStream) || !strings.Contains(err.Error(), "headway.events.default.b.batch") {
		t.Errorf("no stream: %v", err)
	}
	b.stream(nats.UserInfo("all", "x"))

	for subject, says := range map[string]string{
		"headway.elsewhere":        "isn't headway.events.",
		"headway.events.n.b":       "isn't headway.events.",
		"headway.events.n.b.":      "malformed",
		"headway.events.n.b.job.>": "malformed",
		"headway.events.*.b.batch": "namespace",
		"headway.events.n.a b.job": "batch",
	} {
		ack, err := c.PublishRawAsync(t.Context(), subject, nil, []byte("{}"))
		if err != nil {
			t.Fatal(err)
		}
		if err := ack.Wait(t.Context()); !errors.Is(err, client.ErrRejected) || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", subject, err)
		}
	}
	for _, size := range []int{100 << 10, 2 << 20} { // beyond the stream's limit, and beyond the server's
		ack, err := c.PublishRawAsync(t.Context(), "headway.events.n.b.batch", nil, make([]byte, size))
		if err != nil {
			t.Fatal(err)
		}
		if err := ack.Wait(t.Context()); !errors.Is(err, client.ErrRejected) {
			t.Errorf("%d bytes: %v", size, err)
		}
	}
	if err := c.Flush(t.Context()); !errors.Is(err, client.ErrRejected) || !strings.Contains(err.Error(), "8 events") {
		t.Errorf("flush: %v", err)
	}

	if testing.Short() {
		t.Skip("waits for an answer that doesn't come")
	}
	some := connect(t, withUser("some"), client.Options{Namespace: "own"})
	if err := some.Publish(t.Context(), client.BatchStatus("b", "PROCESSING")); err != nil {
		t.Errorf("permitted: %v", err)
	}
	foreign := connect(t, withUser("some"), client.Options{Namespace: "foreign"})
	if err := foreign.Publish(t.Context(), client.BatchStatus("b", "PROCESSING")); !errors.Is(err, client.ErrRejected) || !errors.Is(err, nats.ErrPermissionViolation) {
		t.Errorf("not permitted: %v", err)
	}
}

// One client serves many goroutines, and Close returns once everything is stored.
func TestConcurrent(t *testing.T) {
	b := startBroker(t, server.Options{})
	s := b.stream()
	c, err := client.Connect(b.url(), client.Options{MaxInFlight: 8})
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			for i := range 50 {
				batch := fmt.Sprintf("b%d", w)
				if i%2 == 0 {
					if err := c.Publish(t.Context(), client.CollectionCount(batch, "c", int64(i))); err != nil {
						t.Error(err)
					}
				} else if _, err := c.PublishAsync(t.Context(), client.CollectionCount(batch, "c", int64(i))); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if err := c.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := len(stored(t, s)); n != 200 {
		t.Errorf("%d are kept", n)
	}
	if err := c.Publish(t.Context(), client.BatchStatus("b", "PROCESSING")); !errors.Is(err, nats.ErrConnectionClosed) {
		t.Errorf("after Close: %v", err)
	}
	if _, err := client.Connect("nats://127.0.0.1:1", client.Options{}); err == nil || !strings.Contains(err.Error(), "127.0.0.1:1") {
		t.Errorf("nobody there: %v", err)
	}
}

func idOf(t *testing.T, data []byte) string {
	t.Helper()
	var d diagnostics.Decoder
	e, rejection := d.Decode(diagnostics.Message{Namespace: "n", Data: data})
	if rejection != nil {
		t.Fatal(rejection)
	}
	return strings.Clone(e.ID)
}
