package viewstore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// Rule 17: only workers of the same stream identity and fold version share partitions.
func TestRule17MembersApart(t *testing.T) {
	each(t, func(t *testing.T, s *Store, c *redis.Client) {
		ctx := t.Context()
		stores := []*Store{s, s.WithFold(2), s.WithIdentity("id_1")}
		for i, x := range stores {
			all, err := x.Join(ctx, fmt.Sprint("m", i), time.Minute)
			if err != nil || !slices.Equal(all, []string{fmt.Sprint("m", i)}) {
				t.Errorf("%s: %v %v", x.Version(), all, err)
			}
		}
		if err := stores[1].Leave(ctx, "m0"); err != nil {
			t.Fatal(err)
		}
		if all, err := s.Join(ctx, "m", time.Second); err != nil || len(all) != 2 {
			t.Errorf("%v %v", all, err)
		}
		if ttl, err := c.PTTL(ctx, "hw:members:id_0-1").Result(); err != nil || ttl < 50*time.Second {
			t.Errorf("members are forgotten after %v (%v), while one lives for a minute", ttl, err)
		}
		known, _, err := s.Versions(ctx)
		if err != nil || len(known) != 3 || known[0].Members != 2 || known[0].Partitions != 4 || time.Since(known[0].Heartbeat) > time.Minute {
			t.Errorf("%+v %v", known, err)
		}
	})
}

func TestRule17ServingIsComparedAndSet(t *testing.T) {
	each(t, func(t *testing.T, s *Store, c *redis.Client) {
		ctx := t.Context()
		one, two, three := s, s.WithFold(2), s.WithFold(3)
		is := func(what string, fold, highest int) Serving {
			t.Helper()
			v, err := s.Serving(ctx)
			if err != nil || v.Fold != fold || v.Highest != highest {
				t.Fatalf("%s: %+v %v, want %d %d", what, v, err, fold, highest)
			}
			return v
		}
		none := is("at first", 0, 0)
		if v, err := one.Serve(ctx, none); err != nil || v.Fold != 1 {
			t.Fatalf("%+v %v", v, err)
		}
		if v, err := two.Serve(ctx, none); err != nil || v.Fold != 1 {
			t.Errorf("on what stood before, another is told %+v %v", v, err)
		}
		first := is("one is first", 1, 1)
		for range 2 { // the reply was lost
			if v, err := two.Serve(ctx, first); err != nil || v.Fold != 2 {
				t.Fatalf("%+v %v", v, err)
			}
		}
		second := is("two took over", 2, 2)
		if second.Yields(1) || second.Yields(2) || !second.Yields(3) {
			t.Errorf("%+v yields to an older one, or to none", second)
		}
		if _, err := one.Serve(ctx, second); err != nil { // an operator's act
			t.Fatal(err)
		}
		back := is("back to one", 1, 2)
		if back.Yields(2) || !back.Yields(3) {
			t.Errorf("what was gone back from takes over again by itself: %+v", back)
		}
		if v, err := two.Serve(ctx, first); err != nil || v.Fold != 1 {
			t.Errorf("a late repetition changed what serves: %+v %v", v, err)
		}
		if v, err := three.Serve(ctx, back); err != nil || v.Fold != 3 {
			t.Errorf("%+v %v", v, err)
		}
		if v, err := s.WithIdentity("id_1").Serving(ctx); err != nil || v.Fold != 0 {
			t.Errorf("another identity's: %+v %v", v, err)
		}
		if err := c.Set(ctx, "hw:serving:id_0", "nonsense", 0).Err(); err != nil {
			t.Fatal(err)
		}
		if _, err := two.Serve(ctx, is("unreadable", 0, 0)); err != nil {
			t.Fatal(err)
		}
		is("put right", 2, 2)
	})
}

