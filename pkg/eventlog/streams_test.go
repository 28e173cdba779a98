package eventlog

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/headwayhq/headway/pkg/headwaytest"
)

// ensured lets the last check expire, so that the next call asks the server.
func ensured(t *testing.T, l *Log) {
	t.Helper()
	l.streams.mu.Lock()
	l.streams.at = time.Time{}
	l.streams.mu.Unlock()
	if err := l.EnsureStreams(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// Each stream that is deleted is created again with its settings, including those of its operator. The others stay unchanged.
func TestEnsureStreams(t *testing.T) {
	nc := headwaytest.NATS(t).Conn()
	var said strings.Builder
	l, err := Open(t.Context(), nc, Config{First: 1, Partitions: 7, MaxAge: time.Hour, Logger: slog.New(slog.NewTextHandler(&said, nil))})
	if err != nil {
		t.Fatal(err)
	}
	js, s := stream(t, nc, DeadStream)
	tuned := s.CachedInfo().Config
	tuned.Description, tuned.MaxAge = "tuned", 2*time.Hour
	if _, err := js.UpdateStream(t.Context(), tuned); err != nil {
		t.Fatal(err)
	}
	publish(t, l, "headway.events.n.b.batch", nil)
	if _, err := l.PublishHealth(t.Context(), "n", "b", 0, []byte("x")); err != nil {
		t.Fatal(err)
	}
	ensured(t, l)
	if said.Len() > 0 {
		t.Errorf("all was well, and it said %q", said.String())
	}
	for _, name := range []string{DeadStream, HealthStream, HistoryStream, EventsStream} {
		_, s := stream(t, nc, name)
		before, err := json.Marshal(s.CachedInfo().Config)
		if err != nil {
			t.Fatal(err)
		}
		if err := js.DeleteStream(t.Context(), name); err != nil {
			t.Fatal(err)
		}
		ensured(t, l)
		_, s = stream(t, nc, name)
		after, err := json.Marshal(s.CachedInfo().Config)
		if name == HistoryStream { // nothing that was meant for the deleted one reaches it
			old := generationIn(before)
			if old == "" || old == generationIn(after) {
				t.Errorf("the history came back with the generation %q", old)
			}
			before = bytes.ReplaceAll(before, []byte(old), []byte(generationIn(after)))
		}
		if err != nil || !bytes.Equal(after, before) {
			t.Errorf("%s came back as\n%s, was\n%s (%v)", name, after, before, err)
		}
		if name == HealthStream { // what the log still holds is in it again
			for deadline := time.Now().Add(20 * time.Second); s.CachedInfo().State.Msgs != 1; _, s = stream(t, nc, name) {
				if time.Now().After(deadline) {
					t.Fatalf("%d changes of health in the stream that was made again", s.CachedInfo().State.Msgs)
				}
			}
		}
		if !strings.Contains(said.String(), name) {
			t.Errorf("nobody was told of %s: %q", name, said.String())
		}
	}
	if info, err := l.Info(t.Context()); err != nil || info.Last != 0 {
		t.Errorf("the log after it was deleted: %+v %v", info, err)
	}
}

func generationIn(config []byte) string {
	var c jetstream.StreamConfig
	_ = json.Unmarshal(config, &c)
	return c.Metadata[generationKey]
}

// A check costs one request for each stream. Further checks within a short time cost none.
func TestEnsureStreamsIsCheap(t *testing.T) {
	l, nc := open(t)
	asked, err := nc.SubscribeSync("$JS.API.>")
	if err != nil {
		t.Fatal(err)
	}
	for range 20 {
		if err := l.EnsureStreams(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if err := nc.Flush(); err != nil {
		t.Fatal(err)
	}
	if n, _, _ := asked.Pending(); n != 4 {
		t.Errorf("%d requests", n)
	}
}

func TestEnsureStreamsByMany(t *testing.T) {
	n := headwaytest.NATS(t)
	logs := make([]*Log, 6)
	for i := range logs {
		var err error
		if logs[i], err = Open(t.Context(), n.Conn(), Config{First: 1}); err != nil {
			t.Fatal(err)
		}
	}
	js, _ := stream(t, n.Conn(), HealthStream)
	for range 5 {
		for _, name := range []string{DeadStream, HealthStream, HistoryStream, EventsStream} {
			if err := js.DeleteStream(t.Context(), name); err != nil {
				t.Fatal(err)
			}
		}
		var wg sync.WaitGroup
		for _, l := range logs {
			wg.Go(func() { ensured(t, l) })
		}
		wg.Wait()
		for _, l := range logs {
			publish(t, l, "headway.events.n.b.batch", nil)
		}
	}
}

// A server that doesn't answer gives an error after one timeout, and callers that follow at once get the same error.
func TestWaitsAreBounded(t *testing.T) {
	n := headwaytest.NATS(t)
	nc := n.Conn()
	l, err := Open(t.Context(), nc, Config{First: 1})
	if err != nil {
		t.Fatal(err)
	}
	n.Shutdown()
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	var wg sync.WaitGroup
	for what, do := range map[string]func() error{
		"ensure":  func() error { return l.EnsureStreams(ctx) },
		"info":    func() error { _, err := l.Info(ctx); return err },
		"publish": func() error { _, err := l.Publish(ctx, "headway.events.n.b.batch", nil, nil); return err },
		"health":  func() error { _, err := l.PublishHealth(ctx, "n", "b", 0, nil); return err },
		"letter":  func() error { return l.DeadLetter(ctx, DeadLetter{Identity: "x_0", Seq: 1}) },
	} {
		wg.Go(func() {
			began := time.Now()
			if err := do(); err == nil || ctx.Err() != nil {
				t.Errorf("%s: %v", what, err)
			}
			if took := time.Since(began); took > 2*waitLimit {
				t.Errorf("%s took %v", what, took)
			}
		})
	}
	wg.Wait()
	began := time.Now()
	if err := l.EnsureStreams(ctx); err == nil && time.Since(began) < waitLimit/2 {
		t.Error("what was found a moment ago was forgotten")
	}
}

// Errors that concern every event are distinguished from errors of one event.
func TestUnavailable(t *testing.T) {
	nc := headwaytest.NATS(t).Conn()
	l, err := Open(t.Context(), nc, Config{First: 1})
	if err != nil {
		t.Fatal(err)
	}
	js, s := stream(t, nc, EventsStream)
	publish(t, l, "headway.events.n.b.batch", make([]byte, 100))
	c := s.CachedInfo().Config
	for name, change := range map[string]struct {
		do  func(*jetstream.StreamConfig)
		all bool
	}{
		"full":                    {func(c *jetstream.StreamConfig) { c.MaxBytes = 1 }, true},
		"as many as may be":       {func(c *jetstream.StreamConfig) { c.MaxMsgs = 1 }, true},
		"an event above a limit":  {func(c *jetstream.StreamConfig) { c.MaxMsgSize = 10 }, false},
		"as many of that subject": {func(c *jetstream.StreamConfig) { c.MaxMsgsPerSubject, c.DiscardNewPerSubject = 1, true }, false},
	} {
		changed := c
		change.do(&changed)
		if _, err := js.UpdateStream(t.Context(), changed); err != nil {
			t.Fatal(name, err)
		}
		if _, err := l.Publish(t.Context(), "headway.events.n.b.batch", nil, make([]byte, 100)); err == nil || errors.Is(err, ErrUnavailable) != change.all {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := js.DeleteStream(t.Context(), EventsStream); err != nil {
		t.Fatal(err)
	}
	if _, err := l.PublishHealth(t.Context(), "n", "b", 0, nil); !errors.Is(err, ErrUnavailable) {
		t.Errorf("no stream: %v", err)
	}
}

// If two producers use the same message id one after the other, both events are stored, also in streams of an earlier version:
// opening the log shortens their window for duplicates.
func TestMessageIDsOfTwoProducers(t *testing.T) {
	nc := headwaytest.NATS(t).Conn()
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	c := Config{First: 1}.withDefaults()
	for _, old := range c.all() {
		old.Duplicates = 0 // as the server chooses: two minutes
		if _, err := js.CreateStream(t.Context(), old); err != nil {
			t.Fatal(err)
		}
	}
	l, err := Open(t.Context(), nc, Config{First: 1})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{EventsStream, DeadStream, HealthStream} {
		if _, s := stream(t, nc, name); s.CachedInfo().Config.Duplicates > leastDuplicates {
			t.Errorf("%s has a window of %v", name, s.CachedInfo().Config.Duplicates)
		}
	}
	id := nats.Header{jetstream.MsgIDHeader: {"nightly-1"}}
	first, err := l.Publish(t.Context(), "headway.events.a.batch-a.batch", id, []byte("a"))
	if err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(10 * time.Second); ; { // the window is the server's, and it clears it in steps
		second, err := l.Publish(t.Context(), "headway.events.b.batch-b.batch", id, []byte("b"))
		if err != nil {
			t.Fatal(err)
		}
		if second != first {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the second producer's event never existed")
		}
	}
	var got []string
	read(t, l, ReadOptions{From: 1, Partition: -1}, 2, func(m Message) { got = append(got, string(m.Data)) })
	if !slices.Equal(got, []string{"a", "b"}) {
		t.Errorf("stored %q", got)
	}
}
