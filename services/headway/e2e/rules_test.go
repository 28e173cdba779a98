package e2e

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/headwayhq/headway/pkg/diagnostics"
	"github.com/headwayhq/headway/pkg/eventlog"
	"github.com/headwayhq/headway/pkg/policy"
	"github.com/headwayhq/headway/pkg/viewstore"
)

// The rules of docs/protocol.md that need everything: real servers and all services.

// Rule 2: a worker that has nothing to do notices a wipe, and the views come back without a new event.
func TestRule2IdleWorkerNoticesWipe(t *testing.T) {
	s := newStack(t)
	s.ingest(policy.Default())
	seq := s.processing("a")
	before := s.folded("a", seq)
	if err := s.b.Redis.FlushAll(s.ctx).Err(); err != nil {
		t.Fatal(err)
	}
	after := s.folded("a", seq)
	if string(before.Append(nil)) != string(after.Append(nil)) {
		t.Error("the rebuilt view has other bytes")
	}
}

// Rule 5: a stream that was deleted and made again is another stream; nothing of the old one is shown.
func TestRule5RecreatedStream(t *testing.T) {
	s := newStack(t)
	s.ingest(policy.Default())
	for range 20 {
		s.folded("old", s.processing("old"))
	}
	js, err := jetstream.New(s.b.Conn)
	if err != nil {
		t.Fatal(err)
	}
	if err := js.DeleteStream(s.ctx, eventlog.EventsStream); err != nil {
		t.Fatal(err)
	}
	if err := eventlog.Provision(s.ctx, js, eventlog.Config{}); err != nil {
		t.Fatal(err)
	}
	seq := s.processing("new")
	s.folded("new", seq)
	if v, err := s.view("old"); err != nil || v != nil {
		t.Errorf("the old batch is still there: %v %v", v, err)
	}
}

// Rule 5: where the message at the cursor isn't the one that was folded, the stream lost its end and went
// on differently: everything is read again under a new identity.
func TestRule5AnotherMessageAtTheCursor(t *testing.T) {
	s := newStack(t)
	s.newIdentityAfter(s.b.Log.Partition("n", "a"), func(f *viewstore.Fence, seq uint64) { f.Cursor, f.CursorTime = seq, 12345 })
}

// newIdentityAfter changes a fence, while nobody works, in a way that ingest must take for another stream.
func (s *stack) newIdentityAfter(p int, change func(f *viewstore.Fence, seq uint64)) {
	s.t.Helper()
	stop := s.ingest(policy.Default())
	seq := s.processing("a")
	s.folded("a", seq)
	stop()
	identity := s.b.Store.Identity()
	s.editFence(p, func(f *viewstore.Fence) {
		change(f, seq)
		f.LeaseUntil = 0
	})
	s.ingest(policy.Default())
	s.eventually("a new identity", func() error {
		info, err := s.b.Log.Info(s.ctx)
		if err == nil && info.Identity == identity {
			return errors.New("still " + identity)
		}
		return err
	})
	s.folded("a", seq)
}

// Rule 5: a cursor beyond the stream's end means that the stream lost its end.
func TestRule5CursorBeyondTheEnd(t *testing.T) {
	s := newStack(t)
	s.newIdentityAfter(7, func(f *viewstore.Fence, _ uint64) { f.Cursor, f.CursorTime = f.Cursor+1_000_000, 0 })
}

// Rule 6: events that retention took before they were folded make views incomplete; a quiet partition,
// whose cursor the heartbeats moved along, is not passed.
func TestRule6Retention(t *testing.T) {
	s := newStack(t)
	stop := s.ingest(policy.Default())
	seq := s.processing("a")
	s.folded("a", seq)
	p := s.b.Log.Partition("n", "a")
	stop()
	s.processing("a") // never folded
	last := s.processing("a")
	js, err := jetstream.New(s.b.Conn)
	if err != nil {
		t.Fatal(err)
	}
	stream, err := js.Stream(s.ctx, eventlog.EventsStream)
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.Purge(s.ctx, jetstream.WithPurgeSequence(last)); err != nil {
		t.Fatal(err)
	}
	stop = s.ingest(policy.Default())
	if v := s.folded("a", last); !v.Incomplete {
		t.Error("events were lost, and the view doesn't say so")
	}
	// All partitions stand at the end now. What is purged up to there was folded: nothing is lost.
	stop()
	quiet := "quiet"
	for i := 0; s.b.Log.Partition("n", quiet) == p; i++ {
		quiet = fmt.Sprint("quiet", i)
	}
	if err := stream.Purge(s.ctx, jetstream.WithPurgeSequence(last)); err != nil {
		t.Fatal(err)
	}
	s.ingest(policy.Default())
	if v := s.folded(quiet, s.processing(quiet)); v.Incomplete {
		t.Error("nothing was lost, but the view says so")
	}
}

