package viewstore

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

const prefix0 = "hw:{p00}:id_0-1:"

// committed is a partition with two views in namespace n and one in m.
func committed(t *testing.T, s *Store) Fence {
	t.Helper()
	f := claim(t, s, 0, nil, "mine", time.Minute)
	other := write("c", 6, "six")
	other.Namespace = "m"
	next := at(f, 6)
	next.Complete, next.JudgeAt = true, 60_000_000_000
	f, err := s.Commit(t.Context(), 0, f, next, time.Minute, []Write{write("a", 4, "four"), write("b", 5, "five"), other})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// The fence counts each view once, however often it is written or its commit is repeated, and the catalogue and the indexes have
// as many entries.
func TestFenceCountsViews(t *testing.T) {
	each(t, func(t *testing.T, s *Store, c *redis.Client) {
		ctx := t.Context()
		f := committed(t, s)
		for range 3 {
			g, err := s.Commit(ctx, 0, f, at(f, 7), time.Minute, []Write{write("a", 7, "seven"), write("d", 7, "new")})
			if err != nil || g.Views != 4 {
				t.Fatalf("%+v %v", g, err)
			}
		}
		names, err := s.Namespaces(ctx, []int{0, 1})
		if err != nil || len(names[0]) != 2 || len(names[1]) != 0 {
			t.Errorf("%v %v", names, err)
		}
		if n := c.HGetAll(ctx, prefix0+"ns").Val(); n["n"] != "3" || n["m"] != "1" {
			t.Errorf("%v", n)
		}
		for key, n := range map[string]func() (int64, error){
			"cat": c.HLen(ctx, prefix0+"cat").Result, "due": c.ZCard(ctx, prefix0+"due").Result,
			"list": func() (int64, error) {
				a, err := c.ZCard(ctx, prefix0+"list:n").Result()
				b, err2 := c.ZCard(ctx, prefix0+"list:m").Result()
				return a + b, errors.Join(err, err2)
			},
		} {
			if got, err := n(); err != nil || got != 4 {
				t.Errorf("%s holds %d of 4 (%v)", key, got, err)
			}
		}
		now, revisions, err := s.Revisions(ctx, 0, []Key{{"n", "a"}, {"n", "none"}, {"m", "c"}})
		if err != nil || now.Views != 4 || fmt.Sprint(revisions) != "[7 0 6]" {
			t.Errorf("%+v %v %v", now, revisions, err)
		}
		if err := s.Release(ctx, 0, *now); err != nil {
			t.Fatal(err)
		}
		now, err = s.Fence(ctx, 0)
		if err != nil {
			t.Fatal(err)
		}
		if h := claim(t, s, 0, now, "next", time.Minute); h.Views != 4 {
			t.Errorf("the next owner counts %d", h.Views)
		}
		if err := c.Del(ctx, prefix0+"fence").Err(); err != nil {
			t.Fatal(err)
		}
		if h := claim(t, s, 0, nil, "from nothing", time.Minute); h.Views != 4 {
			t.Errorf("an owner from nothing counts %d", h.Views)
		}
	})
}

// A missing view counts as absent only if the catalogue has as many entries as the fence counts, and none for this view.
func TestRule15LoadTellsMissingFromAbsent(t *testing.T) {
	each(t, func(t *testing.T, s *Store, c *redis.Client) {
		ctx := t.Context()
		f := committed(t, s)
		load := func(batch string) Value {
			t.Helper()
			_, v, err := s.Load(ctx, 0, nil, []Key{{"n", batch}})
			if err != nil {
				t.Fatal(err)
			}
			return v[0]
		}
		if err := c.Del(ctx, prefix0+"v:n:a").Err(); err != nil {
			t.Fatal(err)
		}
		if v := load("a"); v.Bytes != nil || !v.Missing || v.Header == nil {
			t.Errorf("a view that vanished: %+v", v)
		}
		if v := load("none"); v.Missing || v.Bytes != nil || v.Header != nil {
			t.Errorf("a batch that never was: %+v", v)
		}
		if err := c.SAdd(ctx, prefix0+"v:n:a", "x").Err(); err != nil {
			t.Fatal(err)
		}
		if v := load("a"); !v.Missing {
			t.Errorf("a view of another type: %+v", v)
		}
		for name, act := range map[string]func() error{
			"lost":            func() error { return c.Del(ctx, prefix0+"cat").Err() },
			"of another type": func() error { return c.Set(ctx, prefix0+"cat", "x", 0).Err() },
		} {
			if err := act(); err != nil {
				t.Fatal(err)
			}
			if v := load("none"); !v.Missing {
				t.Errorf("the catalogue is %s: nothing is known to be absent, but %+v", name, v)
			}
			var damaged DamagedError
			if _, _, err := s.Load(ctx, 0, &f, []Key{{"n", "b"}}); !errors.As(err, &damaged) {
				t.Errorf("the catalogue is %s, and an owner loads: %v", name, err)
			}
		}
	})
}

// A fence that can't be parsed, whatever its type, is reported for its own partition only, and whoever has read it may claim that
// partition.
func TestUnreadableRecord(t *testing.T) {
	for name, spoil := range map[string]func(*redis.Client, context.Context) error{
		"text": func(c *redis.Client, ctx context.Context) error {
			return c.Set(ctx, prefix0+"fence", "garbage", 0).Err()
		},
		"empty": func(c *redis.Client, ctx context.Context) error { return c.Set(ctx, prefix0+"fence", "", 0).Err() },
		"type": func(c *redis.Client, ctx context.Context) error {
			return errors.Join(c.Del(ctx, prefix0+"fence").Err(), c.SAdd(ctx, prefix0+"fence", "x").Err())
		},
	} {
		each(t, func(t *testing.T, s *Store, c *redis.Client) {
			ctx := t.Context()
			committed(t, s)
			other := claim(t, s, 1, nil, "other", time.Minute)
			next := at(other, 5)
			next.Complete, next.JudgeAt = true, 60_000_000_000
			if _, err := s.Commit(ctx, 1, other, next, time.Minute, []Write{write("x", 5, "five")}); err != nil {
				t.Fatal(err)
			}
			if err := spoil(c, ctx); err != nil {
				t.Fatal(err)
			}
			records, err := s.Records(ctx)
			if err != nil || !errors.Is(records[0].Err, ErrUnreadable) || records[1].Fence == nil || records[2].Err != nil {
				t.Fatalf("%s: %+v %v", name, records, err)
			}
			due, err := s.Due(ctx, 10)
			if err != nil || len(due) != 2 || due[0].Err == nil || due[1].Err != nil || len(due[1].Views) != 1 {
				t.Errorf("%s: due %+v %v", name, due, err)
			}
			if f, v, err := s.Load(ctx, 0, nil, []Key{{"n", "a"}}); err != nil || f != nil || v[0].Bytes == nil {
				t.Errorf("%s: %+v %v", name, f, err)
			}
			_, err = s.Claim(ctx, 0, Record{}, Fence{Identity: "id_0", Fold: 1, Token: "blind"}, time.Minute)
			fenced(t, name+": claimed by one who saw none", err)
			f, err := s.Claim(ctx, 0, records[0], Fence{Identity: "id_0", Fold: 1, Token: "mine"}, time.Minute)
			if err != nil || f.Views != 3 || f.Cursor != 0 {
				t.Fatalf("%s: %+v %v", name, f, err)
			}
			_, err = s.Claim(ctx, 0, records[0], Fence{Identity: "id_0", Fold: 1, Token: "late"}, time.Minute)
			fenced(t, name+": claimed twice", err)
		})
	}
}

// Rule 8: a partition whose lease has expired isn't judged, because after a rollback it would still call itself complete.
func TestRule8NoDueWithoutALease(t *testing.T) {
	each(t, func(t *testing.T, s *Store, _ *redis.Client) {
		f := committed(t, s)
		if due, err := s.Due(t.Context(), 10); err != nil || len(due) != 1 || len(due[0].Views) != 3 {
			t.Fatalf("%+v %v", due, err)
		}
		if err := s.Release(t.Context(), 0, f); err != nil {
			t.Fatal(err)
		}
		if due, err := s.Due(t.Context(), 10); err != nil || len(due) != 0 {
			t.Errorf("%+v %v", due, err)
		}
	})
}

// Verify finds each key that doesn't have the counted number of entries. A commit that would build on such a key writes nothing.
func TestDamageIsFound(t *testing.T) {
	for name, found := range map[string]func(Damage) bool{
		"cat": func(d Damage) bool { return d.Catalogue }, "due": func(d Damage) bool { return d.Due },
		"ns": func(d Damage) bool { return d.Namespaces }, "list:n": func(d Damage) bool { return d.Lists["n"] },
		"rows:n": func(d Damage) bool { return d.Lists["n"] && !d.Lists["m"] },
		"v:n:a":  func(d Damage) bool { return len(d.Views) == 1 && d.Views[0] == Key{"n", "a"} },
	} {
		for _, other := range []bool{false, true} {
			each(t, func(t *testing.T, s *Store, c *redis.Client) {
				ctx := t.Context()
				f := committed(t, s)
				look := func() Damage {
					t.Helper()
					d, err := s.Verify(ctx, []Look{{Partition: 0}, {Partition: 1}})
					if err != nil || d[1].Indexes() || len(d[1].Views) > 0 {
						t.Fatalf("%+v %v", d, err)
					}
					return d[0]
				}
				if d := look(); d.Indexes() || len(d.Views) > 0 {
					t.Fatalf("damage of what is whole: %+v", d)
				}
				if err := c.Del(ctx, prefix0+name).Err(); err != nil {
					t.Fatal(err)
				}
				if other {
					if err := c.XAdd(ctx, &redis.XAddArgs{Stream: prefix0 + name, Values: []string{"a", "b"}}).Err(); err != nil {
						t.Fatal(err)
					}
				}
				d := look()
				if !found(d) {
					t.Errorf("%s, of another type %v: found %+v", name, other, d)
				}
				_, err := s.Commit(ctx, 0, f, at(f, 9), time.Minute, []Write{write("b", 9, "nine")})
				var damaged DamagedError
				if wrong := errors.As(err, &damaged); wrong != strings.Contains("cat due ns list:n rows:n", name) {
					t.Errorf("%s, of another type %v: a commit says %v", name, other, err)
				}
			})
		}
	}
}

// A large value is stored completely, without expiry, and only under its own key.
func TestLargeValueIsStaged(t *testing.T) {
	each(t, func(t *testing.T, s *Store, c *redis.Client) {
		ctx := t.Context()
		f := committed(t, s)
		large := write("a", 9, strings.Repeat("x", 3*stageFrom))
		for range 2 { // repeated after a lost reply
			if _, err := s.Commit(ctx, 0, f, at(f, 9), time.Minute, []Write{large, write("b", 9, "nine")}); err != nil {
				t.Fatal(err)
			}
		}
		if got := value(t, s, 0, "a"); len(got) != 3*stageFrom {
			t.Errorf("%d bytes are stored", len(got))
		}
		if got := value(t, s, 0, "b"); got != "nine" {
			t.Errorf("beside it %q is stored", got)
		}
		if ttl, err := c.TTL(ctx, prefix0+"v:n:a").Result(); err != nil || ttl != -1 {
			t.Errorf("it is kept for %v (%v)", ttl, err)
		}
	})
}

// Only the first view of a namespace in a partition is reported as such.
func TestNamespacesArePushed(t *testing.T) {
	each(t, func(t *testing.T, s *Store, _ *redis.Client) {
		ctx, cancel := context.WithCancel(t.Context())
		told := make(chan string, 16)
		sub := s.Subscribe(ctx)
		ended := make(chan error, 1)
		go func() {
			ended <- sub.Run(ctx, Handler{Namespace: func(ns string, p int) { told <- fmt.Sprint(ns, p) }, Reconnected: func() {}})
		}()
		defer func() { cancel(); <-ended }()
		awaitRunning(t, sub)
		if err := sub.AddNamespaces(ctx); err != nil {
			t.Fatal(err)
		}
		f := committed(t, s)
		last := write("z", 9, "nine")
		last.Namespace = "last"
		if _, err := s.Commit(ctx, 0, f, at(f, 9), time.Minute, []Write{write("new", 9, "nine"), last}); err != nil {
			t.Fatal(err)
		}
		var got []string
		for len(got) == 0 || got[len(got)-1] != "last0" {
			got = append(got, <-told)
		}
		if fmt.Sprint(got) != "[n0 m0 last0]" {
			t.Errorf("told %v", got)
		}
	})
}
