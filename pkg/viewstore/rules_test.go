package viewstore

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/headwayhq/headway/pkg/diagnostics"
	"github.com/headwayhq/headway/pkg/headwaytest"
)

// onChild is a store on a redis-server that can be made to fail.
func onChild(t *testing.T) (*headwaytest.RedisServer, *Store, *redis.Client) {
	t.Helper()
	r := headwaytest.RedisChild(t)
	c := r.Client()
	s, err := Open(t.Context(), Options{Client: c, Identity: "id_0", Fold: 1, Partitions: 4})
	if err != nil {
		t.Fatal(err)
	}
	return r, s, c
}

// A server that was killed comes back with the state of its last save. A worker that is ahead of this state writes nothing more,
// busy or idle, and the restored state is consistent: fence, views, due index and lists are of the same moment.
func TestRule1And9RolledBackTogether(t *testing.T) {
	r, s, c := onChild(t)
	ctx := t.Context()
	f := claim(t, s, 0, nil, "mine", time.Minute)
	next := at(f, 5)
	next.Complete, next.JudgeAt = true, 5_500_000_000
	f, err := s.Commit(ctx, 0, f, next, time.Minute, []Write{write("a", 5, "five")})
	if err != nil {
		t.Fatal(err)
	}
	r.Save()
	over := write("a", 9, "nine")
	over.Due = 0
	g, err := s.Commit(ctx, 0, f, at(f, 9), time.Minute, []Write{over, write("b", 8, "eight")})
	if err != nil {
		t.Fatal(err)
	}
	r.Kill()
	if _, err := s.Commit(ctx, 0, g, g, time.Minute, nil); err == nil || errors.Is(err, ErrFenced) {
		t.Errorf("a heartbeat to nobody: %v", err)
	}
	r.Restart()

	_, err = s.Commit(ctx, 0, g, g, time.Minute, nil)
	fenced(t, "an idle heartbeat after a rollback", err)
	_, err = s.Commit(ctx, 0, g, at(g, 12), time.Minute, []Write{write("a", 12, "zombie")})
	fenced(t, "a commit after a rollback", err)
	_, _, err = s.Load(ctx, 0, &g, []Key{{"n", "a"}})
	fenced(t, "a load after a rollback", err)
	if got := value(t, s, 0, "a") + value(t, s, 0, "b"); got != "five" {
		t.Errorf("it holds %q", got)
	}
	due, err := s.Due(ctx, 10)
	if err != nil || len(due) != 1 || len(due[0].Views) != 1 || due[0].Views[0].Batch != "a" || due[0].Fence != f {
		t.Errorf("due: %+v %v", due, err)
	}
	if rows, err := s.RowsSince(ctx, "n", 0, 4); err != nil || len(rows) != 1 || string(rows[0]) != "afive" {
		t.Errorf("rows: %q %v", rows, err)
	}

	seen, err := s.Fence(ctx, 0) // whose lease runs on
	if err != nil || *seen != f {
		t.Fatalf("%+v %v", seen, err)
	}
	r.RestartEmpty()
	_, err = s.Claim(ctx, 0, Record{Fence: seen}, *seen, time.Minute)
	fenced(t, "claimed on a record that is gone", err)
	if n, err := c.DBSize(ctx).Result(); err != nil || n != 0 {
		t.Errorf("%d keys after a refused claim (%v)", n, err)
	}
}

// The reply to a claim is lost. The same claim, repeated, succeeds; another worker's is refused while the lease runs.
func TestRule2ClaimRepeated(t *testing.T) {
	headwaytest.RedisEach(t, func(t *testing.T, r *headwaytest.RedisServer) {
		s, err := Open(t.Context(), Options{Client: r.Client(), Identity: "id_0", Fold: 1, Partitions: 4})
		if err != nil {
			t.Fatal(err)
		}
		first := claim(t, s, 0, nil, "mine", time.Minute)
		if again := claim(t, s, 0, nil, "mine", time.Minute); again != first {
			t.Errorf("%+v became %+v", first, again)
		}
		_, err = s.Claim(t.Context(), 0, Record{}, Fence{Identity: "id_0", Fold: 1, Token: "other"}, time.Minute)
		fenced(t, "another's claim", err)
		if _, err := s.Commit(t.Context(), 0, first, at(first, 1), time.Minute, nil); err != nil {
			t.Error(err)
		}
	})
}