// Rule 7: in a quiet stream with one event in one partition, all partitions reach the end and their watermarks follow the
// server's time.
func TestRule7QuietPartitionsAreFresh(t *testing.T) {
	s := newStack(t)
	s.ingest(policy.Default())
	seq := s.processing("a")
	s.folded("a", seq)
	now := time.Now()
	s.eventually("all watermarks beyond the present", func() error {
		fences, err := s.b.Store.Fences(s.ctx)
		if err != nil {
			return err
		}
		for p, f := range fences {
			if f == nil || !f.Complete || f.Cursor < seq || f.Watermark <= now.UnixNano() {
				return fmt.Errorf("p%02d: %+v", p, f)
			}
		}
		return nil
	})
}

// Rule 8: after an outage timers are judged as of the time before it, for a while, because producers come back later than
// Headway.
func TestRule8NoStallStormAfterOurOutage(t *testing.T) {
	short := policies(t, `default: {window_gpu: 5s, timeout: 5s, scaling_delay: 1s, hold: 1m}`)
	s := newStack(t)
	stop := s.ingest(short)
	s.processing("a")
	s.folded("a", s.say("a", "job.j", diagnostics.TypeJobV1, `{"tier_num":0,"submission_id":"j","status":"RUNNING","processed_documents":1}`))
	stop()
	// As if we had been away for a minute: all of the record's times lie that far back.
	away := int64(time.Minute)
	for p := range s.b.Store.Partitions() {
		s.editFence(p, func(f *viewstore.Fence) {
			f.Watermark -= away
			f.JudgeAt -= away
		})
	}
	p := s.b.Log.Partition("n", "a")
	before, err := s.b.Store.Fence(s.ctx, p)
	if err != nil {
		t.Fatal(err)
	}
	s.ingest(short)
	s.detector(short)
	s.eventually("the watermark is fresh, the judge holds", func() error {
		f, err := s.b.Store.Fence(s.ctx, p)
		if err != nil {
			return err
		}
		if f.Watermark-before.Watermark < away/2 {
			return fmt.Errorf("watermark moved by %v", time.Duration(f.Watermark-before.Watermark))
		}
		if f.JudgeAt != before.JudgeAt || f.HoldUntil <= f.Watermark {
			return fmt.Errorf("judged at %v, held until %v", f.JudgeAt-before.JudgeAt, f.HoldUntil)
		}
		return nil
	})
}

// Rule 9: under a new policy the due index gets new scores, so a batch that is stuck by the new thresholds is found.
func TestRule9NewPolicyIsApplied(t *testing.T) {
	s := newStack(t)
	stop := s.ingest(policy.Default())
	s.processing("a")
	s.folded("a", s.say("a", "job.j", diagnostics.TypeJobV1, `{"tier_num":0,"submission_id":"j","status":"PENDING"}`))
	stop()
	short := policies(t, `default: {window_gpu: 1s, scaling_delay: 100ms}`)
	s.ingest(short)
	s.detector(short)
	s.announced("a", diagnostics.HealthStuck)
}

// A new policy announces each batch whose health it changes once, also while detectors that have the old one run on: the two would
// otherwise correct each other for ever.
func TestRule9PolicyChangeAnnouncesOnce(t *testing.T) {
	patient := policies(t, `default: {window_gpu: 30m, scaling_delay: 100ms}`)
	strict := policies(t, `default: {window_gpu: 1s, scaling_delay: 100ms}`)
	s := newStack(t)
	stop := s.ingest(patient)
	s.detector(patient)
	batches := []string{"a", "b", "c", "d", "e"}
	for _, b := range batches {
		s.processing(b)
		s.say(b, "job.j", diagnostics.TypeJobV1, `{"tier_num":0,"submission_id":"j","status":"PENDING"}`)
	}
	for _, b := range batches {
		s.announced(b, diagnostics.HealthScaling)
	}
	s.detector(strict)
	s.judgedFor(3*time.Second, batches)
	stop()
	s.ingest(strict)
	for _, b := range batches {
		s.announced(b, diagnostics.HealthStuck)
	}
	s.judgedFor(6*time.Second, batches)
	js, err := jetstream.New(s.b.Conn)
	if err != nil {
		t.Fatal(err)
	}
	said := map[string][]string{}
	readAll(s.ctx, t, js, "HEADWAY_HEALTH", func(m jetstream.Msg) {
		to := regexp.MustCompile(`"to":"(\w+)"`).FindSubmatch(m.Data())
		said[m.Subject()] = append(said[m.Subject()], string(to[1]))
	})
	for _, b := range batches {
		if got := said["headway.health.n."+b]; !slices.Equal(got, []string{"scaling", "stuck"}) {
			t.Errorf("%s was announced as %v", b, got)
		}
	}
}

