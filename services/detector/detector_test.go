package detector

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/headwayhq/headway/pkg/diagnostics"
	"github.com/headwayhq/headway/pkg/eventlog"
	"github.com/headwayhq/headway/pkg/viewstore"
)

// Whatever is wrong with one entry, all others are judged in the same round. The faulty entry is tried again with exponential
// backoff, counted by its reason and named in the log.
func TestOneEntryStopsNobody(t *testing.T) {
	for reason, bad := range map[string]func(b *bench) []byte{
		reasonMissing:    func(*bench) []byte { return nil },
		reasonUnreadable: func(*bench) []byte { return []byte("nonsense") },
		reasonRefused: func(b *bench) []byte {
			b.events.refuse = func(_ context.Context, batch string) error {
				if batch == "bad" {
					return errors.New("maximum payload exceeded")
				}
				return nil
			}
			return stuck("bad")
		},
		reasonTimeout: func(b *bench) []byte {
			b.events.refuse = func(_ context.Context, batch string) error {
				if batch == "bad" {
					return context.DeadlineExceeded
				}
				return nil
			}
			return stuck("bad")
		},
		reasonPanic: func(b *bench) []byte {
			b.events.refuse = func(_ context.Context, batch string) error {
				if batch == "bad" {
					panic("boom")
				}
				return nil
			}
			return stuck("bad")
		},
		reasonEvent: func(*bench) []byte {
			v := stuckView("bad")
			diagnostics.Fold(v, &diagnostics.Event{
				Type: diagnostics.TypeJob, Namespace: "n", Batch: "bad", Stamp: diagnostics.Stamp{Time: began.UnixNano(), Source: "s", ID: "e2"},
				JobFacts: diagnostics.JobFacts{
					SubmissionID: "job", Status: diagnostics.WordPending,
					Waiting: diagnostics.Opt[diagnostics.Waiting]{Set: true, V: diagnostics.Waiting{
						Kind: "resources", Since: began.UnixNano(), DemandJSON: `{"GPU":`, // a state that no decoder would let in
					}},
				},
			})
			return v.Append(nil)
		},
	} {
		t.Run(reason, func(t *testing.T) {
			b := newBench(t)
			k := b.store.put(0, "bad", bad(b))
			for i := range 20 {
				b.store.put(i%3, fmt.Sprintf("good%02d", i), stuck(fmt.Sprintf("good%02d", i)))
			}
			if err := b.round(t.Context(), b.store, 0); err != nil {
				t.Errorf("the round failed: %v", err)
			}
			if got := b.events.ids(); len(got) != 20 {
				t.Errorf("announced in the same round: %v", got)
			}
			for range 10 { // the same again, each time when it is due
				moved := b.store.moved(k)
				b.store.pass(moved[len(moved)-1])
				if err := b.round(t.Context(), b.store, 0); err != nil {
					t.Fatal(err)
				}
			}
			s := time.Second
			want := []time.Duration{2 * s, 4 * s, 8 * s, 16 * s, 32 * s, 64 * s, 128 * s, 256 * s, 300 * s, 300 * s, 300 * s}
			if got := b.store.moved(k); !slices.Equal(got, want) {
				t.Errorf("it was moved by %v, want %v", got, want)
			}
			if doubt := reason == reasonUnreadable || reason == reasonPanic; b.store.doubted[k] != doubt {
				t.Errorf("its header was trusted: %t", doubt)
			}
			if got := b.failures(t); !maps.Equal(got, map[string]float64{reason: 11}) {
				t.Errorf("counted %v", got)
			}
			if said := b.said.String(); strings.Count(said, "batch=bad") != 11 || !strings.Contains(said, "judging or announcing batch failed") || !strings.Contains(said, "reason="+reason) {
				t.Errorf("it said\n%s", said)
			}
		})
	}
}

