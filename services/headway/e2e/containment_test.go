package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/headwayhq/headway/pkg/diagnostics"
	"github.com/headwayhq/headway/pkg/eventlog"
	"github.com/headwayhq/headway/pkg/viewstore"
	"github.com/headwayhq/headway/services/detector"
)

const pendingJob = `{"tier_num":0,"submission_id":"j","status":"PENDING"%s}`

// inPartition returns the name of a batch that is in a partition.
func (s *stack) inPartition(p int, prefix string) string {
	for i := 0; ; i++ {
		if name := fmt.Sprintf("%s%d", prefix, i); s.b.Log.Partition("n", name) == p {
			return name
		}
	}
}

// A batch with an event of the maximum size and one with a damaged view, both in the partition that is judged first, prevent no
// other announcement. The large batch is announced as well, within the size limit.
func TestOddBatchesSilenceNobody(t *testing.T) {
	short := policies(t, `default: {window_gpu: 1s, scaling_delay: 100ms}`)
	s := newStack(t)
	s.ingest(short)
	large, damaged := s.inPartition(0, "large"), s.inPartition(0, "damaged")
	demand := fmt.Sprintf(`,"waiting_on":{"kind":"resources","since":%q,"demand":{"GPU":1,"why":%q}}`, time.Now().UTC().Format(time.RFC3339Nano), strings.Repeat("x", 600<<10))
	s.processing(large)
	s.folded(large, s.sayAs("large-job", large, "job.j", diagnostics.TypeJobV1, fmt.Sprintf(pendingJob, demand)))
	s.processing(damaged)
	s.folded(damaged, s.say(damaged, "job.j", diagnostics.TypeJobV1, fmt.Sprintf(pendingJob, "")))
	store, err := s.store()
	if err != nil {
		t.Fatal(err)
	}
	key := fmt.Sprintf("hw:{p00}:%s-%d:v:n:%s", store.Identity(), store.Fold(), damaged)
	if err := s.b.Redis.Set(s.ctx, key, "no view at all", 0).Err(); err != nil {
		t.Fatal(err)
	}
	others := make([]string, 40)
	for i := range others {
		others[i] = fmt.Sprint("other", i)
		s.processing(others[i])
		s.say(others[i], "job.j", diagnostics.TypeJobV1, fmt.Sprintf(pendingJob, ""))
	}
	s.detector(short)
	for _, batch := range append(others, large) {
		s.announced(batch, diagnostics.HealthStuck)
	}
	js, err := jetstream.New(s.b.Conn)
	if err != nil {
		t.Fatal(err)
	}
	checkHealth(s.ctx, t, js, nil)
	readAll(s.ctx, t, js, eventlog.HealthStream, func(m jetstream.Msg) {
		if len(m.Data()) > 32<<10 {
			t.Errorf("%s has %d bytes", m.Subject(), len(m.Data()))
		}
		if !strings.HasSuffix(m.Subject(), large) {
			return
		}
		if !bytes.Contains(m.Data(), []byte(`"demand":{"bytes":614418,"truncated":true}`)) || bytes.Contains(m.Data(), []byte("× bytes")) {
			t.Errorf("the large batch's announcement: %.2000s", m.Data())
		}
	})
}

// sayAs is say with an id of its own, because the data is too long to be part of the id.
func (s *stack) sayAs(id, batch, kind, eventType, data string) uint64 {
	s.t.Helper()
	seq, err := s.b.Log.Publish(s.ctx, "headway.events.n."+batch+"."+kind, nil, fmt.Appendf(nil,
		`{"specversion":"1.0","id":%q,"source":"test","type":%q,"time":%q,"data":%s}`, id, eventType, time.Now().UTC().Format(time.RFC3339Nano), data))
	if err != nil {
		s.t.Fatal(err)
	}
	return seq
}

// holding returns what was due when it was read, but only after it is released.
type holding struct {
	detector.Store

	once sync.Once
	held chan struct{} // closed once something due is held
	free chan struct{}
}