// A commit to a server that hangs ends within its timeout. Repeating it once the server is back decides whether it was executed.
func TestRule2PausedServer(t *testing.T) {
	r, s, _ := onChild(t)
	f := claim(t, s, 0, nil, "mine", time.Minute)
	o, err := redis.ParseURL(r.URL())
	if err != nil {
		t.Fatal(err)
	}
	o.MaxRetries, o.ReadTimeout = -1, 100*time.Millisecond
	c := redis.NewClient(o)
	defer c.Close()
	hasty, err := Open(t.Context(), Options{Client: c, Identity: "id_0", Fold: 1, Partitions: 4})
	if err != nil {
		t.Fatal(err)
	}
	r.Pause()
	writes := []Write{write("a", 5, "five")}
	if _, err := hasty.Commit(t.Context(), 0, f, at(f, 5), time.Minute, writes); err == nil || errors.Is(err, ErrFenced) {
		t.Errorf("to a paused server: %v", err)
	}
	r.Resume()
	g, err := s.Commit(t.Context(), 0, f, at(f, 5), time.Minute, writes)
	if err != nil || g.Cursor != 5 || value(t, s, 0, "a") != "five" {
		t.Errorf("%+v %v", g, err)
	}
	if _, err := s.Commit(t.Context(), 0, g, at(g, 6), time.Minute, nil); err != nil {
		t.Error(err)
	}
}

// Without a fence there is nothing to compare with, so releasing, loading and judging timers are refused.
func TestRule1NothingWithoutARecord(t *testing.T) {
	each(t, func(t *testing.T, s *Store, c *redis.Client) {
		ctx := t.Context()
		f := claim(t, s, 0, nil, "mine", time.Minute)
		next := at(f, 5)
		next.Complete, next.JudgeAt = true, 60_000_000_000
		f, err := s.Commit(ctx, 0, f, next, time.Minute, []Write{write("a", 5, "five")})
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Del(ctx, "hw:{p00}:id_0-1:fence").Err(); err != nil {
			t.Fatal(err)
		}
		fenced(t, "a release", s.Release(ctx, 0, f))
		if due, err := s.Due(ctx, 10); err != nil || len(due) != 0 {
			t.Errorf("due: %+v %v", due, err)
		}
		if now, err := s.Fence(ctx, 0); err != nil || now != nil {
			t.Errorf("%+v %v", now, err)
		}
		if all, err := s.Fences(ctx); err != nil || len(all) != 4 || all[0] != nil {
			t.Errorf("%+v %v", all, err)
		}
		if now, v, err := s.Load(ctx, 0, nil, []Key{{"n", "a"}}); err != nil || now != nil || v[0].Bytes == nil {
			t.Errorf("a reader without belief: %+v %v", now, err)
		}
	})
}

// The size of a commit is limited, and checked before anything is sent.
func TestCommitIsBounded(t *testing.T) {
	each(t, func(t *testing.T, s *Store, c *redis.Client) {
		f := claim(t, s, 0, nil, "mine", time.Minute)
		many := make([]Write, MaxCommitViews+1)
		for i := range many {
			many[i] = write(fmt.Sprint(i), uint64(i), "x")
		}
		if _, err := s.Commit(t.Context(), 0, f, at(f, 5), time.Minute, many); err == nil || errors.Is(err, ErrFenced) || !strings.Contains(err.Error(), "views") {
			t.Errorf("too many views: %v", err)
		}
		if n, err := c.DBSize(t.Context()).Result(); err != nil || n != 1 {
			t.Errorf("%d keys (%v)", n, err)
		}
		if _, err := s.Commit(t.Context(), 0, f, at(f, 5), time.Minute, many[:MaxCommitViews]); err != nil {
			t.Errorf("as many as may be: %v", err)
		}
	})
}