// The reply is lost after the change was made. Repeating the change has no further effect, even if another change was made in
// between.
func TestRule17ServeRepeatedAfterALostReply(t *testing.T) {
	each(t, func(t *testing.T, s *Store, c *redis.Client) {
		ctx := t.Context()
		w, cut := through(t, c)
		far, err := Open(ctx, Options{Client: cut, Identity: "id_0", Fold: 2, Partitions: 4})
		if err != nil {
			t.Fatal(err)
		}
		seen, err := s.Serve(ctx, Serving{}) // also makes the script known to the server
		if err != nil {
			t.Fatal(err)
		}
		if now, err := far.Serving(ctx); err != nil || now != seen {
			t.Fatalf("%+v %v", now, err)
		}
		w.Mute(true)
		try, cancel := context.WithTimeout(ctx, 200*time.Millisecond)
		defer cancel()
		if v, err := far.Serve(try, seen); err == nil {
			t.Fatalf("without a reply: %+v", v)
		}
		w.Mute(false)
		done, err := s.Serving(ctx)
		if err != nil || done.Fold != 2 {
			t.Fatalf("it wasn't done: %+v %v", done, err)
		}
		if v, err := far.Serve(ctx, seen); err != nil || v != done {
			t.Errorf("repeated: %+v %v", v, err)
		}
		if _, err := s.Serve(ctx, done); err != nil {
			t.Fatal(err)
		}
		if v, err := far.Serve(ctx, seen); err != nil || v.Fold != 1 {
			t.Errorf("repeated after another change: %+v %v", v, err)
		}
	})
}

func TestCovers(t *testing.T) {
	complete := func(cursor uint64) *Fence { return &Fence{Cursor: cursor, Complete: true} }
	for _, c := range []struct {
		what    string
		fences  []*Fence
		cursors []uint64
		want    bool
	}{
		{"level", []*Fence{complete(5), complete(9)}, []uint64{5, 9}, true},
		{"ahead, and nothing to compare with", []*Fence{complete(6), complete(9)}, []uint64{5}, true},
		{"behind in one", []*Fence{complete(5), complete(8)}, []uint64{5, 9}, false},
		{"not complete in one", []*Fence{complete(5), {Cursor: 9}}, []uint64{5, 9}, false},
		{"no record of one", []*Fence{complete(5), nil}, nil, false},
	} {
		if got := Covers(c.fences, c.cursors); got != c.want {
			t.Errorf("%s: %v", c.what, got)
		}
	}
	if got := Cursors([]*Fence{nil, complete(7)}); !slices.Equal(got, []uint64{0, 7}) {
		t.Error(got)
	}
}