func (h *holding) Due(ctx context.Context, limit int) ([]viewstore.DuePartition, error) {
	due, err := h.Store.Due(ctx, limit)
	if err == nil && len(due) > 0 {
		h.once.Do(func() {
			close(h.held)
			<-h.free
		})
	}
	return due, err
}

// Rule 10: a detector has a stale view while another one announces the change, which is folded. The first doesn't announce the
// same ordinal again, neither against the sequence that it expected, nor against the one from the error.
func TestRule10StaleDetector(t *testing.T) {
	short := policies(t, `default: {window_gpu: 1s, scaling_delay: 100ms}`)
	s := newStack(t)
	s.ingest(short)
	s.processing("a")
	s.folded("a", s.say("a", "job.j", diagnostics.TypeJobV1, fmt.Sprintf(pendingJob, "")))

	h := &holding{held: make(chan struct{}), free: make(chan struct{})}
	open := func(identity string) detector.Store {
		h.Store = detector.OnStore(s.b.Store)(identity)
		return h
	}
	slow := detector.New(detector.Options{Log: s.b.Log, Store: open, Policies: short, Poll: 50 * time.Millisecond})
	s.run(slow.Run)
	<-h.held
	s.detector(short)
	s.announced("a", diagnostics.HealthStuck)
	ordinals := s.countHealth("a")
	close(h.free)
	s.eventually("the slow detector judges again", slow.Ready)
	// The entry that it held is settled once a later announcement of the same batch is folded.
	s.say("a", "job.j", diagnostics.TypeJobV1, `{"tier_num":0,"submission_id":"j","status":"RUNNING","processed_documents":3}`)
	s.announced("a", diagnostics.HealthOK)
	if n := s.countHealth("a"); n != ordinals+1 {
		t.Errorf("%d announcements, want %d", n, ordinals+1)
	}
	js, err := jetstream.New(s.b.Conn)
	if err != nil {
		t.Fatal(err)
	}
	checkHealth(s.ctx, t, js, nil)
}

// countHealth returns how many announcements of a batch are in the log.
func (s *stack) countHealth(batch string) (n int) {
	s.t.Helper()
	s.health(func(m eventlog.Message) {
		if strings.HasSuffix(m.Subject, ".n."+batch+".health") {
			n++
		}
	})
	return n
}

// health hands on every health event that the log holds.
func (s *stack) health(each func(eventlog.Message)) {
	s.t.Helper()
	info, err := s.b.Log.Info(s.ctx)
	if err != nil {
		s.t.Fatal(err)
	}
	enough := errors.New("enough")
	err = s.b.Log.Read(s.ctx, eventlog.ReadOptions{From: 1, Partition: -1, Identity: info.Identity}, func(m eventlog.Message) error {
		if strings.HasSuffix(m.Subject, ".health") {
			each(m)
		}
		if m.Seq >= info.Last {
			return enough
		}
		return nil
	})
	if !errors.Is(err, enough) {
		s.t.Fatal(err)
	}
}