// A view larger than the limit by one byte is pushed by its header only.
func TestPushLimit(t *testing.T) {
	each(t, func(t *testing.T, s *Store, _ *redis.Client) {
		ctx, cancel := context.WithCancel(t.Context())
		sizes := make(chan int, 4)
		sub := s.Subscribe(ctx)
		ended := make(chan error, 1)
		go func() {
			ended <- sub.Run(ctx, Handler{
				View:        func(_ Key, _ int, _ Fence, v []byte) { sizes <- len(v) },
				Row:         func(string, int, []byte) {},
				Reconnected: func() {},
			})
		}()
		defer func() { cancel(); <-ended }()
		awaitRunning(t, sub)
		for _, b := range []string{"fits", "large"} {
			if err := sub.Add(ctx, 0, Key{"n", b}); err != nil {
				t.Fatal(err)
			}
		}
		f := claim(t, s, 0, nil, "mine", time.Minute)
		fill := strings.Repeat("x", maxPush-diagnostics.HeaderSize)
		if _, err := s.Commit(ctx, 0, f, at(f, 5), time.Minute, []Write{write("fits", 4, fill), write("large", 5, fill+"x")}); err != nil {
			t.Fatal(err)
		}
		if a, b := <-sizes, <-sizes; a != maxPush || b != diagnostics.HeaderSize {
			t.Errorf("pushed %d and %d bytes", a, b)
		}
	})
}

func awaitRunning(t *testing.T, sub *Subscription) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); ; {
		sub.mu.Lock()
		running := sub.running
		sub.mu.Unlock()
		if running {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("Run doesn't receive")
		}
	}
}

// When Add returns, Redis has confirmed the subscription: every later commit is pushed.
func TestAddIsConfirmed(t *testing.T) {
	each(t, func(t *testing.T, s *Store, c *redis.Client) {
		ctx, cancel := context.WithCancel(t.Context())
		sub := s.Subscribe(ctx)
		ended := make(chan error, 1)
		go func() {
			ended <- sub.Run(ctx, Handler{View: func(Key, int, Fence, []byte) {}, Row: func(string, int, []byte) {}, Reconnected: func() {}})
		}()
		awaitRunning(t, sub)
		for i := range 300 {
			if err := sub.Add(ctx, 0, Key{"n", fmt.Sprint(i)}); err != nil {
				t.Fatal(err)
			}
			if n, err := c.Publish(ctx, fmt.Sprintf("hw:{p00}:id_0-1:push:n:%d", i), "").Result(); err != nil || n != 1 {
				t.Fatalf("add %d: %d subscribers (%v)", i, n, err)
			}
		}
		for i := range 30 {
			ns := fmt.Sprint("ns", i)
			if err := sub.AddNamespace(ctx, ns); err != nil {
				t.Fatal(err)
			}
			for p := range s.Partitions() {
				if n, err := c.Publish(ctx, fmt.Sprintf("hw:{p%02d}:id_0-1:rowpush:%s", p, ns), "").Result(); err != nil || n != 1 {
					t.Fatalf("namespace %d: %d subscribers (%v)", i, n, err)
				}
			}
		}
		cancel()
		<-ended
		if len(sub.awaiting) != 0 {
			t.Errorf("%d are still awaited", len(sub.awaiting))
		}
		if err := sub.Add(t.Context(), 0, Key{"n", "late"}); err == nil {
			t.Error("added to a subscription that has ended")
		}
	})
}

// A network that loses confirmations delays one caller for a moment, and those behind it not at all.
func TestAddOnASilentConnection(t *testing.T) {
	each(t, func(t *testing.T, s *Store, c *redis.Client) {
		w, cut := through(t, c)
		far, err := Open(t.Context(), Options{Client: cut, Identity: "id_0", Fold: 1, Partitions: 4})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		sub := far.Subscribe(ctx)
		ended := make(chan error, 1)
		go func() {
			ended <- sub.Run(ctx, Handler{View: func(Key, int, Fence, []byte) {}, Row: func(string, int, []byte) {}, Reconnected: func() {}})
		}()
		defer func() { cancel(); <-ended }()
		awaitRunning(t, sub)
		if err := sub.Add(ctx, 0, Key{"n", "a"}); err != nil {
			t.Fatal(err)
		}
		w.Mute(true)
		for i := range 20 {
			if err := sub.Add(ctx, 0, Key{"n", fmt.Sprint(i)}); err != nil {
				t.Fatal(err)
			}
		}
		sub.mu.Lock()
		if !sub.mute || len(sub.awaiting) != 0 {
			t.Errorf("who comes next would wait: mute %v, %d awaited", sub.mute, len(sub.awaiting))
		}
		sub.mu.Unlock()
		short, stop := context.WithCancel(ctx)
		stop()
		if err := sub.Add(short, 0, Key{"n", "b"}); err != nil && !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
}
