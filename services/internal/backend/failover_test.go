package backend

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/headwayhq/headway/pkg/headwaytest"
)

// A client that only reads, in pipelines, finds the new primary while the killed one stays away, as nothing redirects it there.
func TestReaderFollowsAFailover(t *testing.T) {
	t.Parallel()
	for name, start := range map[string]func(testing.TB) *headwaytest.RedisGroup{
		"sentinels": headwaytest.RedisSentinels,
		"cluster":   func(t testing.TB) *headwaytest.RedisGroup { return headwaytest.RedisCluster(t, 3) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := start(t)
			a, err := ParseRedis(g.URL)
			if err != nil {
				t.Fatal(err)
			}
			c := a.Client()
			t.Cleanup(func() { _ = c.Close() })
			read := func() error {
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				_, err := c.Pipelined(ctx, func(p redis.Pipeliner) error {
					for n := range 32 {
						p.Exists(ctx, fmt.Sprintf("{p%02d}", n))
					}
					return nil
				})
				return err
			}
			if err := read(); err != nil {
				t.Fatal(err)
			}
			g.Failover()
			for deadline := time.Now().Add(15 * time.Second); ; {
				if err = read(); err == nil {
					return
				}
				if time.Now().After(deadline) {
					t.Fatalf("still not after 15 s: %v", err)
				}
			}
		})
	}
}
