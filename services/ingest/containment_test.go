package ingest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/headwayhq/headway/pkg/diagnostics"
	"github.com/headwayhq/headway/pkg/eventlog"
	"github.com/headwayhq/headway/pkg/viewstore"
)

// graveless is an event log that can't store dead letters for a while.
type graveless struct {
	*eventlog.Log

	full atomic.Bool
}

func (g *graveless) DeadLetter(ctx context.Context, d eventlog.DeadLetter) error {
	if g.full.Load() {
		return errors.New("no space left")
	}
	return g.Log.DeadLetter(ctx, d)
}

func (s *stand) letters() (out []eventlog.DeadLetter) {
	s.t.Helper()
	if err := s.log.DeadLetters(s.t.Context(), func(d eventlog.DeadLetter) error { out = append(out, d); return nil }); err != nil {
		s.t.Fatal(err)
	}
	return out
}

func (s *stand) poison(batch string) uint64 {
	s.t.Helper()
	seq, err := s.log.Publish(s.t.Context(), "headway.events.n."+batch+".batch", nil, []byte("poison"))
	if err != nil {
		s.t.Fatal(err)
	}
	return seq
}

// Rule 12: a dead letter that can't be stored holds its partition's cursor and nothing else. Events beyond the cursor are folded
// again after a crash, which changes nothing.
func TestRule12LetterThatCannotBeStored(t *testing.T) {
	s := newStand(t)
	log := &graveless{Log: s.log}
	log.full.Store(true)
	with := func(o *Options) { o.Log = log }
	stop := s.start(with)
	s.fill(20)
	bad := s.poison("b0")
	p := s.log.Partition("n", "b0")
	held := func() {
		t.Helper()
		s.fill(20)
		s.job("b0", "j9", s.said)
		want, now := s.offline(), time.Now()
		s.eventually("views are whole, the cursor waits", func() error {
			if err := s.whole(want); err != nil {
				return err
			}
			f, err := s.store.Fence(t.Context(), p)
			if err == nil && f.Watermark < now.UnixNano() {
				return errors.New("the watermark doesn't follow what is folded")
			}
			if err == nil && f.Cursor >= bad {
				t.Fatalf("the cursor %d passed the event %d, whose dead letter isn't stored", f.Cursor, bad)
			}
			return err
		})
		if n := testutil.ToFloat64(s.service.metrics.letters); n != 1 {
			t.Errorf("%v letters are pending", n)
		}
	}
	held()
	stop()
	stop = s.start(with)
	held()
	log.full.Store(false)
	s.eventually("the letter is stored, and the cursor moves", func() error {
		f, err := s.store.Fence(t.Context(), p)
		if err == nil && f.Cursor < bad {
			return fmt.Errorf("it is at %d", f.Cursor)
		}
		return err
	})
	if got := s.letters(); len(got) != 1 || got[0].Seq != bad {
		t.Errorf("%+v", got)
	}
	stop()
}

// A partition with too many pending dead letters stops. The others continue, although the main reader has more messages for it
// than fit into its queue.
func TestRule12ManyLettersHoldOnePartition(t *testing.T) {
	s := newStand(t)
	log := &graveless{Log: s.log}
	log.full.Store(true)
	s.start(func(o *Options) { o.Log, o.MaxQueue, o.MaxBatch = log, 64, 32 })
	const bad = maxLetters + 500
	for range bad {
		s.poison("bad")
	}
	p := s.log.Partition("n", "bad")
	for i := range 200 {
		s.job("bad", fmt.Sprint("j", i%7), i)
	}
	s.fill(20)
	want := s.offline()
	s.eventually("the other partitions go on", func() error {
		for k, v := range want {
			q := s.log.Partition(k.Namespace, k.Batch)
			if q == p {
				continue
			}
			_, got, err := s.store.Load(t.Context(), q, nil, []viewstore.Key{k})
			if err != nil || !bytes.Equal(got[0].Bytes, v.Append(nil)) {
				return fmt.Errorf("%v: %+v %v", k, got, err)
			}
		}
		return nil
	})
	if n := testutil.ToFloat64(s.service.metrics.letters); n < maxLetters || n > maxLetters+64 {
		t.Errorf("%v letters are pending", n)
	}
	log.full.Store(false)
	s.within(60*time.Second, "all is stored", func() error {
		if n := testutil.ToFloat64(s.service.metrics.letters); n > 0 {
			return fmt.Errorf("%v of %d letters are pending", n, bad)
		}
		return s.whole(want)
	})
	if n := len(s.letters()); n != bad {
		t.Errorf("%d letters of %d", n, bad)
	}
}

