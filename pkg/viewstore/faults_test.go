package viewstore

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/headwayhq/headway/pkg/headwaytest"
)

// The reply to a commit is lost after Redis executed it. The same commit, repeated over a new connection, reports success, and
// everything is written once.
func TestRule2ReplyLostOnTheWire(t *testing.T) {
	each(t, func(t *testing.T, s *Store, c *redis.Client) {
		ctx := t.Context()
		w, cut := through(t, c)
		far, err := Open(ctx, Options{Client: cut, Identity: "id_0", Fold: 1, Partitions: 4})
		if err != nil {
			t.Fatal(err)
		}
		f := claim(t, far, 0, nil, "mine", time.Minute)
		// The script is loaded, so that the commit whose reply is cut off is executed at the first try.
		if f, err = far.Commit(ctx, 0, f, at(f, 4), time.Minute, nil); err != nil {
			t.Fatal(err)
		}
		w.Mute(true)
		try, cancel := context.WithTimeout(ctx, 200*time.Millisecond)
		defer cancel()
		writes := []Write{write("a", 5, "five")}
		if _, err := far.Commit(try, 0, f, at(f, 5), time.Minute, writes); err == nil || errors.Is(err, ErrFenced) {
			t.Fatalf("a commit without a reply: %v", err)
		}
		if now, err := s.Fence(ctx, 0); err != nil || now.Cursor != 5 {
			t.Fatalf("it wasn't done: %+v %v", now, err)
		}
		w.Mute(false)
		g, err := far.Commit(ctx, 0, f, at(f, 5), time.Minute, writes)
		if err != nil {
			t.Fatalf("repeated: %v", err)
		}
		if now, err := s.Fence(ctx, 0); err != nil || *now != g {
			t.Errorf("the record is %+v, believed %+v (%v)", now, g, err)
		}
		if got := value(t, s, 0, "a"); got != "five" {
			t.Errorf("the view is %q", got)
		}
		if _, err := far.Commit(ctx, 0, g, at(g, 6), time.Minute, nil); err != nil {
			t.Errorf("after the repetition: %v", err)
		}
	})
}

// A commit that leaves the cursor where it is (views flagged as incomplete) differs from the record before
// only by the lease. A rollback to that record must not look as if the commit had been done: its views
// would never be written.
func TestRule2ARollbackIsNoRepetition(t *testing.T) {
	each(t, func(t *testing.T, s *Store, c *redis.Client) {
		ctx := t.Context()
		f := claim(t, s, 0, nil, "mine", time.Minute)
		f, err := s.Commit(ctx, 0, f, at(f, 5), time.Minute, []Write{write("a", 5, "five")})
		if err != nil {
			t.Fatal(err)
		}
		g, err := s.Commit(ctx, 0, f, f, 2*time.Minute, nil) // only the lease moves
		if err != nil || g.LeaseUntil <= f.LeaseUntil {
			t.Fatalf("%+v %v", g, err)
		}
		if err := c.Set(ctx, "hw:{p00}:id_0-1:fence", f.String(), 0).Err(); err != nil {
			t.Fatal(err)
		}
		_, err = s.Commit(ctx, 0, g, g, 2*time.Minute, []Write{write("a", 5, "flagged")})
		if got := value(t, s, 0, "a"); err == nil && got != "flagged" {
			t.Errorf("answered as done, but the view is %q", got)
		}
		fenced(t, "a commit after a rollback", err)
	})
}

// listen runs a subscription through a proxy, and returns channels with what it delivers.
func listen(t *testing.T, s *Store, quiet time.Duration) (views chan string, again chan struct{}) {
	t.Helper()
	views, again = make(chan string, 16), make(chan struct{}, 16)
	ctx, cancel := context.WithCancel(t.Context())
	sub := s.Subscribe(ctx)
	sub.quiet = quiet
	if err := sub.Add(ctx, 0, Key{"n", "a"}); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() {
		ended <- sub.Run(ctx, Handler{
			View:        func(k Key, _ int, _ Fence, _ []byte) { views <- k.Batch },
			Row:         func(string, int, []byte) {},
			Reconnected: func() { again <- struct{}{} },
		})
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("the subscription ended with %v", err)
		}
	})
	return views, again
}

func awaitSubscriber(t *testing.T, c *redis.Client, channel string, n int64) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); ; {
		got, err := c.PubSubNumSub(t.Context(), channel).Result()
		if err == nil && got[channel] >= n {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d subscribers of %s (%v)", got[channel], channel, err)
		}
	}
}

// A connection that delivers nothing any more, although nobody closed it, is given up, and this is reported, because what was
// pushed meanwhile is missing.
func TestSubscriptionGivesUpAHalfOpenConnection(t *testing.T) {
	each(t, func(t *testing.T, s *Store, c *redis.Client) {
		w, cut := through(t, c)
		far, err := Open(t.Context(), Options{Client: cut, Identity: "id_0", Fold: 1, Partitions: 4})
		if err != nil {
			t.Fatal(err)
		}
		const channel = "hw:{p00}:id_0-1:push:n:a"
		views, again := listen(t, far, 50*time.Millisecond)
		awaitSubscriber(t, c, channel, 1)
		f := claim(t, s, 0, nil, "mine", time.Minute)
		if f, err = s.Commit(t.Context(), 0, f, at(f, 5), time.Minute, []Write{write("a", 5, "five")}); err != nil {
			t.Fatal(err)
		}
		<-views

		w.HalfOpen()
		select {
		case <-again:
		case <-time.After(10 * time.Second):
			t.Fatal("a dead connection was taken for a quiet one")
		}
		if _, err = s.Commit(t.Context(), 0, f, at(f, 6), time.Minute, []Write{write("a", 6, "six")}); err != nil {
			t.Fatal(err)
		}
		select {
		case <-views:
		case <-time.After(10 * time.Second):
			t.Fatal("nothing is delivered after the reconnection")
		}
	})
}

// A quiet connection that still works isn't given up.
func TestSubscriptionKeepsAQuietConnection(t *testing.T) {
	each(t, func(t *testing.T, s *Store, c *redis.Client) {
		views, again := listen(t, s, 5*time.Millisecond)
		awaitSubscriber(t, c, "hw:{p00}:id_0-1:push:n:a", 1)
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond) // some forty pings
		defer cancel()
		<-ctx.Done()
		f := claim(t, s, 0, nil, "mine", time.Minute)
		if _, err := s.Commit(t.Context(), 0, f, at(f, 5), time.Minute, []Write{write("a", 5, "five")}); err != nil {
			t.Fatal(err)
		}
		<-views
		if len(again) > 0 {
			t.Error("it was made anew")
		}
	})
}

// Hosted servers refuse CONFIG; an evicting one is found out all the same, and one that doesn't evict serves.
func TestRefusesToEvictWithoutConfig(t *testing.T) {
	for policy, refused := range map[string]bool{"allkeys-lru": true, "noeviction": false} {
		url, _ := headwaytest.Redis(t, "--maxmemory", "100mb", "--maxmemory-policy", policy, "--rename-command", "CONFIG", "")
		if url == "" {
			t.Skip("SKIPPED: no redis-server on this machine")
		}
		o, err := redis.ParseURL(url)
		if err != nil {
			t.Fatal(err)
		}
		c := redis.NewClient(o)
		t.Cleanup(func() { _ = c.Close() })
		_, err = Open(t.Context(), Options{Client: c, Identity: "i", Fold: 1, Partitions: 1})
		if got := err != nil && strings.Contains(err.Error(), "noeviction"); got != refused || (err != nil) != refused {
			t.Errorf("%s: %v", policy, err)
		}
	}
}