// fill writes batches into every partition of a store, and releases the partitions.
func fill(t *testing.T, s *Store, batches int) {
	t.Helper()
	for p := range s.partitions {
		f := claim(t, s, p, nil, "t", time.Minute)
		for b := 0; b < batches; {
			var w []Write
			for ; b < batches && len(w) < MaxCommitViews; b++ {
				one := write(fmt.Sprint("b", b), uint64(b+1), "x")
				one.Namespace = fmt.Sprint("n", b%3)
				w = append(w, one)
			}
			var err error
			if f, err = s.Commit(t.Context(), p, f, at(f, uint64(b)), time.Minute, w); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.Release(t.Context(), p, f); err != nil {
			t.Fatal(err)
		}
	}
}

func known(t *testing.T, s *Store, v Version) KnownVersion {
	t.Helper()
	all, _, err := s.Versions(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range all {
		if k.Version == v {
			return k
		}
	}
	t.Fatalf("%s isn't known: %+v", v, all)
	return KnownVersion{}
}

func keysOf(t *testing.T, c *redis.Client, pattern string) []string {
	t.Helper()
	keys, err := c.Keys(t.Context(), pattern).Result()
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(keys)
	return keys
}

// Rule 17: a version that is no longer needed is removed completely, and nothing of another version is touched.
func TestRule17Remove(t *testing.T) {
	each(t, func(t *testing.T, s *Store, c *redis.Client) {
		ctx := t.Context()
		const batches = 1300 // some pages, and more than one commit
		old, other := s.WithFold(2), s.WithIdentity("id_1")
		for _, x := range []*Store{s, old, other} {
			fill(t, x, batches)
			if _, err := x.Join(ctx, "m", time.Minute); err != nil {
				t.Fatal(err)
			}
			if _, err := x.Serve(ctx, Serving{}); err != nil {
				t.Fatal(err)
			}
		}
		if n, err := old.Batches(ctx); err != nil || n != 4*batches {
			t.Fatalf("%d batches (%v)", n, err)
		}
		if _, err := s.Remove(ctx, known(t, s, old.Version())); !errors.Is(err, ErrAlive) {
			t.Errorf("with a member that lives: %v", err)
		}
		if err := old.Leave(ctx, "m"); err != nil {
			t.Fatal(err)
		}
		// A hash as a catalogue names views that are in no list.
		if err := errors.Join(c.Set(ctx, "hw:{p01}:id_0-2:v:n0:unlisted", "x", 0).Err(), c.HSet(ctx, "hw:{p01}:id_0-2:cat", "n0:unlisted", 3).Err()); err != nil {
			t.Fatal(err)
		}
		kept := len(keysOf(t, c, "*")) - len(keysOf(t, c, "*id_0-2*"))
		removed, err := s.Remove(ctx, known(t, s, old.Version()))
		if err != nil || removed < 4*batches {
			t.Errorf("%d keys removed, %v", removed, err)
		}
		if left := keysOf(t, c, "*id_0-2*"); len(left) > 0 {
			t.Errorf("left: %.300q", left)
		}
		if now := len(keysOf(t, c, "*")); now != kept {
			t.Errorf("%d keys of others, there were %d", now, kept)
		}
		all, _, err := s.Versions(ctx)
		if err != nil || len(all) != 2 {
			t.Errorf("%+v %v", all, err)
		}
		if err := other.Leave(ctx, "m"); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Remove(ctx, known(t, s, other.Version())); err != nil {
			t.Fatal(err)
		}
		if left := keysOf(t, c, "*id_1*"); len(left) > 0 {
			t.Errorf("of an identity of which no version is left: %q", left)
		}
	})
}

// The namespaces may be in a hash.
func TestRemoveByAHashOfNamespaces(t *testing.T) {
	each(t, func(t *testing.T, s *Store, c *redis.Client) {
		ctx := t.Context()
		fill(t, s, 10)
		if _, err := s.Join(ctx, "m", time.Millisecond); err != nil {
			t.Fatal(err)
		}
		for p := range 4 {
			key := fmt.Sprintf("hw:{p%02d}:id_0-1:ns", p)
			if err := errors.Join(c.Del(ctx, key).Err(), c.HSet(ctx, key, "n0", 4, "n1", 3, "n2", 3).Err()); err != nil {
				t.Fatal(err)
			}
		}
		k := known(t, s, s.Version())
		k.Members = 0 // its time is over
		if _, err := s.Remove(ctx, k); err != nil {
			t.Fatal(err)
		}
		if left := keysOf(t, c, "hw:{*"); len(left) > 0 {
			t.Errorf("left: %q", left)
		}
	})
}

// A partition that has an owner, or that is claimed again while its old keys are being removed, isn't touched.
func TestRemoveSparesWhatIsClaimed(t *testing.T) {
	each(t, func(t *testing.T, s *Store, c *redis.Client) {
		ctx := t.Context()
		fill(t, s, 10)
		if _, err := s.Join(ctx, "m", time.Millisecond); err != nil {
			t.Fatal(err)
		}
		k := known(t, s, s.Version())
		k.Members = 0
		seen, err := s.Fence(ctx, 2)
		if err != nil {
			t.Fatal(err)
		}
		f := claim(t, s, 2, seen, "new", time.Minute)
		before := keysOf(t, c, "hw:{p02}*")
		if _, err := s.Remove(ctx, k); !errors.Is(err, ErrAlive) {
			t.Errorf("with a lease that runs: %v", err)
		}
		if now := keysOf(t, c, "hw:{p02}*"); !slices.Equal(now, before) {
			t.Errorf("of a partition that somebody works on %d keys are left of %d", len(now), len(before))
		}
		if _, err := s.Commit(ctx, 2, f, at(f, 99), time.Minute, nil); err != nil {
			t.Errorf("its owner: %v", err)
		}

		// Between the removal of the fence and that of a page of keys.
		n, err := s.versions.remove.Run(ctx, c, []string{"hw:{p02}:id_0-1:fence", "hw:{p02}:id_0-1:v:n0:b0"}).Int()
		if !errors.Is(err, redis.Nil) {
			t.Errorf("%d keys of a new owner were removed (%v)", n, err)
		}
		if _, err := s.Join(ctx, "m", time.Millisecond); err != nil { // heard of since
			t.Fatal(err)
		}
		if err := s.forget(ctx, k); !errors.Is(err, ErrAlive) {
			t.Errorf("a version that was heard of is forgotten: %v", err)
		}
	})
}

func TestOutdated(t *testing.T) {
	now := time.UnixMilli(1_800_000_000_000)
	v := func(identity string, fold int, ago time.Duration, serving bool, members int) KnownVersion {
		return KnownVersion{Version: Version{identity, fold}, Heartbeat: now.Add(-ago), Serving: serving, Members: members}
	}
	const day = 24 * time.Hour
	all := []KnownVersion{
		v("a", 1, day+time.Millisecond, false, 0), // old
		v("a", 2, 9*day, true, 0),                 // old, but it serves while 3 is being built
		v("a", 3, time.Second, false, 1),
		v("b", 1, day, true, 0),    // not for longer than that
		v("c", 1, 2*day, true, 0),  // of a log of which nothing is heard
		v("d", 1, 2*day, false, 1), // its heartbeat fails, but it lives
	}
	var got []string
	for _, k := range Outdated(all, now, day) {
		got = append(got, k.String())
	}
	if strings.Join(got, " ") != "a-1 c-1" {
		t.Errorf("%v", got)
	}
}

func TestRebuildOf(t *testing.T) {
	f := func(cursor uint64, complete bool) *Fence { return &Fence{Cursor: cursor, Complete: complete} }
	start := RebuildOf([]*Fence{nil, f(10, false), f(0, false), f(50, false)}, 11, 110)
	if start.Folded != 10 || start.Total != 100 || start.Complete != 0 || start.Percent() != 10 {
		t.Errorf("%+v", start)
	}
	now := RebuildOf([]*Fence{f(110, true), f(60, false), f(60, false), f(60, false)}, 11, 110).Since(start, 10*time.Second)
	if now.Folded != 62.5 || now.Rate != 5.25 || now.Done() {
		t.Errorf("%+v", now)
	}
	if got := now.String(); got != "1 of 4 partitions complete, 62 % of the log folded, about 7s left" {
		t.Error(got)
	}
	if got := start.String(); got != "0 of 4 partitions complete, 10 % of the log folded" {
		t.Error(got)
	}
	done := RebuildOf([]*Fence{f(110, true), f(110, true)}, 11, 110)
	if !done.Done() || done.Percent() != 100 {
		t.Errorf("%+v", done)
	}
	if almost := RebuildOf([]*Fence{f(110, true), f(109, false)}, 1, 110); almost.Percent() != 99 {
		t.Errorf("not all of it is folded: %+v", almost)
	}
	for _, first := range []uint64{0, 1} {
		if empty := RebuildOf([]*Fence{f(0, true), nil}, first, 0); empty.Total != 0 || empty.Percent() != 100 || empty.Done() {
			t.Errorf("%+v", empty)
		}
	}
}
