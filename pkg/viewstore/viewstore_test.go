package viewstore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"github.com/headwayhq/headway/pkg/diagnostics"
	"github.com/headwayhq/headway/pkg/headwaytest"
)

// each runs a test of the conformance suite on the best Redis there is, on the in-memory stand-in, behind sentinels and on a cluster.
func each(t *testing.T, test func(t *testing.T, s *Store, c *redis.Client)) {
	t.Helper()
	on := func(t *testing.T, store redis.UniversalClient, look *redis.Client) {
		t.Helper()
		s, err := Open(t.Context(), Options{Client: store, Identity: "id_0", Fold: 1, Partitions: 4})
		if err != nil {
			t.Fatal(err)
		}
		test(t, s, look)
	}
	t.Run("stand-in", func(t *testing.T) {
		t.Parallel()
		c := own(t, "redis://"+miniredis.RunT(t).Addr()+"/0")
		on(t, c, c)
	})
	url, what := headwaytest.Redis(t)
	t.Run(what, func(t *testing.T) {
		t.Parallel()
		c := own(t, url)
		on(t, c, c)
	})
	for name, g := range groups {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g.take(t)
			store, look := g.clients(t)
			on(t, store, look)
		})
	}
}

func claim(t *testing.T, s *Store, p int, seen *Fence, token string, lease time.Duration) Fence {
	t.Helper()
	next := Fence{Identity: s.Identity(), Fold: s.Fold()}
	if seen != nil {
		next = *seen
	}
	next.Token = token
	f, err := s.Claim(t.Context(), p, Record{Fence: seen}, next, lease)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func at(f Fence, cursor uint64) Fence {
	f.Cursor = cursor
	return f
}

func write(batch string, revision uint64, value string) Write {
	header := diagnostics.Header{Revision: revision}.Append(nil)
	return Write{Key: Key{"n", batch}, Value: append(header, value...), Revision: revision, Due: int64(1000 * revision), Row: []byte(batch + value)}
}

func value(t *testing.T, s *Store, p int, batch string) string {
	t.Helper()
	_, v, err := s.Load(t.Context(), p, nil, []Key{{"n", batch}})
	if err != nil {
		t.Fatal(err)
	}
	if v[0].Bytes == nil {
		return ""
	}
	return string(v[0].Bytes[diagnostics.HeaderSize:])
}

func fenced(t *testing.T, what string, err error) {
	t.Helper()
	if !errors.Is(err, ErrFenced) {
		t.Errorf("%s: %v", what, err)
	}
}

func TestRule1WholeRecord(t *testing.T) {
	each(t, func(t *testing.T, s *Store, c *redis.Client) {
		ctx := t.Context()
		f := claim(t, s, 0, nil, "mine", time.Minute)
		_, err := s.Claim(ctx, 0, Record{Fence: &f}, Fence{Identity: "id_0", Fold: 1, Token: "other"}, time.Minute)
		fenced(t, "claimed while the lease runs", err)
		_, err = s.Claim(ctx, 0, Record{}, Fence{Identity: "id_0", Fold: 1, Token: "other"}, time.Minute)
		fenced(t, "claimed as if there were no record", err)

		g, err := s.Commit(ctx, 0, f, at(f, 5), time.Minute, []Write{write("a", 5, "five")})
		if err != nil {
			t.Fatal(err)
		}
		_, err = s.Commit(ctx, 0, f, at(f, 6), time.Minute, []Write{write("a", 6, "zombie")})
		fenced(t, "a commit on an older record", err)
		foreign := g
		foreign.Token = "foreign"
		_, err = s.Commit(ctx, 0, foreign, at(foreign, 6), time.Minute, []Write{write("a", 6, "zombie")})
		fenced(t, "a foreign token", err)
		if got := value(t, s, 0, "a"); got != "five" {
			t.Errorf("the view is %q", got)
		}
		if err := s.Release(ctx, 0, g); err != nil {
			t.Fatal(err)
		}
		_, err = s.Commit(ctx, 0, g, g, time.Minute, nil)
		fenced(t, "a heartbeat after the release", err)
		seen, err := s.Fence(ctx, 0)
		if err != nil {
			t.Fatal(err)
		}
		h := claim(t, s, 0, seen, "other", time.Minute)
		if h.Cursor != 5 {
			t.Errorf("the new owner begins at %d", h.Cursor)
		}
		if err := c.FlushAll(ctx).Err(); err != nil {
			t.Fatal(err)
		}
		_, err = s.Commit(ctx, 0, h, h, time.Minute, nil)
		fenced(t, "an idle heartbeat after a wipe", err)
		_, err = s.Commit(ctx, 0, h, at(h, 9), time.Minute, []Write{write("a", 9, "zombie")})
		fenced(t, "a commit after a wipe", err)
		if got := value(t, s, 0, "a"); got != "" {
			t.Errorf("after a wipe a zombie wrote %q", got)
		}
	})
}

func TestRule2RepeatedAfterALostReply(t *testing.T) {
	each(t, func(t *testing.T, s *Store, _ *redis.Client) {
		f := claim(t, s, 0, nil, "mine", time.Minute)
		for range 3 { // the very same commit: once it is done it answers as done
			g, err := s.Commit(t.Context(), 0, f, at(f, 5), time.Minute, []Write{write("a", 5, "five")})
			if err != nil || g.Cursor != 5 {
				t.Fatalf("%+v %v", g, err)
			}
		}
		_, err := s.Commit(t.Context(), 0, f, at(f, 6), time.Minute, []Write{write("a", 6, "six")})
		fenced(t, "another commit on the same record", err)
	})
}

func TestRule3LoadedWithTheRecord(t *testing.T) {
	each(t, func(t *testing.T, s *Store, c *redis.Client) {
		f := claim(t, s, 0, nil, "mine", time.Minute)
		old := f
		f, err := s.Commit(t.Context(), 0, f, at(f, 5), time.Minute, []Write{write("a", 5, "five")})
		if err != nil {
			t.Fatal(err)
		}
		if _, v, err := s.Load(t.Context(), 0, &f, []Key{{"n", "a"}, {"n", "none"}}); err != nil || v[0].Bytes == nil || v[1].Bytes != nil {
			t.Errorf("%v %v", v, err)
		}
		_, _, err = s.Load(t.Context(), 0, &old, []Key{{"n", "a"}})
		fenced(t, "a load with an older record", err)
		if err := c.Del(t.Context(), "hw:{p00}:id_0-1:fence").Err(); err != nil {
			t.Fatal(err)
		}
		_, _, err = s.Load(t.Context(), 0, &f, []Key{{"n", "a"}})
		fenced(t, "a load without a record", err)
	})
}

// Rule 4: scripts don't roll back. A key of the wrong type fails the commit before anything is written.
func TestRule4NothingHalfWritten(t *testing.T) {
	for _, broken := range []string{"due", "ns", "list:n", "rows:n"} {
		each(t, func(t *testing.T, s *Store, c *redis.Client) {
			ctx := t.Context()
			f := claim(t, s, 0, nil, "mine", time.Minute)
			if err := c.Set(ctx, "hw:{p00}:id_0-1:"+broken, "x", 0).Err(); err != nil {
				t.Fatal(err)
			}
			_, err := s.Commit(ctx, 0, f, at(f, 5), time.Minute, []Write{write("a", 5, "five")})
			if err == nil || errors.Is(err, ErrFenced) || !strings.Contains(err.Error(), broken) {
				t.Errorf("%s: %v", broken, err)
			}
			keys, err := c.Keys(ctx, "*").Result()
			if err != nil || len(keys) != 2 {
				t.Errorf("%s: after a failed commit there are %v (%v)", broken, keys, err)
			}
			if now, err := s.Fence(ctx, 0); err != nil || now.Cursor != 0 {
				t.Errorf("%s: the cursor moved: %+v %v", broken, now, err)
			}
		})
	}
}

func TestRule9DueIndex(t *testing.T) {
	each(t, func(t *testing.T, s *Store, c *redis.Client) {
		ctx := t.Context()
		f := claim(t, s, 0, nil, "mine", time.Minute)
		due := func() []DueView {
			t.Helper()
			parts, err := s.Due(ctx, 10)
			if err != nil {
				t.Fatal(err)
			}
			if len(parts) == 0 {
				return nil
			}
			return parts[0].Views
		}
		commit := func(next Fence, w ...Write) {
			t.Helper()
			var err error
			if f, err = s.Commit(ctx, 0, f, next, time.Minute, w); err != nil {
				t.Fatal(err)
			}
		}
		next := at(f, 5)
		next.JudgeAt = 5_500_000_000 // 5.5 s
		commit(next, write("a", 5, "five"), write("b", 6, "six"))
		if got := due(); len(got) != 0 {
			t.Errorf("due although the partition isn't complete: %v", got)
		}
		next = f
		next.Complete = true
		commit(next)
		got := due()
		if len(got) != 1 || got[0].Batch != "a" || !bytes.HasSuffix(got[0].Value, []byte("five")) {
			t.Fatalf("due: %+v", got)
		}
		entry := got[0]
		commit(at(f, 7), write("a", 5, "five")) // scored again, the same
		if err := s.Reschedule(ctx, 0, entry, 9000); err != nil {
			t.Fatal(err)
		}
		if got := due(); len(got) != 0 {
			t.Errorf("an entry that was moved is due: %v", got)
		}
		again := write("a", 4, "four")
		again.Due = 5000
		commit(at(f, 8), again)
		if err := s.Reschedule(ctx, 0, entry, 9000); err != nil { // its view has changed since it was read
			t.Fatal(err)
		}
		if got := due(); len(got) != 1 {
			t.Errorf("an entry of a view that changed was moved: %v", got)
		}
		seen := 0
		if err := s.Sweep(ctx, 0, func(Key, []byte) int64 { seen++; return 1 }); err != nil {
			t.Fatal(err)
		}
		if got := due(); seen != 2 || len(got) != 2 {
			t.Errorf("after a sweep of %d views %d are due", seen, len(got))
		}
		w := write("a", 9, "over")
		w.Due = 0
		commit(at(f, 9), w)
		// An entry without a next check is kept, so that entries can be counted.
		if n, err := c.ZCount(ctx, "hw:{p00}:id_0-1:due", "-inf", "1e15").Result(); err != nil || n != 1 {
			t.Errorf("%d entries to come after one was over (%v)", n, err)
		}
		if n, err := c.ZCard(ctx, "hw:{p00}:id_0-1:due").Result(); err != nil || n != 2 {
			t.Errorf("%d entries of 2 views (%v)", n, err)
		}
	})
}

func TestRule17SideBySide(t *testing.T) {
	each(t, func(t *testing.T, s *Store, c *redis.Client) {
		newer, err := Open(t.Context(), Options{Client: c, Identity: "id_0", Fold: 2, Partitions: 4})
		if err != nil {
			t.Fatal(err)
		}
		for i, x := range []*Store{s, newer, s.WithIdentity("id_1")} {
			f := claim(t, x, 0, nil, "t", time.Minute)
			if _, err := x.Commit(t.Context(), 0, f, at(f, 5), time.Minute, []Write{write("a", 5, fmt.Sprint(i))}); err != nil {
				t.Fatal(err)
			}
		}
		for i, x := range []*Store{s, newer, s.WithIdentity("id_1")} {
			if got := value(t, x, 0, "a"); got != fmt.Sprint(i) {
				t.Errorf("store %d holds %q", i, got)
			}
		}
		if s.RevisionID(7) != "id_0-1-7" || newer.RevisionID(7) != "id_0-2-7" {
			t.Error(s.RevisionID(7), newer.RevisionID(7))
		}
	})
}

func TestRowsAndPushes(t *testing.T) {
	each(t, func(t *testing.T, s *Store, c *redis.Client) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		views, rows := make(chan []byte, 10), make(chan []byte, 10)
		sub := s.Subscribe(ctx)
		if err := errors.Join(sub.Add(ctx, 0, Key{"n", "a"}), sub.Add(ctx, 0, Key{"n", "big"}), sub.AddNamespace(ctx, "n")); err != nil {
			t.Fatal(err)
		}
		ended := make(chan error, 1)
		go func() {
			ended <- sub.Run(ctx, Handler{
				View:        func(k Key, _ int, f Fence, v []byte) { views <- fmt.Appendf(nil, "%s %d %s", k.Batch, f.Cursor, v) },
				Row:         func(_ string, _ int, row []byte) { rows <- row },
				Reconnected: func() {},
			})
		}()
		for deadline := time.Now().Add(10 * time.Second); ; {
			n, err := c.PubSubNumSub(ctx, "hw:{p00}:id_0-1:push:n:a", "hw:{p00}:id_0-1:push:n:big", "hw:{p00}:id_0-1:rowpush:n").Result()
			if err != nil || time.Now().After(deadline) {
				t.Fatalf("%v %v", n, err)
			}
			if n["hw:{p00}:id_0-1:push:n:a"]+n["hw:{p00}:id_0-1:push:n:big"]+n["hw:{p00}:id_0-1:rowpush:n"] == 3 {
				break
			}
		}
		f := claim(t, s, 0, nil, "t", time.Minute)
		f, err := s.Commit(ctx, 0, f, at(f, 5), time.Minute, []Write{write("a", 3, "three"), write("big", 5, strings.Repeat("x", 70<<10))})
		if err != nil {
			t.Fatal(err)
		}
		if v := <-views; !bytes.HasPrefix(v, []byte("a 5 ")) || !bytes.HasSuffix(v, []byte("three")) {
			t.Errorf("pushed %q", v)
		}
		if v := <-views; len(v) != len("big 5 ")+diagnostics.HeaderSize {
			t.Errorf("of a large view %d bytes were pushed", len(v))
		}
		if row := <-rows; string(row) != "athree" {
			t.Errorf("row %q", row)
		}
		w := write("a", 6, "six")
		w.Row = nil
		if _, err = s.Commit(ctx, 0, f, at(f, 6), time.Minute, []Write{w}); err != nil {
			t.Fatal(err)
		}
		if all, err := s.Rows(ctx, "n"); err != nil || len(all) != 2 {
			t.Errorf("%d rows %v", len(all), err)
		}
		each := map[Key]string{}
		if err := s.EachRow(ctx, 0, func(k Key, row string) { each[k] = row }); err != nil || len(each) != 2 || each[Key{"n", "a"}] != "athree" {
			t.Fatalf("rows of the partition: %v %v", each, err)
		}
		if err := s.EachRow(ctx, 1, func(k Key, row string) { t.Errorf("%v is a row of another partition", k) }); err != nil {
			t.Fatal(err)
		}
		if since, err := s.RowsSince(ctx, "n", 0, 5); err != nil || len(since) != 1 || string(since[0]) != "athree" {
			t.Errorf("since 5: %q %v", since, err)
		}
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("it ended with %v", err)
		}
	})
}

