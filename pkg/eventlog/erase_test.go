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
			if last, _, err = l.last(ctx, EventsStream, fmt.Sprintf("headway.log.%d.n.b.health", l.Partition("n", "b"))); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := l.PublishHealth(ctx, "n", batch, last, []byte([]string{secret, other, secret}[i])); err != nil {
			t.Fatal(err)
		}
	}
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
	if err != nil || held.Events != 43 || held.Health != 2 || held.Dead != 1 || held.Last == 0 {
		t.Fatal(held, err)
	}
	tried, stop := context.WithCancel(ctx)
	stop()
	if _, err := l.Erase(tried, "n", "b"); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	done, err := l.Erase(ctx, "n", "b")
	if err != nil || done.Events != 43 || done.Health != 2 || done.Dead != 1 {
		t.Fatal(done, err)
	}
	if again, err := l.Erase(ctx, "n", "b"); err != nil || again.Events+again.Health+again.Dead != 0 {
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
	if held, err = l.Held(ctx, "n", "b2"); err != nil || held.Events != 42 || held.Health != 1 || held.Dead != 1 {
		t.Error("of another batch", held, err)
	}
	// What is left of the batch is its erasure, and the log's front doesn't say that events of others were lost.
	now, err := l.Info(ctx)
	if err != nil || now.First != 1 || !now.GoneBefore.IsZero() || now.Identity != info.Identity {
		t.Errorf("%+v, %v", now, err)
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

// What the front of the log has lost otherwise stays known, whatever is erased.
func TestRule28EraseHidesNoLoss(t *testing.T) {
	t.Parallel()
	l, _ := open(t)
	ctx := t.Context()
	for _, batch := range []string{"lost", "b", "b2", "b", "b3"} {
		publish(t, l, "headway.events.n."+batch+".batch", []byte("{}"))
	}
	publish(t, l, "headway.events.n.b.erase", []byte("{}"))
	publish(t, l, "headway.events.n.b2.erase", []byte("{}"))
	if err := purge(l, 2); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Erase(ctx, "n", "b"); err != nil {
		t.Fatal(err)
	}
	if info, err := l.Info(ctx); err != nil || info.First != 3 || info.GoneBefore.IsZero() {
		t.Errorf("after a purge: %+v, %v", info, err)
	}
	l, _ = open(t)
	for _, batch := range []string{"b", "b2", "b", "b3"} {
		publish(t, l, "headway.events.n."+batch+".batch", []byte("{}"))
	}
	for _, batch := range []string{"b", "b2"} {
		publish(t, l, "headway.events.n."+batch+".erase", []byte("{}"))
		if _, err := l.Erase(ctx, "n", batch); err != nil {
			t.Fatal(err)
		}
		if info, err := l.Info(ctx); err != nil || info.First != 1 || !info.GoneBefore.IsZero() {
			t.Errorf("%s: %+v, %v", batch, info, err)
		}
	}
	if err := purge(l, 5); err != nil {
		t.Fatal(err)
	}
	if info, err := l.Info(ctx); err != nil || info.First != 5 {
		t.Errorf("a purge behind what was erased: %+v, %v", info, err)
	}
}

func purge(l *Log, seq int) error {
	_, err := l.js.Conn().Request("$JS.API.STREAM.PURGE."+EventsStream, fmt.Appendf(nil, `{"seq":%d}`, seq), 5*time.Second)
	return err
}
