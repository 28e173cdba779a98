package viewstore

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/headwayhq/headway/pkg/headwaytest"
)

// cluster is a Redis Cluster of two nodes with half of the slots each.
func cluster(t *testing.T) *redis.ClusterClient {
	t.Helper()
	ctx := t.Context()
	var nodes []*redis.Client
	var addresses []string
	for range 2 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		_, bus, _ := net.SplitHostPort(l.Addr().String())
		_ = l.Close()
		url, _ := headwaytest.Redis(t, "--cluster-enabled", "yes", "--cluster-port", bus)
		if url == "" {
			t.Skip("SKIPPED: no redis-server on this machine")
		}
		o, err := redis.ParseURL(url)
		if err != nil {
			t.Fatal(err)
		}
		n := redis.NewClient(o)
		t.Cleanup(func() { _ = n.Close() })
		addresses = append(addresses, o.Addr)
		host, port, _ := net.SplitHostPort(o.Addr)
		if len(nodes) == 0 {
			err = n.ClusterAddSlotsRange(ctx, 0, 8191).Err()
		} else {
			err = errors.Join(n.ClusterAddSlotsRange(ctx, 8192, 16383).Err(),
				n.Do(ctx, "CONFIG", "SET", "cluster-announce-ip", host).Err(),
				nodes[0].Do(ctx, "CLUSTER", "MEET", host, port, bus).Err())
		}
		if err != nil {
			t.Fatal(err)
		}
		nodes = append(nodes, n)
	}
	for deadline := time.Now().Add(20 * time.Second); ; {
		ok := 0
		for _, n := range nodes {
			if info, err := n.ClusterInfo(ctx).Result(); err == nil && strings.Contains(info, "cluster_state:ok") {
				ok++
			}
		}
		if ok == len(nodes) {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the cluster doesn't form")
		}
	}
	c := redis.NewClusterClient(&redis.ClusterOptions{Addrs: addresses, MaxRetries: -1})
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// All keys of a partition are in one slot, and operations on all partitions ask every node.
func TestOnACluster(t *testing.T) {
	const partitions = 8
	ctx := t.Context()
	c := cluster(t)
	s, err := Open(ctx, Options{Client: c, Identity: "id_0", Fold: 1, Partitions: partitions})
	if err != nil {
		t.Fatal(err)
	}
	slots := map[bool]int{}
	for p := range partitions {
		slot, err := c.ClusterKeySlot(ctx, s.base(p)+"fence").Result()
		if err != nil {
			t.Fatal(err)
		}
		slots[slot < 8192]++
	}
	if len(slots) != 2 {
		t.Fatal("all partitions are on one node: this test shows nothing")
	}

	running, stop := context.WithCancel(ctx)
	rows := make(chan int, 2*partitions)
	sub := s.Subscribe(running)
	if err := sub.AddNamespace(ctx, "n"); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() {
		ended <- sub.Run(running, Handler{
			View:        func(Key, int, Fence, []byte) {},
			Row:         func(_ string, p int, _ []byte) { rows <- p },
			Reconnected: func() {},
		})
	}()
	t.Cleanup(func() { stop(); <-ended })
	for deadline := time.Now().Add(10 * time.Second); ; {
		var there atomic.Bool // on one of the nodes: which one is the client's choice
		err := c.ForEachShard(ctx, func(ctx context.Context, node *redis.Client) error {
			last := s.base(partitions-1) + "rowpush:n"
			got, err := node.PubSubNumSub(ctx, last).Result()
			if err == nil && got[last] > 0 {
				there.Store(true)
			}
			return err
		})
		if err == nil && there.Load() {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("nobody subscribed (%v)", err)
		}
	}

	for p := range partitions {
		f := claim(t, s, p, nil, "mine", time.Minute)
		next := at(f, 5)
		next.Complete, next.JudgeAt = true, 60_000_000_000
		batch := fmt.Sprint("b", p)
		w := write(batch, 5, "five")
		w.Due = 30_000
		if f, err = s.Commit(ctx, p, f, next, time.Minute, []Write{w, write(batch+"x", 5, "x")}); err != nil {
			t.Fatal(err)
		}
		if _, v, err := s.Load(ctx, p, &f, []Key{{"n", batch}, {"n", batch + "x"}, {"n", "none"}}); err != nil || v[0].Bytes == nil || v[1].Bytes == nil || v[2].Bytes != nil {
			t.Fatalf("p%d: %v %v", p, v, err)
		}
		if p%2 == 1 {
			if err := s.Release(ctx, p, f); err != nil {
				t.Fatal(err)
			}
		}
		<-rows
		<-rows
	}
	fences, err := s.Fences(ctx)
	if err != nil || len(fences) != partitions {
		t.Fatalf("%v %v", fences, err)
	}
	for p, f := range fences {
		if f == nil || f.Cursor != 5 {
			t.Errorf("p%d: %+v", p, f)
		}
	}
	if err := c.ForEachShard(ctx, func(ctx context.Context, node *redis.Client) error { return node.ScriptFlush(ctx).Err() }); err != nil {
		t.Fatal(err)
	}
	due, err := s.Due(ctx, 10)                  // with the script unknown to both nodes
	if err != nil || len(due) != partitions/2 { // of the others the lease has passed
		t.Fatalf("due in %d partitions (%v)", len(due), err)
	}
	for _, d := range due {
		for _, v := range d.Views {
			if err := s.Reschedule(ctx, d.Partition, v, 90_000); err != nil {
				t.Error(err)
			}
		}
		if err := s.Sweep(ctx, d.Partition, func(Key, []byte) int64 { return 0 }); err != nil {
			t.Error(err)
		}
	}
	all, err := s.Rows(ctx, "n")
	if err != nil || len(all) != 2*partitions {
		t.Errorf("%d rows (%v)", len(all), err)
	}
	if since, err := s.RowsSince(ctx, "n", 3, 4); err != nil || len(since) != 2 {
		t.Errorf("%d rows since (%v)", len(since), err)
	}
	if members, err := s.Join(ctx, "m", time.Minute); err != nil || len(members) != 1 {
		t.Errorf("%v %v", members, err)
	}

	// Another fold version is removed, whose partitions lie on both nodes.
	old := s.WithFold(2)
	fill(t, old, 20)
	if _, err := old.Join(ctx, "m", time.Minute); err != nil {
		t.Fatal(err)
	}
	if v, err := s.Serve(ctx, Serving{}); err != nil || v.Fold != 1 {
		t.Errorf("%+v %v", v, err)
	}
	if err := old.Leave(ctx, "m"); err != nil {
		t.Fatal(err)
	}
	if n, err := s.Remove(ctx, known(t, s, old.Version())); err != nil || n < 20*partitions {
		t.Errorf("%d keys removed (%v)", n, err)
	}
	if n, err := old.Batches(ctx); err != nil || n != 0 {
		t.Errorf("%d batches are left (%v)", n, err)
	}
	if k := known(t, s, s.Version()); !k.Serving || k.Members != 1 {
		t.Errorf("%+v", k)
	}
}
