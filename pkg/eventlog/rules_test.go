package eventlog

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/headwayhq/headway/pkg/headwaytest"
)

func stream(t *testing.T, nc *nats.Conn, name string) (jetstream.JetStream, jetstream.Stream) {
	t.Helper()
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	s, err := js.Stream(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	return js, s
}

func TestProvisionByManyAtOnce(t *testing.T) {
	n := headwaytest.NATS(t)
	errs := make([]error, 8)
	var wg sync.WaitGroup
	for i := range errs {
		js, err := jetstream.New(n.Conn())
		if err != nil {
			t.Fatal(err)
		}
		wg.Go(func() { errs[i] = Provision(t.Context(), js, Config{First: 1}) })
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Error(err)
	}
}

// Settings that decide what is stored where must match, and the error names the one that doesn't. Settings that operators tune
// may differ.
func TestProvisionNamesTheField(t *testing.T) {
	for field, change := range map[string]func(*jetstream.StreamConfig){
		"subjects is": func(c *jetstream.StreamConfig) { c.Subjects = append(c.Subjects, "elsewhere") },
		"subject_transform is": func(c *jetstream.StreamConfig) {
			c.SubjectTransform.Destination = "headway.log.0.{{wildcard(1)}}.{{wildcard(2)}}.>"
		},
		"max_msgs_per_subject is": func(c *jetstream.StreamConfig) { c.MaxMsgsPerSubject = 5 },
		"":                        func(c *jetstream.StreamConfig) { c.MaxAge, c.Description = time.Hour, "tuned" },
	} {
		nc := headwaytest.NATS(t).Conn()
		js, err := jetstream.New(nc)
		if err != nil {
			t.Fatal(err)
		}
		c := Config{First: 1}.withDefaults().events()
		change(&c)
		if _, err := js.CreateStream(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		err = Provision(t.Context(), js, Config{First: 1})
		if field == "" {
			if err != nil {
				t.Errorf("tuned: %v", err)
			}
			continue
		}
		if !errors.Is(err, ErrMismatch) || !strings.Contains(err.Error(), field) || !strings.Contains(err.Error(), EventsStream) {
			t.Errorf("%s: %v", field, err)
		}
	}
}

func TestProvisionNamesTheSources(t *testing.T) {
	nc := headwaytest.NATS(t).Conn()
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	c := Config{First: 1}.withDefaults().health()
	c.Sources[0].SubjectTransforms[0].Source = "headway.log.*.*.*.batch"
	if _, err := js.CreateStream(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), nc, Config{First: 1}); !errors.Is(err, ErrMismatch) || !strings.Contains(err.Error(), "sources is") {
		t.Error(err)
	}
}

func TestInfoOfAnEmptyStream(t *testing.T) {
	l, nc := open(t)
	want := func(when string, first, last uint64) {
		t.Helper()
		if i, err := l.Info(t.Context()); err != nil || i.First != first || i.Last != last || i.Now.IsZero() {
			t.Errorf("%s: %+v %v", when, i, err)
		}
	}
	want("new", 1, 0)
	publish(t, l, "headway.events.n.b.batch", nil)
	want("of one", 1, 1)
	_, s := stream(t, nc, EventsStream)
	if err := s.Purge(t.Context()); err != nil {
		t.Fatal(err)
	}
	want("purged", 2, 1)
	if n, err := l.LastSeq(t.Context(), -1); err != nil || n != 0 {
		t.Errorf("the last of none is %d (%v)", n, err)
	}
	if _, found, err := l.StoredAt(t.Context(), 1); err != nil || found {
		t.Errorf("a purged message: %t %v", found, err)
	}
}

// The server comes back with an older state of the stream than the reader has seen. The reader delivers nothing of the new
// history, not even the message with the sequence that it waits for.
func TestRule5TruncatedWhileReading(t *testing.T) {
	n := headwaytest.NATS(t)
	l, err := Open(t.Context(), n.Conn(), Config{First: 1})
	if err != nil {
		t.Fatal(err)
	}
	for range 5 {
		publish(t, l, "headway.events.n.b.batch", []byte("old"))
	}
	n.Shutdown()
	before := t.TempDir()
	if err := os.CopyFS(before, os.DirFS(n.Dir())); err != nil {
		t.Fatal(err)
	}
	n.Restart()
	publishUntil(t, l, 10, "old")
	identity, got, ended := reading(t, l, 10)
	at, found, err := l.StoredAt(t.Context(), 10)
	if err != nil || !found {
		t.Fatal(found, err)
	}

	n.Shutdown()
	if err := errors.Join(os.RemoveAll(n.Dir()), os.CopyFS(n.Dir(), os.DirFS(before))); err != nil {
		t.Fatal(err)
	}
	n.Restart()
	publishUntil(t, l, 12, "new")
	awaitEnd(t, ended)
	for len(got) > 0 {
		m := <-got
		t.Errorf("%d %q was handed on", m.Seq, m.Data)
	}
	if now, found, err := l.StoredAt(t.Context(), 10); err != nil || !found || now.Equal(at) {
		t.Errorf("the message at the cursor tells nothing: %v, was %v (%v)", now, at, err)
	}
	next, err := l.BumpIncarnation(t.Context(), identity)
	if err != nil || next == identity {
		t.Fatalf("%s %v", next, err)
	}
	err = l.Read(t.Context(), ReadOptions{From: 1, Partition: -1, Identity: identity}, func(Message) error { return errors.New("handed on") })
	if !errors.Is(err, ErrIdentityChanged) {
		t.Errorf("under the old identity: %v", err)
	}
	count := 0
	read(t, l, ReadOptions{From: 1, Partition: -1}, 12, func(Message) { count++ })
	if count != 12 {
		t.Errorf("%d of the new history", count)
	}
}

// publishUntil publishes messages up to a sequence, through a server that may still be restarting.
func publishUntil(t *testing.T, l *Log, last uint64, data string) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; {
		seq, err := l.Publish(t.Context(), "headway.events.n.b.batch", nil, []byte(data))
		if seq >= last {
			return
		}
		if err != nil && time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
}

type delivery struct {
	jetstream.Msg

	reply string
}

func (d delivery) Reply() string        { return d.reply }
func (d delivery) Subject() string      { return "headway.log.3.n.b.batch" }
func (d delivery) Data() []byte         { return nil }
func (d delivery) Headers() nats.Header { return nil }

// A message that was delivered before isn't delivered again, and one whose position can't be determined ends the reading.
func TestReaderTakesEachOnce(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	var got []uint64
	r := &reader{ctx: ctx, cancel: cancel, last: 5, sink: func(m Message) error { got = append(got, m.Seq); return nil }}
	for _, seq := range []int{4, 5, 6, 6, 5, 8} {
		r.take(delivery{reply: fmt.Sprintf("$JS.ACK.HEADWAY_EVENTS.abc_1.1.%d.7.1700000000000000001.3", seq)})
	}
	r.take(delivery{reply: "_INBOX.x"})
	r.take(delivery{reply: "$JS.ACK.HEADWAY_EVENTS.abc_1.1.9.7.1700000000000000001.3"})
	if fmt.Sprint(got) != "[6 8]" || ctx.Err() == nil {
		t.Errorf("handed on: %v, ended: %v", got, context.Cause(ctx))
	}
}

// Whoever finds the loss, concurrently or one after the other, computes the same next identity. All other metadata of the stream
// stays.
func TestRule5BumpByMany(t *testing.T) {
	l, nc := open(t)
	js, s := stream(t, nc, EventsStream)
	c := s.CachedInfo().Config
	c.Metadata = map[string]string{"team": "x"}
	if _, err := js.UpdateStream(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	from, err := l.Info(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	next := make([]string, 8)
	errs := make([]error, len(next))
	var wg sync.WaitGroup
	for i := range next {
		wg.Go(func() { next[i], errs[i] = l.BumpIncarnation(t.Context(), from.Identity) })
	}
	wg.Wait()
	now, err := l.Info(t.Context())
	if err := errors.Join(append(errs, err)...); err != nil {
		t.Fatal(err)
	}
	for _, got := range next {
		if got != now.Identity || got == from.Identity {
			t.Errorf("%s became %s, and %s for one", from.Identity, now.Identity, got)
		}
	}
	third, err := l.BumpIncarnation(t.Context(), now.Identity)
	if err != nil || third == now.Identity {
		t.Fatalf("%s %v", third, err)
	}
	for _, late := range []string{from.Identity, "another_0"} { // found long ago, or of a stream that doesn't exist any more
		if got, err := l.BumpIncarnation(t.Context(), late); err != nil || got != third {
			t.Errorf("who comes late from %s arrives at %s, not %s (%v)", late, got, third, err)
		}
	}
	if i, err := l.Info(t.Context()); err != nil || i.Identity != third {
		t.Errorf("%+v %v, want %s", i, err, third)
	}
	if _, s = stream(t, nc, EventsStream); s.CachedInfo().Config.Metadata["team"] != "x" {
		t.Errorf("metadata %v", s.CachedInfo().Config.Metadata)
	}
	if _, err := Open(t.Context(), nc, Config{First: 1}); err != nil {
		t.Errorf("a stream of a later incarnation is refused: %v", err)
	}
}

// An announcement has no message id, and is compared with the subject as stored, whatever the number of partitions.
func TestRule10NoIDAndTheStoredSubject(t *testing.T) {
	nc := headwaytest.NATS(t).Conn()
	l, err := Open(t.Context(), nc, Config{Partitions: 7, First: 1})
	if err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	// Message ids of others, even if equal to anything in an announcement, make no announcement a duplicate.
	for _, id := range []string{"b.1", "b-1", "n.b.1", "1"} {
		if _, err := l.Publish(ctx, "headway.events.n.x.batch", nats.Header{jetstream.MsgIDHeader: {id}}, nil); err != nil {
			t.Fatal(err)
		}
	}
	var wrong WrongLastError
	if _, err := l.PublishHealth(ctx, "n", "b", 3, nil); !errors.As(err, &wrong) || wrong.Last != 0 {
		t.Errorf("expecting one where there is none: %v", err)
	}
	last := uint64(0)
	_, s := stream(t, nc, EventsStream)
	for i := range 3 {
		seq, err := l.PublishHealth(ctx, "n", "b", last, []byte("same"))
		if err != nil || seq <= last {
			t.Fatalf("announcement %d: %d %v", i, seq, err)
		}
		last = seq
		m, err := s.GetMsg(ctx, seq)
		if err != nil {
			t.Fatal(err)
		}
		if want := fmt.Sprintf("headway.log.%d.n.b.health", Partition("n", "b", 7)); m.Subject != want {
			t.Errorf("stored on %s, want %s", m.Subject, want)
		}
		if id := m.Header.Get(jetstream.MsgIDHeader); id != "" {
			t.Errorf("it bears the id %q", id)
		}
		if kind := m.Header["content-type"]; len(kind) != 1 || kind[0] != "application/cloudevents+json" {
			t.Errorf("its headers are %v", m.Header)
		}
		if _, err := l.PublishHealth(ctx, "n", "other", 0, nil); i == 0 && err != nil {
			t.Errorf("another batch: %v", err)
		}
	}
	if _, err := l.PublishHealth(ctx, "n", "b", 0, nil); !errors.As(err, &wrong) || wrong.Last != last {
		t.Errorf("refused with %+v, the last is %d", wrong, last)
	}
}

// Of two concurrent announcements one is stored, and the other gets an error with the stored one's sequence.
func TestRule10OneOfMany(t *testing.T) {
	l, _ := open(t)
	var mu sync.Mutex
	var won []uint64
	var told []uint64
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			seq, err := l.PublishHealth(t.Context(), "n", "b", 0, nil)
			mu.Lock()
			defer mu.Unlock()
			var wrong WrongLastError
			switch {
			case err == nil:
				won = append(won, seq)
			case errors.As(err, &wrong):
				told = append(told, wrong.Last)
			default:
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if len(won) != 1 || len(told) != 7 {
		t.Fatalf("%d were stored, %d refused", len(won), len(told))
	}
	for _, last := range told {
		if last != won[0] {
			t.Errorf("refused with %d, the one is %d", last, won[0])
		}
	}
}

// The stream of health gets the changes of health and nothing else, a kind or batch of that name included.
func TestHealthStreamIsExact(t *testing.T) {
	l, nc := open(t)
	for _, subject := range []string{"n.b.batch", "n.b.job.health", "n.health.batch", "health.b.tier", "n.b.health.more"} {
		publish(t, l, "headway.events."+subject, []byte(subject))
	}
	for _, batch := range []string{"b", "health"} {
		if _, err := l.PublishHealth(t.Context(), "n", batch, 0, []byte(batch)); err != nil {
			t.Fatal(err)
		}
	}
	_, s := stream(t, nc, HealthStream)
	var have map[string]uint64
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); {
		info, err := s.Info(t.Context(), jetstream.WithSubjectFilter(">"))
		if err != nil {
			t.Fatal(err)
		}
		if have = info.State.Subjects; info.State.Msgs >= 2 {
			break
		}
	}
	if len(have) != 2 || have["headway.health.n.b"] != 1 || have["headway.health.n.health"] != 1 {
		t.Errorf("it holds %v", have)
	}
}

// A dead letter keeps its content through two corrections, and the log loses nothing.
func TestRule12CorrectedKeepsIt(t *testing.T) {
	l, nc := open(t)
	ctx := t.Context()
	payload := bytes.Repeat([]byte("a"), 900<<10)
	seq := publish(t, l, "headway.events.n.b.batch", payload)
	info, err := l.Info(ctx)
	if err != nil {
		t.Fatal(err)
	}
	d := DeadLetter{
		Identity: info.Identity, Seq: seq, Subject: "headway.log.1.n.b.batch", Field: "a\r\nb\x1bc", Stored: info.Now,
		Reason: strings.Repeat("€", 1000), Data: payload, Header: nats.Header{"Ce-Id": {"1", "2"}, "Big": {strings.Repeat("x", 20<<10)}},
	}
	if err := l.DeadLetter(ctx, d); err != nil {
		t.Fatal(err)
	}
	first, err := l.DeadLetterByID(ctx, d.ID())
	if err != nil {
		t.Fatal(err)
	}
	if first.Field != "a  b c" || !utf8.ValidString(first.Reason) || len(first.Reason) < 990 || len(first.Reason) > 1000 || !first.Stored.Equal(d.Stored) {
		t.Errorf("%q, reason of %d bytes (valid: %t), stored %v", first.Field, len(first.Reason), utf8.ValidString(first.Reason), first.Stored)
	}
	when := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for i := range 2 {
		if err := l.MarkCorrected(ctx, d.ID(), when.Add(time.Duration(i)*time.Hour)); err != nil {
			t.Fatal(err)
		}
	}
	second, err := l.DeadLetterByID(ctx, d.ID())
	if err != nil {
		t.Fatal(err)
	}
	if !second.Corrected.Equal(when.Add(time.Hour)) {
		t.Errorf("corrected at %v", second.Corrected)
	}
	second.Corrected = time.Time{}
	if got, want := fmt.Sprintf("%+v", second), fmt.Sprintf("%+v", first); got != want {
		t.Error("mending changed what it says")
	}
	_, s := stream(t, nc, DeadStream)
	if n := s.CachedInfo().State.Msgs; n != 1 {
		t.Errorf("%d letters", n)
	}
	_, s = stream(t, nc, EventsStream)
	if m, err := s.GetMsg(ctx, seq); err != nil || len(m.Data) != len(payload) {
		t.Errorf("the original: %v", err)
	}
	if err := l.MarkCorrected(ctx, "x_0.1", when); !errors.Is(err, ErrNoDeadLetter) {
		t.Errorf("mending none: %v", err)
	}
}

// A reader that is blocked has only little data on its way to it: the server closes connections that fall too far behind.
func TestReaderAsksForFewBytes(t *testing.T) {
	s := headwaytest.NATS(t)
	l, err := Open(t.Context(), s.Conn(), Config{First: 1})
	if err != nil {
		t.Fatal(err)
	}
	const events, size = 64, 500 << 10
	for range events {
		publish(t, l, "headway.events.n.b.batch", make([]byte, size))
	}
	nc := s.Conn()
	reads, err := Open(t.Context(), nc, Config{First: 1})
	if err != nil {
		t.Fatal(err)
	}
	info, err := l.Info(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	release, done, n := make(chan struct{}), errors.New("done"), 0
	ended := make(chan error, 1)
	before := nc.Stats().InBytes
	go func() {
		ended <- reads.Read(t.Context(), ReadOptions{From: 1, Partition: -1, Identity: info.Identity}, func(Message) error {
			if n++; n == 1 {
				<-release
			}
			if n == events {
				return done
			}
			return nil
		})
	}()
	came := uint64(0)
	for same := 0; same < 50; same++ { // until nothing more comes
		if _, err := nc.RTT(); err != nil {
			t.Fatal(err)
		}
		if now := nc.Stats().InBytes - before; now != came || now < size {
			came, same = now, 0
		}
	}
	if most := uint64(onTheWay + 2*size); came > most {
		t.Errorf("%d bytes came while the first event was handled, want at most %d", came, most)
	}
	close(release)
	if err := <-ended; !errors.Is(err, done) {
		t.Errorf("%d of %d events: %v", n, events, err)
	}
}

// Rule 27: the server says that a subject whose messages were purged has none, so 0 is expected of an announcement that isn't in the log
// any more.
func TestRule27AnnouncementsThatAreGone(t *testing.T) {
	l, _ := open(t)
	first, err := l.PublishHealth(t.Context(), "n", "b", 0, []byte("1"))
	if err != nil {
		t.Fatal(err)
	}
	after, err := l.Publish(t.Context(), "headway.events.n.b.job.x", nil, []byte("{}"))
	if err != nil {
		t.Fatal(err)
	}
	info, err := l.Info(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if left, err := l.Purge(t.Context(), info.Identity, first); err != nil || left != after {
		t.Fatalf("the log begins at %d, %v", left, err)
	}
	if _, err := l.PublishHealth(t.Context(), "n", "b", first, []byte("2")); err != nil {
		t.Errorf("after the first announcement was removed: %v", err)
	}
	var wrong WrongLastError
	if _, err := l.PublishHealth(t.Context(), "n", "b", first, []byte("2 again")); !errors.As(err, &wrong) || wrong.Last == 0 {
		t.Errorf("an old request against a newer announcement: %v", err)
	}
}

// Rule 25: a purge never takes the last event, nor moves the end of the log, whatever is asked for.
func TestRule25PurgeNeverPassesTheEnd(t *testing.T) {
	l, _ := open(t)
	info, err := l.Info(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if left, err := l.Purge(t.Context(), info.Identity, 1<<40); err != nil || left != info.First {
		t.Errorf("an empty log begins at %d, %v", left, err)
	}
	var last uint64
	for range 3 {
		if last, err = l.Publish(t.Context(), "headway.events.n.b.job.x", nil, []byte("{}")); err != nil {
			t.Fatal(err)
		}
	}
	if left, err := l.Purge(t.Context(), info.Identity, 1<<40); err != nil || left != last {
		t.Errorf("the log begins at %d, want its last event %d (%v)", left, last, err)
	}
	if next, err := l.Publish(t.Context(), "headway.events.n.b.job.x", nil, []byte("{}")); err != nil || next != last+1 {
		t.Errorf("the next event is %d, want %d (%v)", next, last+1, err)
	}
	if _, err := l.Purge(t.Context(), "another_0", last); !errors.Is(err, ErrIdentityChanged) {
		t.Errorf("a purge of another log: %v", err)
	}
}
