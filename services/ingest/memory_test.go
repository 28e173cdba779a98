package ingest

import (
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
)

// kept is the fold of all events ever sent: the log alone has only what wasn't removed.
type kept map[viewstore.Key]*diagnostics.View

// read joins what the log has now.
func (k kept) read(s *stand) {
	s.t.Helper()
	for key, v := range s.offline() {
		if k[key] == nil {
			k[key] = v
			continue
		}
		diagnostics.Join(k[key], v)
	}
}

// hasty makes a service that keeps events only as long as it must.
func hasty(o *Options) {
	o.LogWindow, o.CheckpointEvery, o.TruncateEvery = time.Nanosecond, 50*time.Millisecond, 20*time.Millisecond
}

// cut waits until the log has only its last event.
func (s *stand) cut() {
	s.t.Helper()
	s.eventually("covered events are removed", func() error {
		info, err := s.log.Info(s.t.Context())
		if err == nil && info.First < info.Last {
			err = fmt.Errorf("the log has %d to %d", info.First, info.Last)
		}
		return err
	})
}

func (s *stand) finish(batch string) {
	s.say(batch, "batch", diagnostics.TypeBatchV1, `{"status":"COMPLETED","completed_at":"2026-01-01T00:00:00Z"}`)
}

func (s *stand) wipe() {
	s.t.Helper()
	if err := s.rdb.FlushAll(s.t.Context()).Err(); err != nil {
		s.t.Fatal(err)
	}
}

