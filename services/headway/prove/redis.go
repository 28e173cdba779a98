package main

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// Kinds of Redis, as --redis takes them.
const (
	single    = "single"
	sentinels = "sentinel"
	clustered = "cluster"
)

// What a fault may need of Redis, and why there is none of it elsewhere.
const (
	replicas    = "a single server has no replica that could take its place"
	slots       = "only a cluster has slots"
	someWatcher = "only with --redis sentinel are there sentinels"
)

// has reports whether this kind of Redis has what a fault needs.
func (o options) has(need string) bool {
	switch need {
	case replicas:
		return o.Redis != single
	case slots:
		return o.Redis == clustered
	case someWatcher:
		return o.Redis == sentinels
	}
	return true
}

// seamFaults are those that this kind of Redis can suffer.
func (o options) seamFaults() []seamFault {
	return slices.DeleteFunc(seamFaults(), func(f seamFault) bool { return !o.has(f.needs()) })
}

// otherFaults are those that this kind of Redis can suffer.
func (o options) otherFaults() []otherFault {
	return slices.DeleteFunc(otherFaults(), func(f otherFault) bool { return !o.has(f.needs()) })
}

// impossible names the faults that this kind of Redis can't suffer, with the reasons.
func (o options) impossible() (out []string) {
	names := map[string][]string{}
	for _, f := range seamFaults() {
		names[f.needs()] = append(names[f.needs()], f.name)
	}
	for _, f := range otherFaults() {
		names[f.needs()] = append(names[f.needs()], f.name)
	}
	for _, need := range []string{replicas, slots, someWatcher} {
		if !o.has(need) {
			out = append(out, strings.Join(names[need], ", ")+": "+need)
		}
	}
	return out
}

// redises are the servers that hold the views: one, or several of which another becomes the primary when one fails.
type redises struct {
	kind   string
	shards []*shard
	guards []*redisServer        // the sentinels
	client redis.UniversalClient // finds the primaries by itself
}

// shard is the servers that hold the same data: a primary, and the replicas that follow it.
type shard struct {
	servers []*redisServer
	old     string // file of the last snapshot
}

type redisServer struct {
	*process
	address string
	dump    string
	client  *redis.Client // of this server alone
}

const (
	primaryName   = "headway"   // what the sentinels call the primary
	noticeFailure = time.Second // how long a server doesn't answer until another takes its place
	allSlots      = 16384
	wholeWithin   = 60 * time.Second
)

// startRedis starts one server; or a primary, two replicas and three sentinels; or a cluster of three primaries with a replica each.
func (c *cluster) startRedis(ctx context.Context, kind string) error {
	path, err := exec.LookPath("redis-server")
	if err != nil {
		return err
	}
	g := &redises{kind: kind}
	c.redis = g
	numbers := map[string][2]int{single: {1, 1}, sentinels: {1, 3}, clustered: {3, 2}}[kind]
	var addresses []string
	for n := range numbers[0] {
		sh := &shard{old: filepath.Join(c.dir, fmt.Sprintf("redis%d.old", n))}
		g.shards = append(g.shards, sh)
		for i := range numbers[1] {
			s, err := g.newServer(c.dir, path, n*numbers[1]+i)
			if err != nil {
				return err
			}
			sh.servers = append(sh.servers, s)
			addresses = append(addresses, s.address)
			if err := g.start(s, sh.servers[0]); err != nil {
				return err
			}
		}
	}
	switch kind {
	case single:
		g.client = redis.NewClient(clientOptions(addresses[0]))
	case sentinels:
		if err := g.startGuards(c.dir, path); err != nil {
			return err
		}
		var at []string
		for _, s := range g.guards {
			at = append(at, s.address)
		}
		g.client = redis.NewFailoverClient(&redis.FailoverOptions{MasterName: primaryName, SentinelAddrs: at, MaxRetries: -1, ContextTimeoutEnabled: true})
	case clustered:
		if err := g.meet(ctx); err != nil {
			return err
		}
		g.client = redis.NewClusterClient(&redis.ClusterOptions{Addrs: addresses, ContextTimeoutEnabled: true})
	}
	return within(ctx, wholeWithin, "Redis", func() error { return errors.Join(g.whole(ctx), g.client.Ping(ctx).Err()) })
}