// An event on which the fold fails becomes a dead letter like any other. It is the only thing that its batch loses, and its
// partition is kept.
func TestEventThatPanics(t *testing.T) {
	s := newStand(t)
	s.fold = func(v *diagnostics.View, e *diagnostics.Event) diagnostics.Outcome {
		out := diagnostics.Fold(v, e)
		if e.JobFacts.SubmissionID == "boom" { // with the view changed already
			panic("boom")
		}
		return out
	}
	s.start(nil)
	s.fill(20)
	s.eventually("whole at first", func() error { return s.whole(s.offline()) })
	fences, err := s.store.Fences(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	bad := []uint64{s.job("b0", "boom", 1), s.job("first", "boom", 1)}
	for i := range 50 {
		s.job("b0", fmt.Sprint("j", i%5), i)
	}
	s.job("first", "j", 2)
	bad = append(bad, s.job("b0", "boom", 2))
	s.job("b0", "j", 3)
	want := s.offline()
	s.eventually("all but these events is folded", func() error { return s.whole(want) })
	var got []uint64
	for _, d := range s.letters() {
		got = append(got, d.Seq)
		if !strings.Contains(d.Reason, "internal") || !strings.Contains(d.Reason, "boom") {
			t.Errorf("the reason is %q", d.Reason)
		}
	}
	if fmt.Sprint(got) != fmt.Sprint(bad) {
		t.Errorf("dead letters of %v, want %v", got, bad)
	}
	after, err := s.store.Fences(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for p := range fences {
		if fences[p].Token != after[p].Token {
			t.Errorf("p%02d was dropped", p)
		}
	}
	// A rebuild meets them again.
	if err := s.rdb.Del(t.Context(), s.key(s.log.Partition("n", "b0"), "v:n:b0")).Err(); err != nil {
		t.Fatal(err)
	}
	s.eventually("whole again", func() error { return s.whole(want) })
}

// How often a batch with a view of several megabytes is written doesn't depend on the number of its events. The test prints how
// long the small events of the same partition take meanwhile, because that depends on the load of the machine.
func TestLargeViewIsWrittenSeldom(t *testing.T) {
	s := newStand(t)
	registry := prometheus.NewRegistry()
	s.start(func(o *Options) { o.Metrics = registry })
	s.fill(1)
	s.eventually("ready", s.service.Ready)
	p := s.log.Partition("n", "large")
	small := "s"
	for i := 0; s.log.Partition("n", small) != p; i++ {
		small = fmt.Sprint("s", i)
	}
	params := strings.Repeat("x", 15<<10) // as much as is kept of one job's
	done := make(chan error, 1)
	const events = 300
	go func() {
		for i := range events {
			_, err := s.log.Publish(t.Context(), fmt.Sprint("headway.events.n.large.job.l", i), nil, fmt.Appendf(nil,
				`{"specversion":"1.0","id":"l%d","source":"test","type":%q,"time":%q,"data":{"tier_num":0,"submission_id":"l%d","status":"RUNNING","submission_params":{"x":"%d%s"}}}`,
				i, diagnostics.TypeJobV1, time.Now().UTC().Format(time.RFC3339Nano), i, i, params))
			if err != nil {
				done <- err
				return
			}
		}
		done <- nil
	}()
	slowest := time.Duration(0)
	for running := true; running; {
		select {
		case err := <-done:
			if err != nil {
				t.Fatal(err)
			}
			running = false
		default:
		}
		began := time.Now()
		seq := s.job(small, "j", s.said)
		s.eventually("the small batch", func() error {
			_, rev, err := s.store.Revisions(t.Context(), p, []viewstore.Key{{Namespace: "n", Batch: small}})
			if err == nil && rev[0] != seq {
				return fmt.Errorf("revision %d, want %d", rev[0], seq)
			}
			return err
		})
		slowest = max(slowest, time.Since(began))
	}
	want := s.offline()
	s.eventually("whole", func() error { return s.whole(want) })
	for _, d := range s.letters() {
		t.Fatalf("a dead letter: %s %s", d.Field, d.Reason)
	}
	size := len(want[viewstore.Key{Namespace: "n", Batch: "large"}].Append(nil))
	stats, err := s.rdb.Info(t.Context(), "stats").Result()
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(stats, "total_net_input_bytes:")
	var sent int
	if _, err := fmt.Sscan(rest, &sent); err != nil {
		t.Fatal(err)
	}
	t.Logf("the view has %d bytes, %.1f times as much was written, the slowest small event took %v", size, float64(sent)/float64(size), slowest)
	if written := events / 2 * size; sent > written/3 { // what writing it for each event would take
		t.Errorf("%d bytes were written of a view of %d", sent, size)
	}
}

// More views than fit into one commit, by number or by bytes, are committed in parts.
func TestCommitIsSplit(t *testing.T) {
	n := &needs{router: newRouter(1, 10), budget: newBudget(1 << 20), metrics: newMetrics(prometheus.NewRegistry(), func() float64 { return 0 }, 0), fold: diagnostics.Fold}
	for name, c := range map[string]struct{ batches, size, first int }{
		"views": {viewstore.MaxCommitViews + 10, 0, viewstore.MaxCommitViews},
		"bytes": {100, viewstore.MaxCommitBytes / 8, 4},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPartition(n, 0, viewstore.Fence{Complete: true}, false)
			var batch []eventlog.Message
			var entries []*entry
			for i := range c.batches {
				b := fmt.Sprint("b", i)
				batch = append(batch, eventlog.Message{
					Seq: uint64(i + 1), Stored: time.Now(), Subject: "headway.log.0.n." + b + ".job.j",
					Data: fmt.Appendf(nil, `{"specversion":"1.0","id":"i","source":"t","type":%q,"time":"2026-01-01T00:00:00Z","data":{"tier_num":0,"submission_id":"j","status":"RUNNING"}}`, diagnostics.TypeJobV1),
				})
				e := p.cache.add("n." + b)
				p.cache.resize(e, c.size)
				entries = append(entries, e)
			}
			dirty, dead, rest := p.apply(t.Context(), batch, entries)
			if len(dirty) != c.first || len(dead) != 0 || len(rest) != c.batches-c.first || p.folded.seq != uint64(c.first) {
				t.Errorf("%d changed, %d dead, %d left, folded up to %d", len(dirty), len(dead), len(rest), p.folded.seq)
			}
		})
	}
}
