package headwaytest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"
)

// RedisGroup is several servers of this machine that choose another primary when one fails: with sentinels, or as a cluster.
type RedisGroup struct {
	t       testing.TB
	URL     string // as --redis-url takes it
	Servers []*RedisServer
	client  goredis.UniversalClient
	number  int // of primaries
}

// primaryName is what the sentinels call the primary.
const primaryName = "headway"

// noticeFailure is how long a server doesn't answer until the others replace it.
const noticeFailure = time.Second

// groupLimit bounds the time until the servers know each other.
const groupLimit = 60 * time.Second

// RedisSentinels starts a primary, two replicas and three sentinels. The test is skipped if there is no redis-server.
func RedisSentinels(t testing.TB) *RedisGroup {
	t.Helper()
	g := &RedisGroup{t: t, number: 1}
	primary := RedisChild(t)
	host, port, _ := net.SplitHostPort(primary.address)
	g.Servers = append(g.Servers, primary)
	for range 2 {
		g.Servers = append(g.Servers, RedisChild(t, "--replicaof", host+" "+port, "--repl-diskless-sync-delay", "0"))
	}
	var sentinels []string
	for range 3 {
		sentinels = append(sentinels, startSentinel(t, host, port))
	}
	g.URL = "redis+sentinel://" + strings.Join(sentinels, ",") + "/" + primaryName
	g.client = goredis.NewFailoverClient(&goredis.FailoverOptions{MasterName: primaryName, SentinelAddrs: sentinels, MaxRetries: -1})
	t.Cleanup(func() { _ = g.client.Close() })
	g.wait("sentinels know the servers", func(ctx context.Context) error {
		for _, address := range sentinels {
			c := goredis.NewSentinelClient(&goredis.Options{Addr: address})
			replicas, err := c.Replicas(ctx, primaryName).Result()
			others, err2 := c.Sentinels(ctx, primaryName).Result()
			_ = c.Close()
			if err := errors.Join(err, err2); err != nil {
				return err
			}
			if len(replicas) != 2 || len(others) != 2 {
				return fmt.Errorf("%s knows %d replicas and %d sentinels", address, len(replicas), len(others))
			}
		}
		return g.replicating(ctx)
	})
	return g
}

func startSentinel(t testing.TB, host, port string) (address string) {
	t.Helper()
	address = freeAddress(t)
	_, own, _ := net.SplitHostPort(address)
	dir := t.TempDir()
	config := filepath.Join(dir, "sentinel.conf") // the sentinel writes what it learns to it
	text := fmt.Sprintf("port %s\nbind 127.0.0.1\ndir %s\nsentinel monitor %s %s %s 2\nsentinel down-after-milliseconds %s %d\nsentinel failover-timeout %s 5000\n",
		own, dir, primaryName, host, port, primaryName, noticeFailure.Milliseconds(), primaryName)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("redis-server", config, "--sentinel")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	return address
}

