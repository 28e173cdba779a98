package ingest

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/headwayhq/headway/pkg/diagnostics"
	"github.com/headwayhq/headway/pkg/eventlog"
	"github.com/headwayhq/headway/pkg/history"
	"github.com/headwayhq/headway/pkg/viewstore"
)

const secret = "attic-of-the-grandmother"

// copies counts how often the secret is in the files of a stream.
func (s *stand) copies(stream string) (n int) {
	s.t.Helper()
	err := filepath.WalkDir(s.nats.Dir(), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.Contains(path, stream) {
			return err
		}
		b, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		n += bytes.Count(b, []byte(secret))
		return err
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return n
}

// told is a service that stores list rows too.
func (s *stand) told(o *Options) {
	hasty(o)
	js, err := jetstream.New(s.conn)
	if err != nil {
		s.t.Fatal(err)
	}
	o.Rows = func(generation string) Rows { return history.NewRows(js, eventlog.HistoryStream, generation) }
}

// sayErased stores the event that erases a batch.
func (s *stand) sayErased(batch string) uint64 {
	s.t.Helper()
	seq, err := s.log.Publish(s.t.Context(), "headway.events.n."+batch+".erase", nil, fmt.Appendf(nil,
		`{"specversion":"1.0","id":"erase-%s","source":%q,"type":%q,"time":%q,"data":{}}`, batch, diagnostics.EraseSource, diagnostics.TypeEraseV1, time.Now().UTC().Format(time.RFC3339Nano)))
	if err != nil {
		s.t.Fatal(err)
	}
	return seq
}

// stored is the view that Redis has of a batch, and the fence with which it was read; nil if it has none.
func (s *stand) stored(batch string) (*viewstore.Fence, *diagnostics.View, error) {
	f, got, err := s.store.Load(s.t.Context(), s.log.Partition("n", batch), nil, []viewstore.Key{{Namespace: "n", Batch: batch}})
	if err != nil || f == nil || got[0].Bytes == nil {
		return f, nil, err
	}
	v, err := diagnostics.Parse(got[0].Bytes)
	return f, v, err
}

// erase erases a batch as the api does.
func (s *stand) erase(batch string) eventlog.Held {
	s.t.Helper()
	at := s.sayErased(batch)
	var tombstone *eventlog.Checkpoint
	s.eventually("the erasure is folded", func() error {
		f, v, err := s.stored(batch)
		switch {
		case err != nil:
			return err
		case f == nil || f.Cursor < at || v == nil:
			return errors.New("not yet")
		}
		if _, erased := v.ErasedAt(); !erased {
			return errors.New("the view isn't erased")
		}
		tombstone = &eventlog.Checkpoint{Namespace: "n", Batch: batch, Identity: f.Identity, Covers: f.Cursor, Fold: f.Fold, Value: v.Append(nil)}
		return nil
	})
	done, err := s.log.Erase(s.t.Context(), "n", batch, tombstone)
	if err != nil {
		s.t.Fatal(err)
	}
	return done
}

// erased returns nil if nobody knows anything of a batch but that it was erased.
func (s *stand) erased(batch string) error {
	c, err := s.log.Checkpoint(s.t.Context(), s.history().Generation, "n", batch)
	if err != nil {
		return err
	}
	if c == nil || !c.Erased || !c.Over.IsZero() || bytes.Contains(c.Value, []byte(secret)) {
		return fmt.Errorf("the checkpoint is %+v", c)
	}
	held, err := s.log.Held(s.t.Context(), "n", batch)
	if err != nil || held.History > 0 {
		return fmt.Errorf("the streams hold %+v, %w", held, err)
	}
	f, v, err := s.stored(batch)
	if err != nil || f == nil || !f.Complete {
		return fmt.Errorf("%+v, %w", f, err)
	}
	if v != nil {
		if _, erased := v.ErasedAt(); !erased {
			return errors.New("Redis knows the batch")
		}
	}
	for key, value := range s.dump() {
		if strings.Contains(value, secret) {
			return fmt.Errorf("the secret is in %s", key)
		}
	}
	return nil
}

// An erased batch doesn't come back, by whatever happens next: not by a straggler, a lost Redis, a restart, or a Redis that went back to
// before it was erased. It was active, or finished and no longer in Redis; and nothing of it is on a disk.
func TestRule28ErasedStaysErased(t *testing.T) {
	for _, finished := range []bool{false, true} {
		t.Run(fmt.Sprint("finished=", finished), func(t *testing.T) {
			t.Parallel()
			s := newStand(t)
			s.fill(4)
			s.say("b", "batch", diagnostics.TypeBatchV1, `{"status":"PROCESSING","name":"`+secret+`"}`)
			if finished {
				s.finish("b")
			}
			want := kept{}
			want.read(s)
			start := func(o *Options) {
				s.told(o)
				o.LogWindow = 0
				o.RedisKeep = func(string) time.Duration { return time.Millisecond }
			}
			stop := s.start(start)
			s.eventually("it is in the history", func() error {
				held, err := s.log.Held(t.Context(), "n", "b")
				if rows := map[bool]int{true: 2, false: 1}[finished]; err == nil && held.History != rows {
					err = fmt.Errorf("%+v", held)
				}
				return err
			})
			before := s.dump()
			if finished {
				s.eventually("it left Redis", func() error {
					_, v, err := s.stored("b")
					if err == nil && v != nil {
						err = errors.New("it is there")
					}
					return err
				})
			}
			if s.copies(eventlog.HistoryStream) == 0 || s.copies(eventlog.EventsStream) == 0 {
				t.Fatal("the secret was never on disk")
			}
			if done := s.erase("b"); done.Events == 0 {
				t.Fatalf("%+v", done)
			}
			gone := func(what string) {
				t.Helper()
				s.eventually(what, func() error { return s.erased("b") })
			}
			gone("after it was erased")
			if n := s.copies(""); n != 0 {
				t.Errorf("%d copies of the secret are on disk, of them %d in the history", n, s.copies(eventlog.HistoryStream))
			}
			s.folded(s.say("b", "batch", diagnostics.TypeBatchV1, `{"status":"PROCESSING","name":"`+secret+`"}`))
			gone("after a straggler")
			s.wipe()
			gone("after a wipe")
			s.folded(s.job("b", "late", 3))
			gone("after a straggler that Redis knows nothing of")
			stop()
			stop = s.start(start)
			gone("after a restart")
			stop()
			s.restore(before)
			s.start(start)
			s.folded(s.job("b1", "more", 3))
			gone("after Redis went back")
			s.eventually("others are as they were", func() error {
				_, v, err := s.stored("b2")
				if err == nil && (v == nil || !bytes.Equal(v.Append(nil), want[viewstore.Key{Namespace: "n", Batch: "b2"}].Append(nil))) {
					err = fmt.Errorf("%+v", v)
				}
				return err
			})
		})
	}
}

// folded waits until an event is folded.
func (s *stand) folded(seq uint64) {
	s.t.Helper()
	s.eventually("it is folded", func() error {
		fences, err := s.store.Fences(s.t.Context())
		for p, f := range fences {
			if err == nil && (f == nil || f.Cursor < seq) {
				err = fmt.Errorf("p%02d: %+v", p, f)
			}
		}
		return err
	})
}

// Whoever erases a batch may crash after the event. Then ingest overwrites the checkpoint and its row itself, instead of replacing them.
func TestRule28IngestStoresTheTombstone(t *testing.T) {
	t.Parallel()
	s := newStand(t)
	s.say("b", "batch", diagnostics.TypeBatchV1, `{"status":"PROCESSING","name":"`+secret+`"}`)
	s.finish("b")
	s.start(s.told)
	s.eventually("it is in the history", func() error {
		held, err := s.log.Held(t.Context(), "n", "b")
		if err == nil && held.History != 2 {
			err = fmt.Errorf("%+v", held)
		}
		return err
	})
	s.sayErased("b")
	s.eventually("it is erased", func() error { return s.erased("b") })
	if n := s.copies(eventlog.HistoryStream); n != 0 {
		t.Errorf("%d copies of the secret are in the history", n)
	}
	s.cut() // so its tombstone counts as a checkpoint
}

// A checkpoint that is refused because of a tombstone makes the view in Redis erased too, although nobody folds the event any more: it was
// removed by somebody else.
func TestRule28RefusedCheckpointErases(t *testing.T) {
	t.Parallel()
	s := newStand(t)
	s.say("b", "batch", diagnostics.TypeBatchV1, `{"status":"PROCESSING","name":"`+secret+`"}`)
	s.start(s.told)
	s.eventually("it is in the history", func() error {
		held, err := s.log.Held(t.Context(), "n", "b")
		if err == nil && held.History != 1 {
			err = fmt.Errorf("%+v", held)
		}
		return err
	})
	f, v, err := s.stored("b")
	if err != nil {
		t.Fatal(err)
	}
	var d diagnostics.Decoder
	e, rejection := d.Decode(diagnostics.Message{Subject: "headway.log.0.n.b.erase", Stored: time.Now(), Data: []byte(
		`{"specversion":"1.0","id":"x","source":"` + diagnostics.EraseSource + `","type":"` + diagnostics.TypeEraseV1 + `","time":"2026-01-01T00:00:00Z","data":{}}`)})
	if rejection != nil {
		t.Fatal(rejection)
	}
	diagnostics.Fold(v, e)
	tombstone := eventlog.Checkpoint{Namespace: "n", Batch: "b", Identity: f.Identity, Covers: f.Cursor, Fold: f.Fold, Value: v.Append(nil)}
	if _, err := s.log.StoreTombstone(t.Context(), s.history().Generation, tombstone); err != nil {
		t.Fatal(err)
	}
	s.job("b", "more", 1)
	s.eventually("it is erased", func() error { return s.erased("b") })
}

// The first events of the log are erased. That isn't a loss: no other batch is called incomplete, and nothing is rebuilt.
func TestRule28ErasedAtTheLogsBeginning(t *testing.T) {
	t.Parallel()
	s := newStand(t)
	s.say("b", "batch", diagnostics.TypeBatchV1, `{"status":"PROCESSING","name":"`+secret+`"}`)
	s.job("b", "j", 1)
	s.fill(6)
	want := kept{}
	want.read(s)
	delete(want, viewstore.Key{Namespace: "n", Batch: "b"})
	start := func(o *Options) {
		s.told(o)
		o.CheckpointEvery = time.Hour // nothing else raises the floor
	}
	stop := s.start(start)
	s.folded(s.job("b", "j", 2))
	s.erase("b")
	s.folded(s.job("new", "j", 1))
	others := func() error {
		for k, v := range want {
			_, got, err := s.stored(k.Batch)
			if err != nil || got == nil || !bytes.Equal(got.Append(nil), v.Append(nil)) {
				return fmt.Errorf("%v: %+v, %w", k, got, err)
			}
		}
		return nil
	}
	s.eventually("others are whole", others)
	stop()
	s.start(start)
	s.folded(s.job("new", "j", 2))
	s.eventually("others are whole after a restart", others)
	s.wipe()
	s.folded(s.job("new", "j", 3))
	s.eventually("others are whole after a wipe", others)
	s.eventually("it is erased", func() error { return s.erased("b") })
	floor, err := s.log.ReadFloor(t.Context(), s.history().Generation)
	if err != nil || floor.Hole != nil {
		t.Errorf("%+v, %v", floor, err)
	}
}