func (s *stand) history() eventlog.HistoryInfo {
	s.t.Helper()
	info, err := s.log.HistoryInfo(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	return info
}

// rows are the list rows of a namespace.
func (s *stand) rows(namespace string) (out []diagnostics.Row) {
	s.t.Helper()
	all, err := s.store.Rows(s.t.Context(), namespace)
	if err != nil {
		s.t.Fatal(err)
	}
	for _, text := range all {
		var row diagnostics.Row
		if err := json.Unmarshal(text, &row); err != nil {
			s.t.Fatal(err)
		}
		out = append(out, row)
	}
	return out
}

// Rules 19, 25 and 26: events that checkpoints cover are removed from the log, and afterwards history and the rest of the log give the
// same views with the same revisions as all events would, even after Redis lost everything; nothing is called incomplete.
func TestRule25CoveredEventsAreRemoved(t *testing.T) {
	for _, apart := range []bool{false, true} {
		t.Run(fmt.Sprint("apart=", apart), func(t *testing.T) {
			t.Parallel()
			s, began := newStand(t), time.Now().Add(-time.Minute)
			s.apart = apart
			s.fill(12)
			s.finish("b3") // months ago, as its producer says, but it was reported only now, so that Redis keeps it
			want := kept{}
			want.read(s)
			s.start(func(o *Options) { hasty(o); o.RedisKeep = func(string) time.Duration { return time.Hour } })
			s.cut()
			s.eventually("the views are whole", func() error { return s.whole(want) })
			for round := range 3 {
				s.wipe()
				s.eventually("the views are whole after a wipe", func() error { return s.whole(want) })
				for _, row := range s.rows("n") {
					if began.After(row.AsOf) {
						t.Errorf("the row of %s is as of %v", row.BatchID, row.AsOf)
					}
				}
				s.job("b5", fmt.Sprint("late", round), round)
				s.job(fmt.Sprint("new", round), "j", round)
				want.read(s)
				s.cut()
				s.eventually("a batch whose events are gone goes on", func() error { return s.whole(want) })
			}
		})
	}
}

// Rule 26: a rebuild reads from where checkpoints don't cover the log any more, not from its beginning.
func TestRule26RebuildReadsWhatIsNotCovered(t *testing.T) {
	s := newStand(t)
	s.fill(50)
	want := kept{}
	want.read(s)
	stop := s.start(func(o *Options) { hasty(o); o.LogWindow = 0 })
	floor := func() uint64 {
		f, err := s.log.ReadFloor(t.Context(), s.history().Generation)
		if err != nil {
			t.Fatal(err)
		}
		return f.Covered
	}
	info, err := s.log.Info(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	s.eventually("everything is covered", func() error {
		if at := floor(); at < info.Last {
			return fmt.Errorf("covered up to %d of %d", at, info.Last)
		}
		return nil
	})
	stop()
	s.wipe()
	read := 0
	s.job("b7", "more", 1)
	want.read(s)
	counted := &countingLog{Log: s.log, read: &read}
	s.start(func(o *Options) { o.Log = counted })
	s.eventually("the views are whole", func() error { return s.whole(want) })
	if counted.mu.Lock(); read > 10 {
		t.Errorf("%d of 151 events were read again", read)
	}
	counted.mu.Unlock()
	if info, err := s.log.Info(t.Context()); err != nil || info.First != info.Born {
		t.Errorf("without a window the log lost events: %+v, %v", info, err)
	}
}

type countingLog struct {
	Log
	mu   sync.Mutex
	read *int
}

func (l *countingLog) Read(ctx context.Context, o eventlog.ReadOptions, sink func(eventlog.Message) error) error {
	return l.Log.Read(ctx, o, func(m eventlog.Message) error {
		l.mu.Lock()
		*l.read++
		l.mu.Unlock()
		return sink(m)
	})
}

// Rule 22: a finished batch leaves Redis, with its entries, and a straggler finds what the batch was.
func TestRule22DroppedViewsComeBack(t *testing.T) {
	s := newStand(t)
	s.fill(6)
	s.finish("b2")
	s.finish("b4")
	want := kept{}
	want.read(s)
	finished := []viewstore.Key{{Namespace: "n", Batch: "b2"}, {Namespace: "n", Batch: "b4"}}
	left := kept{}
	for k, v := range want {
		if k != finished[0] && k != finished[1] {
			left[k] = v
		}
	}
	s.start(func(o *Options) { hasty(o); o.RedisKeep = func(string) time.Duration { return time.Millisecond } })
	s.eventually("finished batches leave Redis", func() error { return s.whole(left) })
	s.cut()
	s.job("b2", "straggler", 7)
	want.read(s)
	s.eventually("the straggler is folded onto what the batch was", func() error {
		c, err := s.log.Checkpoint(t.Context(), s.history().Generation, "n", "b2")
		if err != nil {
			return err
		}
		if string(c.Value) != string(want[finished[0]].Append(nil)) {
			return fmt.Errorf("the checkpoint has %.60x, want %.60x", c.Value, want[finished[0]].Append(nil))
		}
		return nil
	})
	s.eventually("and it leaves again", func() error { return s.whole(left) })
	s.wipe()
	s.eventually("a wipe doesn't bring finished batches back", func() error { return s.whole(left) })
}

// Rule 20: a checkpoint that somebody else stored meanwhile is joined, not replaced.
func TestRule20CheckpointsJoin(t *testing.T) {
	s := newStand(t)
	s.job("a", "one", 1)
	info, err := s.log.Info(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	// What another owner knew, whose events are gone.
	other := diagnostics.NewView("n", "a")
	var d diagnostics.Decoder
	e, rejection := d.Decode(diagnostics.Message{Subject: "headway.log.0.n.a.job.other", Stored: time.Now(), Data: []byte(
		`{"specversion":"1.0","id":"x","source":"test","type":"` + diagnostics.TypeJobV1 + `","time":"2026-01-01T00:00:00Z","data":{"tier_num":0,"submission_id":"other","status":"RUNNING"}}`)})
	if rejection != nil {
		t.Fatal(rejection)
	}
	diagnostics.Fold(other, e)
	other.Revision = info.Born

	var seq uint64
	stop := s.start(func(o *Options) { o.CheckpointEvery = time.Hour })
	s.eventually("the view is there", func() error { return s.whole(s.offline()) })
	if seq, err = s.log.StoreCheckpoint(t.Context(), s.history().Generation, eventlog.Checkpoint{
		Namespace: "n", Batch: "a", Identity: info.Identity, Covers: info.Born - 1, Fold: diagnostics.FoldVersion, Value: other.Append(nil),
	}, 0, 0); err != nil {
		t.Fatal(err)
	}
	want := s.offline()
	diagnostics.Join(want[viewstore.Key{Namespace: "n", Batch: "a"}], other)
	stop()
	s.start(hasty)
	s.eventually("both are in the view", func() error { return s.whole(want) })
	s.eventually("and in the checkpoint", func() error {
		c, err := s.log.Checkpoint(t.Context(), s.history().Generation, "n", "a")
		if err != nil {
			return err
		}
		if c.Seq == seq || string(c.Value) != string(want[viewstore.Key{Namespace: "n", Batch: "a"}].Append(nil)) {
			return fmt.Errorf("it is %d: %.60x", c.Seq, c.Value)
		}
		return nil
	})
}

// silent is a history whose answers are lost.
type silent struct {
	Log
	stored chan struct{}
}

func (l silent) StoreCheckpoint(ctx context.Context, generation string, c eventlog.Checkpoint, expect uint64, keep time.Duration) (uint64, error) {
	if _, err := l.Log.StoreCheckpoint(ctx, generation, c, expect, keep); err != nil {
		return 0, err
	}
	select {
	case l.stored <- struct{}{}:
	default:
	}
	return 0, errors.New("the answer was lost")
}

// Rule 21: what a checkpoint covers counts as covered only after the answer, and an answer that was lost is found in the history.
func TestRule21CoveredAfterTheAnswer(t *testing.T) {
	s := newStand(t)
	at := s.job("a", "one", 1)
	lost := silent{s.log, make(chan struct{}, 1)}
	stop := s.start(func(o *Options) { hasty(o); o.Log = lost })
	<-lost.stored
	covered := func() uint64 {
		all, err := s.store.CoveredAll(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		seq, _ := covers(all, s.store.Identity(), s.history().Generation)
		return seq
	}
	if seq := covered(); seq >= at {
		t.Errorf("the log is covered up to %d, the event is %d, and no answer came", seq, at)
	}
	stop()
	s.start(hasty)
	s.eventually("the next try finds it", func() error {
		if seq := covered(); seq < at {
			return fmt.Errorf("covered up to %d, the event is %d", seq, at)
		}
		return nil
	})
}

// Rule 21: an event that changes nothing counts too.
func TestRule21EventsThatChangeNothing(t *testing.T) {
	s := newStand(t)
	first := s.job("a", "one", 1)
	s.start(func(o *Options) { o.CheckpointEvery = time.Hour })
	s.eventually("folded", func() error { return s.whole(s.offline()) })
	p := s.log.Partition("n", "a")
	marked := func() uint64 {
		all, err := s.store.CoveredAll(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return all[p].From
	}
	if got := marked(); got != first {
		t.Errorf("uncovered from %d, want %d", got, first)
	}
}

// dump is everything that Redis has.
func (s *stand) dump() map[string]string {
	s.t.Helper()
	keys, err := s.rdb.Keys(s.t.Context(), "*").Result()
	if err != nil {
		s.t.Fatal(err)
	}
	out := map[string]string{}
	for _, k := range keys {
		if out[k], err = s.rdb.Dump(s.t.Context(), k).Result(); err != nil {
			s.t.Fatal(err)
		}
	}
	return out
}

func (s *stand) restore(dump map[string]string) {
	s.t.Helper()
	s.wipe()
	for k, v := range dump {
		if err := s.rdb.RestoreReplace(s.t.Context(), k, 0, v).Err(); err != nil {
			s.t.Fatal(err)
		}
	}
}

// Rules 23 and 24: a Redis that went back to before the log was cut has neither the events nor their checkpoints. Its partitions begin from
// nothing, and are whole again.
func TestRule24RedisWentBackBeforeTheCut(t *testing.T) {
	for _, running := range []bool{false, true} {
		t.Run(fmt.Sprint("running=", running), func(t *testing.T) {
			t.Parallel()
			s := newStand(t)
			s.fill(8)
			want := kept{}
			want.read(s)
			stop := s.start(func(o *Options) { o.CheckpointEvery = time.Hour })
			s.eventually("folded", func() error { return s.whole(want) })
			stop()
			before := s.dump()
			s.fill(8)
			want.read(s)
			stop = s.start(hasty)
			s.cut()
			s.eventually("folded", func() error { return s.whole(want) })
			if !running {
				stop()
			}
			s.restore(before)
			if !running {
				s.start(hasty)
			}
			s.job("b1", "after", 1)
			want.read(s)
			s.eventually("whole again", func() error { return s.whole(want) })
		})
	}
}

// Rule 30: the history was made again. What Redis and the log have is covered anew, and nothing is removed before that.
func TestRule30HistoryMadeAgain(t *testing.T) {
	s := newStand(t)
	s.fill(8)
	want := kept{}
	want.read(s)
	s.start(hasty)
	s.cut()
	js, err := jetstream.New(s.conn)
	if err != nil {
		t.Fatal(err)
	}
	before := s.history()
	if err := js.DeleteStream(t.Context(), eventlog.HistoryStream); err != nil {
		t.Fatal(err)
	}
	s.eventually("it is made again, and everything is in it", func() error {
		now, err := s.log.HistoryInfo(t.Context())
		switch {
		case err != nil:
			return err
		case now.Generation == before.Generation || now.Messages < 8:
			return fmt.Errorf("%+v, was %+v", now, before)
		}
		return s.whole(want)
	})
	s.job("b1", "after", 1)
	want.read(s)
	s.cut()
	s.eventually("whole", func() error { return s.whole(want) })
	s.wipe()
	s.eventually("whole after a wipe", func() error { return s.whole(want) })
}

// Rule 30: the log was made again. Finished batches stay as they were; of an active one something may be missing.
func TestRule30LogMadeAgain(t *testing.T) {
	s := newStand(t)
	s.job("active", "j", 1)
	s.job("over", "j", 1)
	s.finish("over")
	s.start(hasty)
	s.cut()
	generation := s.history().Generation
	js, err := jetstream.New(s.conn)
	if err != nil {
		t.Fatal(err)
	}
	if err := js.DeleteStream(t.Context(), eventlog.EventsStream); err != nil {
		t.Fatal(err)
	}
	s.eventually("the views of before are there", func() error {
		info, err := s.log.Info(t.Context())
		if err != nil {
			return err
		}
		store := s.store.WithIdentity(info.Identity)
		if info.Identity == s.store.Identity() {
			return errors.New("the log wasn't made again yet")
		}
		for batch, incomplete := range map[string]bool{"active": true, "over": false} {
			k := viewstore.Key{Namespace: "n", Batch: batch}
			_, got, err := store.Load(t.Context(), s.log.Partition("n", batch), nil, []viewstore.Key{k})
			if err != nil {
				return err
			}
			v, err := diagnostics.Parse(got[0].Bytes)
			if err != nil {
				return fmt.Errorf("%s: %w", batch, err)
			}
			if v.Incomplete != incomplete {
				return fmt.Errorf("%s: incomplete is %v", batch, v.Incomplete)
			}
		}
		if now := s.history().Generation; now != generation {
			return fmt.Errorf("generation %s, was %s", now, generation)
		}
		return s.service.Ready()
	})
}

// Rule 32: while another version may be gone back to, no checkpoint is written and nothing is removed.
func TestRule32NoCheckpointsBesideAnotherVersion(t *testing.T) {
	s := newStand(t)
	s.fill(3)
	other, err := viewstore.Open(t.Context(), viewstore.Options{Client: s.rdb, Identity: s.store.Identity(), Fold: diagnostics.FoldVersion - 1, Partitions: standPartitions})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := other.Join(t.Context(), "older", time.Minute); err != nil {
		t.Fatal(err)
	}
	s.start(hasty)
	s.eventually("folded", func() error { return s.whole(s.offline()) })
	if info := s.history(); info.Messages != 0 {
		t.Errorf("%d checkpoints beside another version", info.Messages)
	}
}

// Rule 29: a view that is too large for one message is stored in parts, and comes back whole.
func TestRule29LargeCheckpoints(t *testing.T) {
	s := newStand(t)
	text := strings.Repeat("x", 1800)
	for tier := range 600 {
		s.say("large", fmt.Sprint("tier.", tier), diagnostics.TypeTierV1,
			fmt.Sprintf(`{"tier_num":%d,"status":"FAILED","error":"%s %d","error_type":"E%d"}`, tier, text, tier, tier))
	}
	for job := range 900 {
		s.say("large", fmt.Sprint("job.", job), diagnostics.TypeJobV1,
			fmt.Sprintf(`{"tier_num":%d,"submission_id":"j%d","status":"FAILED","message":"%s %d"}`, job%600, job, text, job))
	}
	want := kept{}
	want.read(s)
	if size := len(want[viewstore.Key{Namespace: "n", Batch: "large"}].Append(nil)); size < 1<<20 {
		t.Fatalf("a view of %d bytes isn't large", size)
	}
	s.start(hasty)
	s.cut()
	s.wipe()
	s.eventually("whole", func() error { return s.whole(want) })
}
