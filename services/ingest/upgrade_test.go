package ingest

import (
	"strings"
	"testing"
	"time"

	"github.com/headwayhq/headway/pkg/eventlog"
	"github.com/headwayhq/headway/pkg/headwaytest"
	"github.com/headwayhq/headway/pkg/viewstore"
)

const upgradePartitions = 2

func upgradeStore(t *testing.T, r *headwaytest.RedisServer) *viewstore.Store {
	t.Helper()
	s, err := viewstore.Open(t.Context(), viewstore.Options{Client: r.Client(), Identity: "id_0", Fold: 1, Partitions: upgradePartitions})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func looker(s *viewstore.Store) *upgrade { return &upgrade{store: s} }

// at returns fences whose cursors are all at one position.
func at(cursor uint64, complete bool) []*viewstore.Fence {
	out := make([]*viewstore.Fence, upgradePartitions)
	for p := range out {
		out[p] = &viewstore.Fence{Cursor: cursor, Complete: complete}
	}
	return out
}

// heard registers a version, as its first heartbeat does.
func heard(t *testing.T, s *viewstore.Store) {
	t.Helper()
	if _, err := s.Join(t.Context(), "m", time.Minute); err != nil {
		t.Fatal(err)
	}
}

// look lets a version check once, and returns which version serves afterwards.
func look(t *testing.T, u *upgrade, fences []*viewstore.Fence) int {
	t.Helper()
	if _, err := u.serve(t.Context(), fences); err != nil {
		t.Fatal(err)
	}
	v, err := u.store.Serving(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return v.Fold
}

// standAt writes the cursors of a version.
func standAt(t *testing.T, s *viewstore.Store, cursor uint64) {
	t.Helper()
	for p := range upgradePartitions {
		all, err := s.Records(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		next := viewstore.Fence{Identity: s.Identity(), Fold: s.Fold(), Token: newToken(), Cursor: cursor, Complete: true}
		f, err := s.Claim(t.Context(), p, all[p], next, time.Minute)
		if err == nil {
			err = s.Release(t.Context(), p, f)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

func TestRule17WhoServes(t *testing.T) {
	headwaytest.RedisEach(t, func(t *testing.T, r *headwaytest.RedisServer) {
		one := upgradeStore(t, r)
		two, three := one.WithFold(2), one.WithFold(3)
		heard(t, one)
		if got := look(t, looker(one), at(0, false)); got != 1 {
			t.Fatalf("a first version serves at once: %d does", got)
		}
		standAt(t, one, 50)
		heard(t, two)
		e := looker(two)
		for _, c := range []struct {
			what   string
			fences []*viewstore.Fence
			want   int
		}{
			{"not complete", at(60, false), 1},
			{"complete, but behind where the one that serves stood at the look before", at(49, true), 1},
			{"a partition without record", []*viewstore.Fence{at(50, true)[0], nil}, 1},
			{"as far as that", at(50, true), 2},
		} {
			if got := look(t, e, c.fences); got != c.want {
				t.Errorf("%s: %d serves", c.what, got)
			}
		}
		if got := look(t, looker(one), at(99, true)); got != 2 {
			t.Errorf("an older version took over: %d serves", got)
		}
		now, err := one.Serving(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := one.Serve(t.Context(), now); err != nil { // an operator goes back
			t.Fatal(err)
		}
		for range 2 {
			if got := look(t, e, at(99, true)); got != 1 {
				t.Errorf("what an operator went back from took over: %d serves", got)
			}
		}
		e = looker(three)
		look(t, e, at(99, true)) // what is complete from before isn't known to be level: a second look tells
		if got := look(t, e, at(99, true)); got != 3 {
			t.Errorf("a newer one still: %d serves", got)
		}

		// After a wipe, with two versions at work, the one that is complete first serves.
		r.Flush()
		heard(t, two)
		heard(t, three)
		if got := look(t, looker(three), at(10, false)); got != 0 {
			t.Errorf("of two versions one serves before it is complete: %d", got)
		}
		if got := look(t, looker(two), at(10, true)); got != 2 {
			t.Errorf("complete: %d serves", got)
		}
	})
}

func TestUnreadySaysHowFar(t *testing.T) {
	u := &upgrade{}
	u.log.Store(&eventlog.Info{First: 1, Last: 100})
	now := time.Now()
	u.measure(at(100, true), now) // as a process before left it
	u.measure(at(20, false), now) // claimed
	h := newHealth(time.Minute)
	h.measured(u.measure(at(60, false), now.Add(10*time.Second)))
	if got := h.ready().Error(); !strings.Contains(got, "ingest: rebuilding views: 0 of 2 partitions complete, 60 % of the log folded, about 10s left; ") {
		t.Error(got)
	}
	h.measured(u.measure(at(100, true), now.Add(20*time.Second)))
	if got := h.ready().Error(); strings.Contains(got, "rebuilding") {
		t.Error(got)
	}
}