// RedisCluster starts a cluster whose primaries share the slots and have a replica each. The test is skipped if there is no
// redis-server.
func RedisCluster(t testing.TB, primaries int) *RedisGroup {
	t.Helper()
	g := &RedisGroup{t: t, number: primaries}
	var addresses []string
	for range 2 * primaries {
		_, bus, _ := net.SplitHostPort(freeAddress(t))
		s := RedisChild(t, "--cluster-enabled", "yes", "--cluster-port", bus, "--cluster-node-timeout", strconv.FormatInt(noticeFailure.Milliseconds(), 10),
			"--cluster-announce-ip", "127.0.0.1", "--repl-diskless-sync-delay", "0")
		g.Servers, addresses = append(g.Servers, s), append(addresses, s.address)
		first, port, _ := net.SplitHostPort(g.Servers[0].address)
		_, own, _ := net.SplitHostPort(s.address)
		if err := g.Servers[0].Client().Do(t.Context(), "CLUSTER", "MEET", first, own, bus).Err(); err != nil && own != port {
			t.Fatal(err)
		}
	}
	ctx := t.Context()
	const slots = 16384
	for i, s := range g.Servers[:primaries] {
		if err := s.Client().ClusterAddSlotsRange(ctx, i*slots/primaries, (i+1)*slots/primaries-1).Err(); err != nil {
			t.Fatal(err)
		}
	}
	for i, s := range g.Servers[primaries:] {
		id, err := g.Servers[i].Client().ClusterMyID(ctx).Result()
		if err != nil {
			t.Fatal(err)
		}
		c := s.Client()
		g.wait("a replica knows its primary", func(ctx context.Context) error { return c.ClusterReplicate(ctx, id).Err() })
	}
	g.URL = "redis+cluster://" + strings.Join(addresses, ",")
	g.client = goredis.NewClusterClient(&goredis.ClusterOptions{Addrs: addresses, MaxRetries: -1})
	t.Cleanup(func() { _ = g.client.Close() })
	g.wait("the cluster forms", func(ctx context.Context) error {
		for _, s := range g.Servers {
			info, err := s.Client().ClusterInfo(ctx).Result()
			if err != nil || !strings.Contains(info, "cluster_state:ok") || !strings.Contains(info, fmt.Sprintf("cluster_known_nodes:%d", len(g.Servers))) {
				return fmt.Errorf("%s: %w %s", s.address, err, info)
			}
		}
		return g.replicating(ctx)
	})
	return g
}

func freeAddress(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// Client returns a client of the group, without automatic retries where there is a choice.
func (g *RedisGroup) Client() goredis.UniversalClient { return g.client }

// Primaries are the running servers that accept writes, in the order of Servers.
func (g *RedisGroup) Primaries() (out []*RedisServer) {
	for _, s := range g.Servers {
		if s.cmd != nil && s.role() == "master" {
			out = append(out, s)
		}
	}
	return out
}

// Failover kills a primary, waits until another one has taken its place, and returns a function that starts it again and waits until it
// follows that one.
func (g *RedisGroup) Failover() (rejoin func()) {
	g.t.Helper()
	g.wait("replicas follow their primaries", g.replicating)
	old := g.Primaries()[0]
	old.Kill()
	g.wait("another primary", func(context.Context) error {
		if n := len(g.Primaries()); n != g.number {
			return fmt.Errorf("%d of %d primaries", n, g.number)
		}
		return nil
	})
	return func() {
		g.t.Helper()
		old.Restart()
		g.wait("the killed server follows", g.replicating)
	}
}

// replicating reports whether there is the right number of primaries, and every other running server follows one.
func (g *RedisGroup) replicating(context.Context) error {
	if n := len(g.Primaries()); n != g.number {
		return fmt.Errorf("%d of %d primaries", n, g.number)
	}
	for _, s := range g.Servers {
		if s.cmd == nil {
			continue
		}
		if s.role() == "slave" && !strings.Contains(s.info("replication"), "master_link_status:up") {
			return fmt.Errorf("%s doesn't follow yet", s.address)
		}
	}
	return nil
}

func (g *RedisGroup) wait(what string, condition func(context.Context) error) {
	g.t.Helper()
	ctx, cancel := context.WithTimeout(g.t.Context(), groupLimit)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		err := condition(ctx)
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
			g.t.Fatalf("%s: not within %v: %v", what, groupLimit, err)
		case <-tick.C:
		}
	}
}

// role is "master" or "slave"; "" if the server doesn't answer.
func (r *RedisServer) role() string {
	for line := range strings.Lines(r.info("replication")) {
		if role, ok := strings.CutPrefix(strings.TrimSpace(line), "role:"); ok {
			return role
		}
	}
	return ""
}

func (r *RedisServer) info(section string) string {
	c := goredis.NewClient(&goredis.Options{Addr: r.address, MaxRetries: -1, DialerRetries: 1, ReadTimeout: time.Second})
	defer c.Close()
	return c.Info(context.Background(), section).Val()
}
