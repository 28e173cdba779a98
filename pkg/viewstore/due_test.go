package viewstore

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// A partition whose fence can't be parsed, one whose index has the wrong type and one that was never claimed don't prevent the
// fourth from being read.
func TestDueFailsPerPartition(t *testing.T) {
	each(t, func(t *testing.T, s *Store, c *redis.Client) {
		ctx := t.Context()
		for p := range 3 {
			f := claim(t, s, p, nil, "token", time.Minute)
			to := f.Advance(Progress{Cursor: 1, Watermark: int64(time.Hour), Complete: true, EndSeen: 1}, time.Minute)
			if _, err := s.Commit(ctx, p, f, to, time.Minute, []Write{write("b", 1, "view")}); err != nil {
				t.Fatal(err)
			}
		}
		if err := errors.Join(c.Set(ctx, s.base(0)+"fence", "1 a 1 b 5 5 5 true 1 nonsense 0 - 0", 0).Err(),
			c.Del(ctx, s.base(1)+"due").Err(), c.Set(ctx, s.base(1)+"due", "x", 0).Err()); err != nil {
			t.Fatal(err)
		}
		due, err := s.Due(ctx, 10)
		if err != nil {
			t.Fatalf("it failed as a whole: %v", err)
		}
		var failed, read []int
		for _, d := range due {
			if d.Err != nil {
				failed = append(failed, d.Partition)
			} else {
				read = append(read, d.Partition)
			}
		}
		if !slices.Equal(read, []int{2}) || !slices.Contains(failed, 1) {
			t.Errorf("read %v, failed %v", read, failed)
		}
		for p := range s.Partitions() {
			if err := c.Set(ctx, s.base(p)+"fence", "garbage", 0).Err(); err != nil {
				t.Fatal(err)
			}
		}
		if due, err = s.Due(ctx, 10); err != nil || len(due) > s.Partitions() {
			t.Errorf("%d partitions, %v", len(due), err)
		}
	})
}

// An entry is moved whatever the state of its view: missing, too short, of another type, or with an unusable header. It is left
// alone if the view has changed since, even with the same header.
func TestRescheduleAnyValue(t *testing.T) {
	long := string(write("b", 7, "state").Value)
	for name, c := range map[string]struct {
		value, changed string // stored, and stored meanwhile; "" is none
		unreadable     bool
	}{
		"a view":              {long, long[:7] + "\x08" + long[8:], false},
		"gone":                {"", "now", false},
		"gone, unreadable":    {"", "now", true},
		"shorter than header": {"xy", "xyz", false},
		"short, unreadable":   {"xy", "xyz", true},
		"the same header":     {long, long[:len(long)-1] + "E", true},
	} {
		t.Run(name, func(t *testing.T) {
			each(t, func(t *testing.T, s *Store, r *redis.Client) {
				ctx := t.Context()
				key := s.base(0) + "v:n:b"
				set := func(v string) {
					t.Helper()
					err := r.Del(ctx, key).Err()
					if err == nil && v != "" {
						err = r.Set(ctx, key, v, 0).Err()
					}
					if err != nil {
						t.Fatal(err)
					}
				}
				score := func() float64 {
					t.Helper()
					f, err := r.ZScore(ctx, s.base(0)+"due", "n:b").Result()
					if err != nil {
						t.Fatal(err)
					}
					return f
				}
				if err := r.ZAdd(ctx, s.base(0)+"due", redis.Z{Score: 1000, Member: "n:b"}).Err(); err != nil {
					t.Fatal(err)
				}
				seen := DueView{Key: Key{"n", "b"}, Score: "1000", Unreadable: c.unreadable}
				if c.value != "" {
					seen.Value = []byte(c.value)
				}
				set(c.changed)
				if err := s.Reschedule(ctx, 0, seen, 2000); err != nil || score() != 1000 {
					t.Errorf("changed meanwhile: moved to %v (%v)", score(), err)
				}
				set(c.value)
				if err := s.Reschedule(ctx, 0, seen, 2000); err != nil || score() != 2000 {
					t.Errorf("as it was read: stands at %v (%v)", score(), err)
				}
			})
		})
	}
}

// A view key of the wrong type counts as missing: the entry is read and moved.
func TestDueViewOfAnotherKind(t *testing.T) {
	each(t, func(t *testing.T, s *Store, c *redis.Client) {
		ctx := t.Context()
		f := claim(t, s, 0, nil, "token", time.Minute)
		to := f.Advance(Progress{Cursor: 1, Watermark: int64(time.Hour), Complete: true, EndSeen: 1}, time.Minute)
		if _, err := s.Commit(ctx, 0, f, to, time.Minute, []Write{write("a", 1, "view"), write("b", 1, "view")}); err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(c.Del(ctx, s.base(0)+"v:n:a").Err(), c.RPush(ctx, s.base(0)+"v:n:a", "x").Err()); err != nil {
			t.Fatal(err)
		}
		due, err := s.Due(ctx, 10)
		if err != nil || len(due) != 1 || len(due[0].Views) != 2 || due[0].Views[0].Value != nil || due[0].Views[1].Value == nil {
			t.Fatalf("%+v %v", due, err)
		}
		if err := s.Reschedule(ctx, 0, due[0].Views[0], int64(2*time.Hour/time.Millisecond)); err != nil {
			t.Fatal(err)
		}
		if due, err = s.Due(ctx, 10); err != nil || len(due) != 1 || len(due[0].Views) != 1 {
			t.Errorf("it wasn't moved: %+v %v", due, err)
		}
	})
}