// After an entry has recovered, its next failure starts with the first delay again.
func TestDelayIsForgotten(t *testing.T) {
	b := newBench(t)
	k := b.store.put(0, "b", []byte("nonsense"))
	for range 3 {
		if err := b.round(t.Context(), b.store, 0); err != nil {
			t.Fatal(err)
		}
		b.store.pass(time.Minute)
	}
	b.store.put(0, "b", stuck("b"))
	if err := b.round(t.Context(), b.store, 0); err != nil || len(b.events.ids()) != 1 {
		t.Fatal(b.events.ids(), err)
	}
	b.store.put(0, "b", []byte("nonsense"))
	if err := b.round(t.Context(), b.store, 0); err != nil {
		t.Fatal(err)
	}
	if moved := b.store.moved(k); moved[2] != 8*time.Second || moved[len(moved)-1] != 2*time.Second {
		t.Errorf("moved by %v", moved)
	}
}

// The number of failing entries that are remembered is limited, however many fail.
func TestMemoryIsBounded(t *testing.T) {
	m := newMemory()
	for i := range 3 * maxRemembered {
		m.fail(viewstore.Key{Namespace: "n", Batch: fmt.Sprint(i)})
	}
	if len(m.entries) != maxRemembered {
		t.Errorf("%d entries are remembered", len(m.entries))
	}
	for k := range maps.Clone(m.entries) {
		m.forget(k)
	}
	if len(m.entries) != 0 {
		t.Errorf("%d entries are left", len(m.entries))
	}
	m.folded(viewstore.Key{Namespace: "n", Batch: "x"}, 1)
	if len(m.entries) != 0 {
		t.Error("an entry of which there is nothing to remember is remembered")
	}
}

// A partition that can't be read is counted, and the others are still judged.
func TestPartitionStopsNobody(t *testing.T) {
	b := newBench(t)
	b.store.put(0, "unseen", stuck("unseen"))
	b.store.part(0).err = errors.New("not a fence record")
	b.store.put(1, "b", stuck("b"))
	if err := b.round(t.Context(), b.store, 0); err != nil {
		t.Error(err)
	}
	if got := b.events.ids(); !slices.Equal(got, []string{"b.health.0"}) || b.failures(t)[reasonPartition] != 1 {
		t.Errorf("announced %v, counted %v", got, b.failures(t))
	}
}

// If the log accepts no events, no entry is blamed: what is due stays due, and is announced in the first round after the log has
// recovered.
func TestUnavailableLog(t *testing.T) {
	for name, refusal := range map[string]error{
		"full":      fmt.Errorf("%w: storage is full", eventlog.ErrUnavailable),
		"not heard": context.DeadlineExceeded, // and Info fails as well
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			var keys []viewstore.Key
			for i := range 50 {
				name := fmt.Sprintf("b%02d", i)
				keys = append(keys, b.store.put(i%4, name, stuck(name)))
			}
			b.events.set(func() {
				b.events.refuse = func(context.Context, string) error { return refusal }
				if !errors.Is(refusal, eventlog.ErrUnavailable) {
					b.events.away = errors.New("no answer")
				}
			})
			for range 3 {
				err := b.round(t.Context(), b.store, 0)
				if !errors.Is(err, eventlog.ErrUnavailable) {
					t.Errorf("the round says %v", err)
				}
				b.note(t.Context(), &b.failed, err, "x")
			}
			if err := b.Ready(); !errors.Is(err, eventlog.ErrUnavailable) {
				t.Errorf("ready says %v", err)
			}
			for _, k := range keys {
				if moved := b.store.moved(k); len(moved) > 0 {
					t.Fatalf("%s was put off by %v", k.Batch, moved)
				}
			}
			b.events.set(func() { b.events.refuse, b.events.away = nil, nil })
			err := b.round(t.Context(), b.store, 0)
			b.note(t.Context(), &b.failed, err, "x")
			if err != nil || len(b.events.ids()) != 50 || b.Ready() != nil {
				t.Errorf("afterwards: %d announced, %v, ready %v", len(b.events.ids()), err, b.Ready())
			}
		})
	}
}

