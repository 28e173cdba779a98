package eventlog

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/headwayhq/headway/pkg/headwaytest"
	"github.com/headwayhq/headway/pkg/history"
)

// copies counts how often a text is in the files below a directory.
func copies(t *testing.T, dir, text string) (n int) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		n += bytes.Count(b, []byte(text))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// Erasing overwrites what all streams hold of a batch, on disk too, and nothing else (rule 28).
func TestRule28EraseLeavesNoBytes(t *testing.T) {
	t.Parallel()
	s := headwaytest.NATS(t)
	l, err := Open(t.Context(), s.Conn(), Config{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	const secret, other = "attic-of-the-grandmother", "cellar-of-the-uncle"
	info, err := l.Info(ctx)
	if err != nil {
		t.Fatal(err)
	}
	letter := func(subject, text string) uint64 {
		seq := publish(t, l, subject, []byte(text))
		stored := DeadLetter{Identity: info.Identity, Seq: seq, Subject: fmt.Sprintf("headway.log.%d.%s", l.Partition("n", "b"), strings.TrimPrefix(subject, "headway.events.")), Reason: text, Data: []byte(text), Header: nats.Header{"Ce-Id": {text}}}
		if err := l.DeadLetter(ctx, stored); err != nil {
			t.Fatal(err)
		}
		return seq
	}
	for i := range 40 {
		publish(t, l, "headway.events.n.b.tier.0.progress", []byte(fmt.Sprint(secret, i)))
		publish(t, l, "headway.events.n.b2.batch", []byte(fmt.Sprint(other, i)))
	}
	bad := letter("headway.events.n.b.batch", secret)
	letter("headway.events.n.b2.batch", other)
	for i, batch := range []string{"b", "b2", "b"} {
		last := uint64(0)
		if i == 2 {
			m, _, err := l.leaderLast(ctx, EventsStream, fmt.Sprintf("headway.log.%d.n.b.health", l.Partition("n", "b")))
			if err != nil {
				t.Fatal(err)
			}
			last = m.Seq
		}
		if _, err := l.PublishHealth(ctx, "n", batch, last, []byte([]string{secret, other, secret}[i])); err != nil {
			t.Fatal(err)
		}
	}
	h, err := l.HistoryInfo(ctx)
	if err != nil {
		t.Fatal(err)
	}
	rows, end := history.NewRows(l.js, HistoryStream, h.Generation), time.Now()
	remember := func(batch, value string) {
		t.Helper()
		c := Checkpoint{Namespace: "n", Batch: batch, Identity: info.Identity, Covers: 10, Fold: 6, Over: end, Value: []byte(value)}
		seq, err := l.StoreCheckpoint(ctx, h.Generation, c, 0, time.Hour)
		if err == nil {
			key := history.Key{Partition: l.Partition("n", batch), Namespace: "n", Batch: batch}
			err = rows.Put(ctx, key, end, history.Checkpoint{Subject: l.CheckpointSubject(h.Generation, "n", batch), Seq: seq}, time.Hour, []byte(value[:20]))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	remember("b", strings.Repeat(secret, 50_000)) // in parts
	remember("b2", strings.Repeat(other, 10))
	publish(t, l, "headway.events.n.b.erase", []byte("{}"))
	if err := l.MarkCorrected(ctx, fmt.Sprintf("%s.%d", info.Identity, bad), time.Now()); err != nil {
		t.Fatal(err)
	}
	for h, err := l.HealthInfo(ctx); h.Last < 3; h, err = l.HealthInfo(ctx) {
		if err != nil {
			t.Fatal(err)
		}
	}
	if copies(t, s.Dir(), secret) == 0 {
		t.Fatal("the secret was never on disk")
	}
	before := copies(t, s.Dir(), other)
	held, err := l.Held(ctx, "n", "b")
	if err != nil || held.Events != 43 || held.History != 4 || held.Health != 2 || held.Dead != 1 || held.Last == 0 {
		t.Fatal(held, err)
	}
	tried, stop := context.WithCancel(ctx)
	stop()
	if _, err := l.Erase(tried, "n", "b", tombstone("b")); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	done, err := l.Erase(ctx, "n", "b", tombstone("b"))
	if err != nil || done.Events != 43 || done.History != 4 || done.Health != 2 || done.Dead != 1 {
		t.Fatal(done, err)
	}
	if again, err := l.Erase(ctx, "n", "b", nil); err != nil || again.Events+again.History+again.Health+again.Dead != 0 {
		t.Fatal(again, err)
	}
	for range 2 {
		if n := copies(t, s.Dir(), secret); n != 0 {
			t.Errorf("%d copies of the secret are on disk", n)
		}
		if n := copies(t, s.Dir(), other); n < before {
			t.Errorf("%d copies of another batch are left of %d", n, before)
		}
		s.Restart() // its files are written again
	}
	if held, err = l.Held(ctx, "n", "b2"); err != nil || held.Events != 42 || held.History != 2 || held.Health != 1 || held.Dead != 1 {
		t.Error("of another batch", held, err)
	}
	// What is left of the batch is its erasure, and the log's beginning doesn't say that events of others were lost.
	now, err := l.Info(ctx)
	floor, failed := l.ReadFloor(ctx, h.Generation)
	if err != nil || failed != nil || now.First != info.Born+1 || floor.Covered != info.Born || floor.Identity != now.Identity || now.Identity != info.Identity {
		t.Errorf("%+v, %+v, %v, %v", now, floor, err, failed)
	}
	n := 0
	err = l.ReadBatch(ctx, BatchOptions{Partition: l.Partition("n", "b"), Namespace: "n", Batch: "b", From: 1, To: now.Last, Identity: now.Identity}, func(m Message) error {
		if n++; !strings.HasSuffix(m.Subject, ".b.erase") {
			t.Error(m.Subject)
		}
		return nil
	})
	if err != nil || n != 1 {
		t.Error(n, err)
	}
}

// tombstone is what stays of a batch.
func tombstone(batch string) *Checkpoint {
	return &Checkpoint{Namespace: "n", Batch: batch, Identity: "i", Covers: 100, Fold: 6, Value: []byte("tombstone")}
}

// What the log's beginning has lost otherwise stays known, whatever is erased; and what is erased there isn't lost.
func TestRule28EraseHidesNoLoss(t *testing.T) {
	t.Parallel()
	floor := func(l *Log) uint64 {
		t.Helper()
		h, err := l.HistoryInfo(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		f, err := l.ReadFloor(t.Context(), h.Generation)
		if err != nil {
			t.Fatal(err)
		}
		return f.Covered
	}
	l, _ := open(t)
	ctx := t.Context()
	for _, batch := range []string{"lost", "b", "b2", "b", "b3"} {
		publish(t, l, "headway.events.n."+batch+".batch", []byte("{}"))
	}
	publish(t, l, "headway.events.n.b.erase", []byte("{}"))
	if err := purge(l, 2); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Erase(ctx, "n", "b", nil); err != nil {
		t.Fatal(err)
	}
	if f := floor(l); f != 0 {
		t.Errorf("after somebody removed events, they count as covered up to %d", f)
	}
	for name, batches := range map[string][]string{"the first first": {"b", "b2"}, "the first last": {"b2", "b"}} {
		l, _ = open(t)
		for _, batch := range []string{"b", "b2", "b", "b3", "b"} {
			publish(t, l, "headway.events.n."+batch+".batch", []byte("{}"))
		}
		for _, batch := range batches {
			publish(t, l, "headway.events.n."+batch+".erase", []byte("{}"))
			if _, err := l.Erase(ctx, "n", batch, nil); err != nil {
				t.Fatal(err)
			}
			info, err := l.Info(ctx)
			if f := floor(l); err != nil || f != info.First-1 {
				t.Errorf("%s, %s: covered up to %d, the log begins with %d, %v", name, batch, f, info.First, err)
			}
		}
	}
}

// Checkpoints that were on their way when the batch was erased don't come back: before the tombstone they are overwritten, and after it refused.
func TestRule28TombstoneStays(t *testing.T) {
	t.Parallel()
	l, _ := open(t)
	ctx := t.Context()
	h, err := l.HistoryInfo(ctx)
	if err != nil {
		t.Fatal(err)
	}
	old := Checkpoint{Namespace: "n", Batch: "b", Identity: "i", Covers: 5, Fold: 6, Value: []byte("secret")}
	first, err := l.StoreCheckpoint(ctx, h.Generation, old, 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	// Between the deletion of the checkpoint and the tombstone one that expects nothing arrives.
	stored := make(chan error, 1)
	go func() {
		for {
			if _, err := l.StoreCheckpoint(ctx, h.Generation, old, 0, 0); err == nil || ctx.Err() != nil {
				stored <- err
				return
			}
			if c, err := l.Checkpoint(ctx, h.Generation, "n", "b"); err == nil && c != nil && c.Erased {
				stored <- nil
				return
			}
		}
	}()
	n, err := l.StoreTombstone(ctx, h.Generation, *tombstone("b"))
	if err != nil || n < 1 {
		t.Fatal(n, err)
	}
	if err := <-stored; err != nil {
		t.Fatal(err)
	}
	c, err := l.Checkpoint(ctx, h.Generation, "n", "b")
	if err != nil || !c.Erased || !c.Over.IsZero() || string(c.Value) != "tombstone" {
		t.Fatalf("%+v, %v", c, err)
	}
	for _, expect := range []uint64{0, first} {
		var wrong WrongLastError
		if _, err := l.StoreCheckpoint(ctx, h.Generation, old, expect, 0); !errors.As(err, &wrong) {
			t.Errorf("a late checkpoint that expects %d: %v", expect, err)
		}
	}
	if n, err := l.StoreTombstone(ctx, h.Generation, *tombstone("b")); n != 0 || err != nil {
		t.Error("again", n, err)
	}
	later := *tombstone("b")
	later.Covers = 200
	if n, err := l.StoreTombstone(ctx, h.Generation, later); n != 0 || err != nil {
		t.Error("a later one", n, err)
	}
	if now, err := l.Checkpoint(ctx, h.Generation, "n", "b"); err != nil || !now.Erased || now.Covers != 200 || now.Seq == c.Seq {
		t.Errorf("%+v, %v", now, err)
	}
}

func purge(l *Log, seq int) error {
	_, err := l.js.Conn().Request("$JS.API.STREAM.PURGE."+EventsStream, fmt.Appendf(nil, `{"seq":%d}`, seq), 5*time.Second)
	return err
}
