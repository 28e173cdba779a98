package headwaytest

import (
	"context"
	"testing"
	"time"
)

// A write is accepted again after the primary was killed, and the killed server comes back as a replica.
func TestRedisGroups(t *testing.T) {
	for name, make := range map[string]func(testing.TB) *RedisGroup{
		"sentinels": RedisSentinels,
		"cluster":   func(t testing.TB) *RedisGroup { return RedisCluster(t, 3) },
	} {
		t.Run(name, func(t *testing.T) {
			g := make(t)
			ctx := t.Context()
			if err := g.Client().Set(ctx, "k", "1", 0).Err(); err != nil {
				t.Fatal(err)
			}
			began := time.Now()
			rejoin := g.Failover()
			t.Logf("a new primary after %v", time.Since(began).Round(10*time.Millisecond))
			g.wait("a write", func(ctx context.Context) error { return g.Client().Set(ctx, "k", "2", 0).Err() })
			rejoin()
		})
	}
}