// A missing acknowledgement delays no other announcement, and a round always ends.
func TestSlowAcknowledgement(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.events.refuse = func(ctx context.Context, batch string) error {
			if batch == "b00" {
				<-ctx.Done()
				return ctx.Err()
			}
			return nil
		}
		for i := range 300 {
			name := fmt.Sprintf("b%02d", i)
			b.store.put(0, name, stuck(name))
		}
		start := time.Now()
		done := make(chan error, 1)
		go func() { done <- b.round(t.Context(), b.store, 0) }()
		synctest.Wait()
		if n := len(b.events.ids()); n < 255 {
			t.Errorf("%d announced while one waits", n)
		}
		<-done
		if took := time.Since(start); took != roundLimit {
			t.Errorf("the round took %v", took)
		}
	})
}

// A page whose entries can't be moved isn't read again within the same round.
func TestStoreRefusesWrites(t *testing.T) {
	b := newBench(t)
	b.o.Limit = 4
	for i := range 10 {
		name := fmt.Sprintf("b%02d", i)
		b.store.put(0, name, stuck(name))
	}
	b.store.refuse = errors.New("OOM command not allowed")
	if err := b.round(t.Context(), b.store, 0); !errors.Is(err, b.store.refuse) {
		t.Errorf("the round says %v", err)
	}
	if b.store.reads != 1 {
		t.Errorf("it was read %d times in one round", b.store.reads)
	}
	b.store.refuse = nil
	if err := b.round(t.Context(), b.store, 0); err != nil || len(b.events.ids()) != 10 {
		t.Errorf("afterwards: %v %v", b.events.ids(), err)
	}
}

// Ready reports what Run does: not ready before the first round or while Redis or NATS is unreachable, and ready again after they
// have recovered.
func TestReady(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.events.away = errors.New("nats is away")
		says := func(when, what string) {
			t.Helper()
			synctest.Wait()
			err := b.Ready()
			if what == "" && err != nil || what != "" && (err == nil || !strings.Contains(err.Error(), what)) {
				t.Errorf("%s: %v", when, err)
			}
		}
		says("at first", "no round")
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- b.Run(ctx) }()
		says("without NATS", "nats is away")
		b.events.set(func() { b.events.away = nil })
		time.Sleep(lookEvery * time.Second)
		says("with both", "")
		b.store.mu.Lock()
		b.store.failing = errors.New("redis is away")
		b.store.mu.Unlock()
		time.Sleep(time.Second)
		says("without Redis", "redis is away")
		b.store.mu.Lock()
		b.store.failing, b.store.hang = nil, true
		b.store.mu.Unlock()
		time.Sleep(time.Second + waitLimit)
		says("Redis hangs", "deadline exceeded")
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("it ended with %v", err)
		}
	})
}

// A round in which the log accepted nothing may be followed by one that has nothing to publish. That one proves nothing about the
// log.
func TestReadyAfterAQuietRound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		k := b.store.put(0, "b00", stuck("b00"))
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		b.events.refuse = func(context.Context, string) error { // from now on the log is away, and nothing else falls due
			b.store.mu.Lock()
			delete(b.store.parts[0].score, k)
			b.store.mu.Unlock()
			b.events.set(func() { b.events.away = errors.New("nats is away") })
			return eventlog.ErrUnavailable
		}
		go func() { ended <- b.Run(ctx) }()
		for second := range 2 * lookEvery {
			synctest.Wait()
			if err := b.Ready(); err == nil {
				t.Errorf("ready %d s after the log went away", second)
			}
			time.Sleep(time.Second)
		}
		cancel()
		<-ended
	})
}

// The rounds also check that the streams exist.
func TestStreamsAreEnsured(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- b.Run(ctx) }()
		time.Sleep(30 * time.Second)
		cancel()
		<-ended
		if b.events.ensure < 6 {
			t.Errorf("looked %d times in 30 s", b.events.ensure)
		}
	})
}

