package viewstore

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// After a restart the leases and memberships that were saved are ended, and nothing else is changed.
func TestVacate(t *testing.T) {
	each(t, func(t *testing.T, s *Store, c *redis.Client) {
		ctx := t.Context()
		held := claim(t, s, 0, nil, "gone", time.Hour)
		other := claim(t, s, 1, nil, "gone", time.Hour)
		if err := s.Release(ctx, 1, other); err != nil {
			t.Fatal(err)
		}
		if err := c.Set(ctx, s.base(2)+"fence", "no fence", 0).Err(); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Join(ctx, "gone", time.Hour); err != nil {
			t.Fatal(err)
		}
		if found, err := s.Vacate(ctx); err != nil || !found {
			t.Fatalf("%v %v", found, err)
		}
		all, err := s.Join(ctx, "new", time.Hour)
		if err != nil || !slices.Equal(all, []string{"new"}) {
			t.Errorf("members: %v %v", all, err)
		}
		want := held
		want.LeaseUntil = 0
		if f, err := s.Fence(ctx, 0); err != nil || f == nil || *f != want {
			t.Errorf("%+v %v, want %+v", f, err, want)
		}
		claim(t, s, 0, &want, "new", time.Hour)
	})
}

// What was saved for another log or by another fold version is of no use.
func TestVacateRemovesWhatIsForeign(t *testing.T) {
	each(t, func(t *testing.T, s *Store, c *redis.Client) {
		if _, cluster := s.rdb.(*redis.ClusterClient); cluster {
			t.Skip("not applicable: a store that nobody else uses is one server")
		}
		ctx := t.Context()
		for what, other := range map[string]*Store{"identity": s.WithIdentity("id_1"), "fold": s.WithFold(7)} {
			claim(t, other, 0, nil, "t", time.Hour)
			if err := c.Set(ctx, "not ours", "x", 0).Err(); err != nil {
				t.Fatal(err)
			}
			found, err := s.Vacate(ctx)
			keys := c.Keys(ctx, "*").Val()
			if err != nil || found || len(keys) > 0 {
				t.Errorf("another %s: %v, %v, left are %s", what, found, err, fmt.Sprint(keys))
			}
		}
	})
}