// judgedFor waits until the partitions of the batches are judged as of a moment that lies d ahead now.
func (s *stack) judgedFor(d time.Duration, batches []string) {
	s.t.Helper()
	until := time.Now().Add(d)
	s.eventually(fmt.Sprintf("judged for %v", d), func() error {
		for _, b := range batches {
			f, err := s.b.Store.Fence(s.ctx, s.b.Log.Partition("n", b))
			if err != nil || f == nil || f.AsOf().Before(until) {
				return fmt.Errorf("%s: %+v %w", b, f, err)
			}
		}
		return nil
	})
}

// announced waits until a batch's last announcement says h, and returns the view.
func (s *stack) announced(batch string, h diagnostics.Health) *diagnostics.View {
	s.t.Helper()
	var v *diagnostics.View
	s.eventually(fmt.Sprintf("%s announced %v", batch, h), func() (err error) {
		if v, err = s.view(batch); err != nil {
			return err
		}
		if v == nil || v.LastAnnounced() != h {
			return fmt.Errorf("it is %+v", v)
		}
		return nil
	})
	return v
}

// Rules 10 and 11: of several detectors one announces. Each change has one id, and a correction follows.
func TestRule10And11OneAnnouncementOfManyDetectors(t *testing.T) {
	short := policies(t, `default: {window_gpu: 1s, timeout: 30m, scaling_delay: 100ms}`)
	s := newStack(t)
	s.ingest(short)
	for range 3 {
		s.detector(short)
	}
	s.processing("a")
	s.say("a", "job.j", diagnostics.TypeJobV1, `{"tier_num":0,"submission_id":"j","status":"PENDING"}`)
	s.announced("a", diagnostics.HealthStuck)
	s.say("a", "job.j", diagnostics.TypeJobV1, `{"tier_num":0,"submission_id":"j","status":"RUNNING","processed_documents":3}`)
	s.announced("a", diagnostics.HealthOK)
	js, err := jetstream.New(s.b.Conn)
	if err != nil {
		t.Fatal(err)
	}
	checkHealth(s.ctx, t, js, nil)
}

// Rule 12: an invalid message becomes one dead letter, however often the log is read again.
func TestRule12PoisonOnceAcrossRebuilds(t *testing.T) {
	s := newStack(t)
	s.ingest(policy.Default())
	if _, err := s.b.Log.Publish(s.ctx, "headway.events.n.a.batch", nil, []byte("poison")); err != nil {
		t.Fatal(err)
	}
	seq := s.processing("a")
	s.folded("a", seq)
	for range 2 {
		if err := s.b.Redis.FlushAll(s.ctx).Err(); err != nil {
			t.Fatal(err)
		}
		s.folded("a", seq)
	}
	var got []eventlog.DeadLetter
	if err := s.b.Log.DeadLetters(s.ctx, func(d eventlog.DeadLetter) error { got = append(got, d); return nil }); err != nil {
		t.Fatal(err)
	}
	if len(got) != 1 || got[0].Seq != seq-1 || got[0].Reason == "" || string(got[0].Data) != "poison" {
		t.Errorf("%+v", got)
	}
}

// Rule 16: what changes with time alone is told within three seconds by a stream, a list and its stream, although no event comes
// and no detector announces anything.
func TestRule16TimeAloneIsTold(t *testing.T) {
	const within = 3 * time.Second
	s := newStack(t)
	p := policies(t, "default: {window_gpu: 4s, window_no_gpu: 4s}")
	s.ingest(p)
	base := s.front(p)
	begun := time.Now()
	s.processing("late")
	seq := s.say("late", "job", diagnostics.TypeJobV1, `{"tier_num":0,"submission_id":"raysubmit_1","status":"PENDING"}`)
	s.folded("late", seq)
	type told struct {
		of string
		at time.Time
	}
	tells := make(chan told, 16)
	listen := func(of, path string) {
		s.run(func(ctx context.Context) error {
			_ = sse(ctx, base+path, func(_, name string, data []byte) {
				if name != "counts" && strings.Contains(string(data), `"health":"stuck"`) {
					tells <- told{of, time.Now()}
				}
			})
			return nil
		})
	}
	listen("the batch's stream", "/v1/analytics/performance/batches/late/diagnostics/stream?namespace=n")
	listen("the list's stream", "/v1/batches/stream?namespace=n")
	heard := map[string]bool{}
	for len(heard) < 2 {
		one := <-tells
		if late := one.at.Sub(begun.Add(4 * time.Second)); !heard[one.of] && late > within {
			t.Errorf("%s told it %v late", one.of, late)
		}
		heard[one.of] = true
	}
	s.eventually("the list", func() error {
		body, err := bodyOf(base + "/v1/batches?namespace=n&health=stuck")
		if err == nil && !strings.Contains(body, `"batch_id":"late"`) {
			err = errors.New(body)
		}
		return err
	})
}

func bodyOf(url string) (string, error) {
	res, err := http.Get(url) //nolint:noctx // of this process
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	return string(body), err
}