// A verdict from a stale view is published with its own ordinal against its own sequence only. When it is refused, the view is
// read again (rule 10).
func TestRule10StaleView(t *testing.T) {
	b := newBench(t)
	view := stuckView("b")
	b.store.put(0, "b", view.Append(nil))
	stale, err := b.store.Due(t.Context(), 10)
	if err != nil {
		t.Fatal(err)
	}
	if err := b.round(t.Context(), b.store, 0); err != nil { // another detector
		t.Fatal(err)
	}
	fold(view, b.events)
	b.store.put(0, "b", view.Append(nil))
	b.store.part(0).fence.Cursor = b.events.seq

	slow := newBench(t)
	slow.o.Log = b.events
	r := &round{store: b.store}
	for range 3 {
		slow.page(t.Context(), r, stale, 0)
	}
	if got := b.events.ids(); !slices.Equal(got, []string{"b.health.0"}) {
		t.Errorf("the stale view announced %v", got)
	}
	if err := slow.round(t.Context(), b.store, 0); err != nil || len(slow.failures(t)) > 0 {
		t.Errorf("with the view as it is: %v, %v", err, slow.failures(t))
	}
	if got := b.events.ids(); !slices.Equal(got, []string{"b.health.0"}) {
		t.Errorf("the view as it is announced %v", got)
	}
}

// A health event that the fold refused, whoever sent it, doesn't silence its batch, and announcements that the fold refuses
// aren't repeated every second for ever.
func TestRule10RefusedHealthEvent(t *testing.T) {
	b := newBench(t)
	k := b.store.put(0, "b", stuck("b"))
	b.events.seq, b.events.last["b"] = 7, 7
	b.store.part(0).fence.Cursor = 9
	for range 2 {
		if err := b.round(t.Context(), b.store, 0); err != nil {
			t.Fatal(err)
		}
		b.store.pass(2 * time.Second)
	}
	if got := b.events.ids(); !slices.Equal(got, []string{"b.health.0"}) || b.events.stored[0].Expect != 7 {
		t.Fatalf("announced %+v", b.events.stored)
	}
	for range 10 { // as if each were refused in turn
		b.store.part(0).fence.Cursor = b.events.seq + 1
		moved := b.store.moved(k)
		b.store.pass(moved[len(moved)-1])
		if err := b.round(t.Context(), b.store, 0); err != nil {
			t.Fatal(err)
		}
	}
	moved := b.store.moved(k)
	if last := moved[len(moved)-1]; last < time.Minute {
		t.Errorf("moved by %v", moved)
	}
}

// An announcement has a link, says on NATS that it is a structured CloudEvent, and has no message id by which it could be dropped
// as a duplicate.
func TestWhatIsPublished(t *testing.T) {
	b := newBench(t)
	b.store.put(0, "b", stuck("b"))
	quiet := diagnostics.NewView("n", "quiet")
	diagnostics.Fold(quiet, &diagnostics.Event{
		Type: diagnostics.TypeTier, Namespace: "n", Batch: "quiet", Stamp: diagnostics.Stamp{Time: began.UnixNano(), Source: "s", ID: "e"},
		TierFacts: diagnostics.TierFacts{Attempt: 1, Status: diagnostics.WordCompleted},
	})
	b.store.put(1, "quiet", quiet.Append(nil))
	if err := b.round(t.Context(), b.store, 0); err != nil {
		t.Fatal(err)
	}
	if got := b.events.ids(); len(got) != 2 {
		t.Fatalf("published %v", got)
	}
	for _, a := range b.events.stored {
		if settled := a.ID != "b.health.0"; settled && fmt.Sprint(a.Header) != "map[content-type:[application/cloudevents+json]]" {
			t.Errorf("%s has headers %v", a.ID, a.Header)
		}
		if want := "https://headway.example.com/v1/analytics/performance/batches/b/diagnostics"; a.ID == "b.health.0" && a.Data.Link != want {
			t.Errorf("its link is %q", a.Data.Link)
		}
	}
}
