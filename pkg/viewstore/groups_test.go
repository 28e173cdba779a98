package viewstore

import (
	"context"
	"fmt"
	"os"
	"sync"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/headwayhq/headway/pkg/headwaytest"
)

// group is a Redis of several servers, on which the tests of the conformance suite run one after the other.
type group struct {
	start func(t testing.TB) *headwaytest.RedisGroup

	mu                      sync.Mutex
	started                 bool
	*headwaytest.RedisGroup // nil: there is no redis-server
}

var groups = map[string]*group{
	"sentinels": {start: headwaytest.RedisSentinels},
	"cluster":   {start: func(t testing.TB) *headwaytest.RedisGroup { return headwaytest.RedisCluster(t, 3) }},
}

// lasting is a test as seen by servers that outlive it: they end with the last test.
type lasting struct{ testing.TB }

// What ends with the last test. Tests on several groups run side by side.
var (
	endsMu sync.Mutex
	ends   []func()
)

func (lasting) Context() context.Context { return context.Background() }

func (lasting) Cleanup(end func()) {
	endsMu.Lock()
	defer endsMu.Unlock()
	ends = append(ends, end)
}

func (l lasting) TempDir() string {
	dir, err := os.MkdirTemp("", "headway-viewstore-")
	if err != nil {
		l.Fatal(err)
	}
	l.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

func TestMain(m *testing.M) {
	code := m.Run()
	for i := len(ends) - 1; i >= 0; i-- {
		ends[i]()
	}
	os.Exit(code)
}

// take reserves the group for a test, and empties it.
func (g *group) take(t *testing.T) {
	t.Helper()
	g.mu.Lock()
	t.Cleanup(g.mu.Unlock)
	if !g.started {
		g.started = true
		g.RedisGroup = g.start(lasting{t})
	}
	if g.RedisGroup == nil {
		t.Skip("SKIPPED: no redis-server on this machine")
	}
	for _, s := range g.Primaries() {
		s.Flush()
	}
}

// clients are the client of a store, and one through which a test looks into the server that has partition 0.
func (g *group) clients(t *testing.T) (store redis.UniversalClient, look *redis.Client) {
	t.Helper()
	all, ok := g.Client().(*redis.ClusterClient)
	if !ok {
		return g.Client(), own(t, g.Primaries()[0].URL())
	}
	node, err := all.MasterForKey(t.Context(), "{p00}")
	if err != nil {
		t.Fatal(err)
	}
	look = own(t, "redis://"+node.Options().Addr+"/0")
	look.AddHook(everywhere{all})
	return all, look
}

func own(t *testing.T, url string) *redis.Client {
	t.Helper()
	o, err := redis.ParseURL(url)
	if err != nil {
		t.Fatal(err)
	}
	o.MaxRetries = -1
	c := redis.NewClient(o)
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// everywhere passes the commands of a client on to the cluster, so that tests see one server that has all keys. Pipelines stay, because
// they are of partition 0 alone.
type everywhere struct{ cluster *redis.ClusterClient }

func (everywhere) DialHook(next redis.DialHook) redis.DialHook { return next }

func (e everywhere) ProcessHook(redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		switch cmd := cmd.(type) {
		case *redis.StringSliceCmd:
			if cmd.Name() == "keys" {
				var mu sync.Mutex
				var all []string
				err := e.cluster.ForEachMaster(ctx, func(ctx context.Context, c *redis.Client) error {
					some, err := c.Keys(ctx, fmt.Sprint(cmd.Args()[1])).Result()
					mu.Lock()
					defer mu.Unlock()
					all = append(all, some...)
					return err
				})
				cmd.SetVal(all)
				return err
			}
		case *redis.StatusCmd:
			if cmd.Name() == "flushall" {
				return e.cluster.ForEachMaster(ctx, func(ctx context.Context, c *redis.Client) error { return c.FlushAll(ctx).Err() })
			}
		case *redis.IntCmd:
			if cmd.Name() == "dbsize" {
				n, err := e.cluster.DBSize(ctx).Result()
				cmd.SetVal(n)
				return err
			}
			if cmd.Name() == "publish" { // which answers with the subscribers of one server alone
				n, err := e.subscribers(ctx, cmd.Args()[1])
				cmd.SetVal(n)
				return err
			}
		case *redis.MapStringIntCmd:
			all := map[string]int64{}
			for _, channel := range cmd.Args()[2:] {
				n, err := e.subscribers(ctx, channel)
				if err != nil {
					return err
				}
				all[fmt.Sprint(channel)] = n
			}
			cmd.SetVal(all)
			return nil
		}
		return e.cluster.Process(ctx, cmd)
	}
}

// subscribers is how many a channel has on all servers.
func (e everywhere) subscribers(ctx context.Context, channel any) (n int64, err error) {
	var mu sync.Mutex
	err = e.cluster.ForEachShard(ctx, func(ctx context.Context, c *redis.Client) error {
		name := fmt.Sprint(channel)
		one, err := c.PubSubNumSub(ctx, name).Result()
		mu.Lock()
		defer mu.Unlock()
		n += one[name]
		return err
	})
	return n, err
}

func (e everywhere) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}