func clientOptions(address string) *redis.Options {
	return &redis.Options{Addr: address, MaxRetries: -1, DialerRetries: 1, ContextTimeoutEnabled: true}
}

func (g *redises) newServer(dir, path string, n int) (*redisServer, error) {
	name := "redis-server"
	if g.kind != single {
		name += strconv.Itoa(n)
	}
	data := filepath.Join(dir, name)
	if err := os.MkdirAll(data, 0o700); err != nil {
		return nil, err
	}
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	args := []string{path, "--port", strconv.Itoa(port), "--bind", "127.0.0.1", "--dir", data, "--save", "", "--appendonly", "no",
		"--maxmemory-policy", "noeviction", "--repl-diskless-sync-delay", "0"}
	if g.kind == clustered {
		bus, err := freePort()
		if err != nil {
			return nil, err
		}
		args = append(args, "--cluster-enabled", "yes", "--cluster-port", strconv.Itoa(bus), "--cluster-node-timeout", strconv.FormatInt(noticeFailure.Milliseconds(), 10),
			"--cluster-announce-ip", "127.0.0.1", "--cluster-allow-replica-migration", "no")
	}
	address := fmt.Sprintf("127.0.0.1:%d", port)
	return &redisServer{
		process: newProcess(dir, name, args...), address: address, dump: filepath.Join(data, "dump.rdb"), client: redis.NewClient(clientOptions(address)),
	}, nil
}

// start starts a server. With sentinels it is told whom to follow, because it doesn't keep what they told it before.
func (g *redises) start(s, primary *redisServer) error {
	if g.kind == sentinels {
		s.mu.Lock()
		if at := slices.Index(s.args, "--replicaof"); at >= 0 {
			s.args = s.args[:at]
		}
		if s != primary {
			s.args = append(s.args, "--replicaof", strings.Replace(primary.address, ":", " ", 1))
		}
		s.mu.Unlock()
	}
	return s.start()
}

func (g *redises) startGuards(dir, path string) error {
	for n := range 3 {
		name := fmt.Sprint("sentinel", n)
		port, err := freePort()
		if err != nil {
			return err
		}
		if err := os.MkdirAll(filepath.Join(dir, name), 0o700); err != nil {
			return err
		}
		file := filepath.Join(dir, name, "sentinel.conf") // the sentinel keeps in it what it learns
		text := fmt.Sprintf("port %d\nbind 127.0.0.1\ndir %s\nsentinel monitor %s %s 2\nsentinel down-after-milliseconds %s %d\nsentinel failover-timeout %s 5000\n", port,
			filepath.Dir(file), primaryName, strings.Replace(g.shards[0].servers[0].address, ":", " ", 1), primaryName, noticeFailure.Milliseconds(), primaryName)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			return err
		}
		address := fmt.Sprintf("127.0.0.1:%d", port)
		s := &redisServer{process: newProcess(dir, name, path, file, "--sentinel"), address: address, client: redis.NewClient(clientOptions(address))}
		g.guards = append(g.guards, s)
		if err := s.start(); err != nil {
			return err
		}
	}
	return nil
}