func TestMembers(t *testing.T) {
	each(t, func(t *testing.T, s *Store, _ *redis.Client) {
		ctx := t.Context()
		for _, m := range []string{"a", "b"} {
			if _, err := s.Join(ctx, m, time.Minute); err != nil {
				t.Fatal(err)
			}
		}
		if all, err := s.Join(ctx, "a", time.Minute); err != nil || len(all) != 2 {
			t.Errorf("%v %v", all, err)
		}
		if err := s.Leave(ctx, "b"); err != nil {
			t.Fatal(err)
		}
		if all, err := s.Join(ctx, "a", time.Minute); err != nil || len(all) != 1 {
			t.Errorf("%v %v", all, err)
		}
	})
}

// A Redis that evicts keys would lose views without notice.
func TestRefusesToEvict(t *testing.T) {
	url, _ := headwaytest.Redis(t, "--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru")
	if url == "" {
		t.Skip("SKIPPED: no redis-server on this machine")
	}
	o, err := redis.ParseURL(url)
	if err != nil {
		t.Fatal(err)
	}
	c := redis.NewClient(o)
	defer c.Close()
	if _, err := Open(t.Context(), Options{Client: c, Identity: "i", Fold: 1, Partitions: 1}); err == nil || !strings.Contains(err.Error(), "noeviction") {
		t.Errorf("%v", err)
	}
}