// Each stream that is deleted while events arrive is created again. Announcements and dead letters continue, and the new stream
// has everything except what was acknowledged before the deletion.
func TestStreamsDeletedUnderLoad(t *testing.T) {
	short := policies(t, `default: {window_gpu: 1s, scaling_delay: 100ms}`)
	for _, name := range []string{eventlog.HealthStream, eventlog.DeadStream, eventlog.EventsStream} {
		t.Run(name, func(t *testing.T) {
			s := newStack(t)
			s.ingest(short)
			s.detector(short)
			js, err := jetstream.New(s.b.Conn)
			if err != nil {
				t.Fatal(err)
			}
			stuck := func(batch string) { // publishes until it is acknowledged, as producers do
				for _, e := range [][2]string{{"batch", `{"status":"PROCESSING"}`}, {"job.j", fmt.Sprintf(pendingJob, "")}} {
					s.publish(batch, e[0], map[string]string{"batch": diagnostics.TypeBatchV1, "job.j": diagnostics.TypeJobV1}[e[0]], e[1])
				}
			}
			load, end := context.WithCancel(s.ctx)
			var wg sync.WaitGroup
			defer wg.Wait()
			defer end()
			wg.Go(func() {
				for i := 0; load.Err() == nil; i++ {
					_, _ = s.b.Log.Publish(load, fmt.Sprintf("headway.events.n.load%d.batch", i%50), nil, fmt.Appendf(nil,
						`{"specversion":"1.0","id":"l%d","source":"load","type":%q,"time":%q,"data":{"status":"PROCESSING"}}`, i, diagnostics.TypeBatchV1, time.Now().UTC().Format(time.RFC3339Nano)))
				}
			})
			stuck("before")
			s.announced("before", diagnostics.HealthStuck)
			if err := js.DeleteStream(s.ctx, name); err != nil {
				t.Fatal(err)
			}
			poison := map[uint64]bool{}
			for i := range 20 {
				stuck(fmt.Sprint("after", i))
				poison[s.publish(fmt.Sprint("poison", i), "batch", "nonsense", `{}`)] = true
			}
			for i := range 20 {
				s.announced(fmt.Sprint("after", i), diagnostics.HealthStuck)
			}
			want := map[string]bool{}
			for i := range 20 {
				want[fmt.Sprint("after", i)] = true
			}
			if name != eventlog.EventsStream {
				want["before"] = true
			}
			s.eventually("all changes of health in their stream", func() error { return missing(s.ctx, js, want) })
			info, err := s.b.Log.Info(s.ctx)
			if err != nil {
				t.Fatal(err)
			}
			s.eventually("all dead letters", func() error {
				have := map[uint64]bool{}
				err := s.b.Log.DeadLetters(s.ctx, func(d eventlog.DeadLetter) error {
					have[d.Seq] = have[d.Seq] || d.Identity == info.Identity
					return nil
				})
				for seq := range poison {
					if !have[seq] {
						return fmt.Errorf("event %d has no dead letter (%w)", seq, err)
					}
				}
				return err
			})
			end()
			wg.Wait()
			if name != eventlog.EventsStream { // else the stream of health holds what two logs said, one after the other
				checkHealth(s.ctx, t, js, nil)
			}
			s.onceInTheLog()
		})
	}
}

// onceInTheLog checks that no health event is in the log twice.
func (s *stack) onceInTheLog() {
	s.t.Helper()
	seen := map[string]bool{}
	s.health(func(m eventlog.Message) {
		var e struct{ ID string }
		if err := json.Unmarshal(m.Data, &e); err != nil || seen[m.Subject+e.ID] {
			s.t.Errorf("%s is in the log twice (%v)", e.ID, err)
		}
		seen[m.Subject+e.ID] = true
	})
	if len(seen) == 0 {
		s.t.Error("nothing was announced")
	}
}

// publish repeats an event until it is acknowledged.
func (s *stack) publish(batch, kind, eventType, data string) (seq uint64) {
	s.t.Helper()
	event := fmt.Appendf(nil, `{"specversion":"1.0","id":"%s-%s","source":"test","type":%q,"time":%q,"data":%s}`,
		batch, kind, eventType, time.Now().UTC().Format(time.RFC3339Nano), data)
	s.eventually("an acknowledgement", func() (err error) {
		seq, err = s.b.Log.Publish(s.ctx, "headway.events.n."+batch+"."+kind, nil, event)
		return err
	})
	return seq
}

// missing returns a batch that should be stuck, but isn't according to the stream of health.
func missing(ctx context.Context, js jetstream.JetStream, want map[string]bool) error {
	stream, err := js.Stream(ctx, eventlog.HealthStream)
	if err != nil {
		return err
	}
	for batch := range want {
		m, err := stream.GetLastMsgForSubject(ctx, "headway.health.n."+batch)
		if err != nil {
			return fmt.Errorf("%s: %w", batch, err)
		}
		var e struct{ Data struct{ To string } }
		if err := json.Unmarshal(m.Data, &e); err != nil || e.Data.To != "stuck" {
			return fmt.Errorf("%s: %s (%w)", batch, m.Data, err)
		}
	}
	return nil
}
