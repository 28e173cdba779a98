package headwaytest

import (
	"errors"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	goredis "github.com/redis/go-redis/v9"
)

// A restarted nats-server keeps its port, its data and its clients.
func TestNATSRestarts(t *testing.T) {
	n := NATS(t)
	js, err := jetstream.New(n.Conn())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "S", Subjects: []string{"s"}}); err != nil {
		t.Fatal(err)
	}
	if _, err := js.Publish(t.Context(), "s", []byte("1")); err != nil {
		t.Fatal(err)
	}
	url := n.URL()
	n.Restart()
	if n.URL() != url {
		t.Errorf("it moved from %s to %s", url, n.URL())
	}
	again, err := jetstream.New(n.Conn())
	if err != nil {
		t.Fatal(err)
	}
	s, err := again.Stream(t.Context(), "S")
	if err != nil || s.CachedInfo().State.Msgs != 1 {
		t.Errorf("after the restart: %v", err)
	}
	for deadline := time.Now().Add(startLimit); ; { // the connection from before
		if _, err := js.Publish(t.Context(), "s", []byte("2")); err == nil {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("a client didn't come back")
		}
	}
	n.Shutdown()
	n.Shutdown()
}

func TestRedisChildFails(t *testing.T) {
	r := RedisChild(t)
	ctx := t.Context()
	c := r.Client()
	set := func(v string) {
		t.Helper()
		if err := c.Set(ctx, "k", v, 0).Err(); err != nil {
			t.Fatal(err)
		}
	}
	want := func(when, v string) {
		t.Helper()
		got, err := r.Client().Get(ctx, "k").Result()
		if err != nil && !errors.Is(err, goredis.Nil) || got != v {
			t.Errorf("%s: %q, want %q (%v)", when, got, v, err)
		}
	}
	set("saved")
	r.Save()
	set("lost")
	r.Kill()
	if err := r.Client().Ping(ctx).Err(); err == nil {
		t.Error("it answers after it was killed")
	}
	r.Restart()
	want("rolled back", "saved")
	if err := c.Ping(ctx).Err(); err != nil {
		t.Error(err)
	}
	set("kept")
	r.Restart()
	want("restarted", "kept")
	r.RestartEmpty()
	want("restarted empty", "")
	set("wiped")
	r.Flush()
	want("wiped", "")

	r.Pause()
	silent := goredis.NewClient(&goredis.Options{Addr: r.address, MaxRetries: -1, ReadTimeout: 50 * time.Millisecond})
	defer silent.Close()
	if err := silent.Ping(ctx).Err(); err == nil {
		t.Error("it answers while it is paused")
	}
	r.Resume()
	want("resumed", "")
}

func TestRedisEach(t *testing.T) {
	n := 0
	RedisEach(t, func(t *testing.T, r *RedisServer) {
		n++
		if err := r.Client().Ping(t.Context()).Err(); err != nil {
			t.Errorf("%s at %s: %v", r.What(), r.URL(), err)
		}
	})
	if n == 0 {
		t.Error("no Redis at all")
	}
}