// meet makes a cluster of the servers: the first of each shard has a share of the slots, and the others follow it.
func (g *redises) meet(ctx context.Context) error {
	all := g.servers()
	first, port, _ := net.SplitHostPort(all[0].address)
	err := within(ctx, wholeWithin, "servers of a cluster", func() error {
		for _, s := range all {
			if err := s.client.Ping(ctx).Err(); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, s := range all[1:] {
		bus := s.args[slices.Index(s.args, "--cluster-port")+1]
		if _, own, _ := net.SplitHostPort(s.address); own != port {
			if err := all[0].client.Do(ctx, "CLUSTER", "MEET", first, own, bus).Err(); err != nil {
				return err
			}
		}
	}
	for n, sh := range g.shards {
		if err := sh.servers[0].client.ClusterAddSlotsRange(ctx, n*allSlots/len(g.shards), (n+1)*allSlots/len(g.shards)-1).Err(); err != nil {
			return err
		}
		id, err := sh.servers[0].client.ClusterMyID(ctx).Result()
		if err != nil {
			return err
		}
		for _, s := range sh.servers[1:] {
			if err := within(ctx, wholeWithin, "a replica", func() error { return s.client.ClusterReplicate(ctx, id).Err() }); err != nil {
				return err
			}
		}
	}
	return nil
}

func (g *redises) servers() (out []*redisServer) {
	for _, sh := range g.shards {
		out = append(out, sh.servers...)
	}
	return out
}

// processes are all servers and sentinels.
func (g *redises) processes() (out []*process) {
	for _, s := range append(g.servers(), g.guards...) {
		out = append(out, s.process)
	}
	return out
}

// url is what a program takes as --redis-url, to connect through its links; addresses is where those lead.
func (g *redises) url(of *links) string {
	switch g.kind {
	case sentinels:
		var at []string
		for _, s := range g.guards {
			at = append(at, of.to(s.address).address())
		}
		return "redis+sentinel://" + strings.Join(at, ",") + "/" + primaryName
	case clustered:
		var at []string
		for _, s := range g.servers() {
			at = append(at, of.to(s.address).address())
		}
		return "redis+cluster://" + strings.Join(at, ",")
	}
	return "redis://" + of.each[0].address() + "/0"
}

func (g *redises) addresses() (out []string) {
	for _, s := range append(g.servers(), g.guards...) {
		out = append(out, s.address)
	}
	return out
}

// answerWithin bounds the wait for one server.
const answerWithin = time.Second

// info is one field of what a server says of itself; "" if it doesn't answer.
func (s *redisServer) info(ctx context.Context, section, field string) string {
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	for line := range strings.Lines(s.client.Info(ctx, section).Val()) {
		if value, ok := strings.CutPrefix(strings.TrimSpace(line), field+":"); ok {
			return value
		}
	}
	return ""
}

// primary is the server of a shard that accepts writes. There is exactly one while nothing fails.
func (sh *shard) primary(ctx context.Context) (*redisServer, error) {
	var found []*redisServer
	for _, s := range sh.servers {
		if s.down().IsZero() && s.info(ctx, "replication", "role") == "master" {
			found = append(found, s)
		}
	}
	if len(found) != 1 {
		return nil, fmt.Errorf("%d of %d servers of Redis are primaries of the same data", len(found), len(sh.servers))
	}
	return found[0], nil
}

// whole reports what is missing until all servers run, each replica follows its primary, and all agree on who that is.
func (g *redises) whole(ctx context.Context) error {
	for _, sh := range g.shards {
		primary, err := sh.primary(ctx)
		if err != nil {
			return err
		}
		_, port, _ := net.SplitHostPort(primary.address)
		for _, s := range sh.servers {
			if s != primary && (s.info(ctx, "replication", "master_link_status") != "up" || s.info(ctx, "replication", "master_port") != port) {
				return fmt.Errorf("%s doesn't follow %s", s.name, primary.name)
			}
			if g.kind == clustered {
				if state := s.client.ClusterInfo(ctx).Val(); !strings.Contains(state, "cluster_state:ok") || !strings.Contains(state, fmt.Sprintf("cluster_known_nodes:%d", len(g.servers()))) {
					return fmt.Errorf("%s sees no whole cluster: %.60s", s.name, state)
				}
			}
		}
		for _, s := range g.guards {
			if knows := s.info(ctx, "sentinel", "master0"); knows != fmt.Sprintf("name=%s,status=ok,address=%s,slaves=2,sentinels=3", primaryName, primary.address) {
				return fmt.Errorf("%s knows %s", s.name, knows)
			}
		}
	}
	return nil
}

// each does something on every primary.
func (g *redises) each(ctx context.Context, do func(c *redis.Client) error) error {
	for _, sh := range g.shards {
		s, err := sh.primary(ctx)
		if err != nil {
			return err
		}
		if err := do(s.client); err != nil {
			return err
		}
	}
	return nil
}

// names returns the keys that match a pattern, on all primaries.
func (g *redises) names(ctx context.Context, pattern string) (out []string, err error) {
	err = g.each(ctx, func(c *redis.Client) error {
		found, err := c.Keys(ctx, pattern).Result()
		out = append(out, found...)
		return err
	})
	return out, err
}

// down returns since when no server has been running, or zero while there is one.
func (g *redises) down() (since time.Time) {
	for _, s := range g.servers() {
		at := s.down()
		if at.IsZero() {
			return at
		}
		if at.After(since) {
			since = at
		}
	}
	return since
}

// at is the shard to which a link leads; for one that leads elsewhere, always the same shard.
func (c *cluster) at(l *link) *shard {
	for _, sh := range c.redis.shards {
		if slices.ContainsFunc(sh.servers, func(s *redisServer) bool { return s.address == l.leads }) {
			return sh
		}
	}
	h := fnv.New32a()
	_, _ = h.Write([]byte(l.proxy.Name))
	return c.redis.shards[int(h.Sum32())%len(c.redis.shards)]
}

// part takes the replicas away from a primary with a wrong password, or gives them back with the right one, which is none.
func (sh *shard) part(ctx context.Context, password string) error {
	for _, s := range sh.servers {
		if s.info(ctx, "replication", "role") != "slave" {
			continue
		}
		err := s.client.ConfigSet(ctx, "masterauth", password).Err()
		if err == nil && password != "" {
			err = s.client.ClientKillByFilter(ctx, "TYPE", "master").Err()
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// snapshot saves the present data of Redis for a rollback.
func (g *redises) snapshot(ctx context.Context) error {
	for _, sh := range g.shards {
		s, err := sh.primary(ctx)
		if err != nil {
			return err
		}
		if err := s.client.Save(ctx).Err(); err != nil {
			return err
		}
		if err := os.Rename(s.dump, sh.old); err != nil {
			return err
		}
	}
	return nil
}

// restart restarts all servers of a shard with the data of the last snapshot, or with none.
func (g *redises) restart(ctx context.Context, sh *shard, old bool) error {
	primary, err := sh.primary(ctx)
	if err != nil {
		return err
	}
	var data []byte
	if old {
		data, _ = os.ReadFile(sh.old)
	}
	var all sync.WaitGroup
	for _, s := range sh.servers {
		all.Go(s.kill)
	}
	all.Wait()
	for _, s := range sh.servers {
		_ = os.Remove(s.dump)
		if data != nil {
			if err := os.WriteFile(s.dump, data, 0o600); err != nil {
				return err
			}
		}
		if err := g.start(s, primary); err != nil {
			return err
		}
	}
	return within(ctx, 20*time.Second, primary.name, func() error { return primary.client.Ping(ctx).Err() })
}

// mend starts the servers that were killed, and waits until all follow their primaries again.
func (g *redises) mend(ctx context.Context) error {
	if g.kind == single {
		return nil
	}
	return within(ctx, wholeWithin, "all servers of Redis", func() error {
		for _, sh := range g.shards {
			for _, s := range sh.servers {
				if s.down().IsZero() {
					continue
				}
				primary, err := sh.primary(ctx)
				if err != nil {
					return err
				}
				_ = os.Remove(s.dump)
				if err := g.start(s, primary); err != nil {
					return err
				}
			}
		}
		return g.whole(ctx)
	})
}

// stop ends all servers.
func (g *redises) stop() {
	if g.client != nil {
		_ = g.client.Close()
	}
	for _, s := range append(g.servers(), g.guards...) {
		s.kill()
		_ = s.client.Close()
	}
}
