package viewstore

import (
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// Claims and releases compare the whole fence, too: an expired lease alone isn't enough.
func TestRule1ClaimAndReleaseCompare(t *testing.T) {
	each(t, func(t *testing.T, s *Store, c *redis.Client) {
		ctx := t.Context()
		f := claim(t, s, 0, nil, "first", time.Minute)
		if err := s.Release(ctx, 0, f); err != nil {
			t.Fatal(err)
		}
		seen, err := s.Fence(ctx, 0)
		if err != nil {
			t.Fatal(err)
		}
		// Another worker owned the partition in between, and has released it.
		between := claim(t, s, 0, seen, "second", time.Minute)
		moved, err := s.Commit(ctx, 0, between, at(between, 7), time.Minute, nil)
		if err != nil {
			t.Fatal(err)
		}
		fenced(t, "a release with an older record", s.Release(ctx, 0, between))
		foreign := moved
		foreign.Token = "first"
		fenced(t, "a release with a foreign token", s.Release(ctx, 0, foreign))
		if now, err := s.Fence(ctx, 0); err != nil || *now != moved {
			t.Errorf("after refused releases the record is %+v (%v)", now, err)
		}
		if err := s.Release(ctx, 0, moved); err != nil {
			t.Fatal(err)
		}
		next := *seen
		next.Token = "third"
		_, err = s.Claim(ctx, 0, Record{Fence: seen}, next, time.Minute)
		fenced(t, "a claim on a record that has been another's since", err)

		now, err := s.Fence(ctx, 0)
		if err != nil {
			t.Fatal(err)
		}
		if now.Cursor != 7 {
			t.Errorf("the cursor is %d", now.Cursor)
		}
		if err := c.FlushAll(ctx).Err(); err != nil {
			t.Fatal(err)
		}
		next = *now
		next.Token = "fourth"
		_, err = s.Claim(ctx, 0, Record{Fence: now}, next, time.Minute) // it would go on at the cursor, without the views
		fenced(t, "a claim on a record that was wiped", err)
	})
}

// dueAt is the stored due time of an entry.
func dueAt(t *testing.T, c *redis.Client, batch string) float64 {
	t.Helper()
	score, err := c.ZScore(t.Context(), "hw:{p00}:id_0-1:due", "n:"+batch).Result()
	if err != nil {
		t.Fatal(err)
	}
	return score
}

// Two detectors read the same entry. The slower one doesn't undo the decision of the other.
func TestRule9SlowDetector(t *testing.T) {
	each(t, func(t *testing.T, s *Store, c *redis.Client) {
		ctx := t.Context()
		f := claim(t, s, 0, nil, "mine", time.Minute)
		next := at(f, 5)
		next.Complete, next.JudgeAt = true, 60_000_000_000
		if _, err := s.Commit(ctx, 0, f, next, time.Minute, []Write{write("a", 5, "five")}); err != nil {
			t.Fatal(err)
		}
		due, err := s.Due(ctx, 10)
		if err != nil || len(due) != 1 || len(due[0].Views) != 1 {
			t.Fatalf("%+v %v", due, err)
		}
		entry := due[0].Views[0]
		if err := s.Reschedule(ctx, 0, entry, 20_000); err != nil {
			t.Fatal(err)
		}
		if err := s.Reschedule(ctx, 0, entry, 90_000); err != nil {
			t.Fatal(err)
		}
		if got := dueAt(t, c, "a"); got != 20_000 {
			t.Errorf("due at %v", got)
		}
		if err := s.Reschedule(ctx, 0, entry, 0); err != nil {
			t.Fatal(err)
		}
		if got := dueAt(t, c, "a"); got != 20_000 {
			t.Errorf("due at %v", got)
		}
	})
}

// A view that changes while a sweep reads it keeps the score from its commit.
func TestRule9SweepLeavesWhatChanges(t *testing.T) {
	each(t, func(t *testing.T, s *Store, c *redis.Client) {
		ctx := t.Context()
		f := claim(t, s, 0, nil, "mine", time.Minute)
		f, err := s.Commit(ctx, 0, f, at(f, 5), time.Minute, []Write{write("a", 4, "four"), write("b", 5, "five")})
		if err != nil {
			t.Fatal(err)
		}
		err = s.Sweep(ctx, 0, func(k Key, _ []byte) int64 {
			if k.Batch == "a" {
				if f, err = s.Commit(ctx, 0, f, at(f, 6), time.Minute, []Write{write("a", 6, "six")}); err != nil {
					t.Error(err)
				}
			}
			return 77
		})
		if err != nil {
			t.Fatal(err)
		}
		if a, b := dueAt(t, c, "a"), dueAt(t, c, "b"); a != 6000 || b != 77 {
			t.Errorf("due at %v and %v", a, b)
		}
	})
}
