package ingest

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/redis/go-redis/v9"

	"github.com/headwayhq/headway/pkg/diagnostics"
)

// Whatever part of a partition is lost, unreadable or of the wrong type is rebuilt, with or without events that concern it. In
// the end the store has exactly what an offline fold produces, byte for byte, including headers.
func TestDamageIsRepaired(t *testing.T) {
	for _, apart := range []bool{false, true} {
		t.Run(fmt.Sprint("parts apart: ", apart), func(t *testing.T) {
			t.Parallel()
			damageIsRepaired(t, apart)
		})
	}
}

func damageIsRepaired(t *testing.T, apart bool) {
	s := newStand(t)
	s.apart = apart
	registry := prometheus.NewRegistry()
	with := func(o *Options) { o.Metrics, o.Namespaces = registry, 10 }
	agrees := func(what string) {
		t.Helper()
		s.eventually(what+": batches are counted", func() error { return s.agree([]string{"n"}, registry) })
	}
	stop := s.start(with)
	s.fill(40)
	s.eventually("ready", s.service.Ready)
	want := s.offline()
	s.eventually("whole at first", func() error { return s.whole(want) })
	p := s.log.Partition("n", "b0")

	type act struct {
		name string
		do   func(ctx context.Context, key func(string) string) error
	}
	del := func(names ...string) act {
		return act{fmt.Sprint("DEL ", names), func(ctx context.Context, key func(string) string) error {
			for _, n := range names {
				if err := s.rdb.Del(ctx, key(n)).Err(); err != nil {
					return err
				}
			}
			return nil
		}}
	}
	another := func(name string) act {
		return act{"another type of " + name, func(ctx context.Context, key func(string) string) error {
			pipe := s.rdb.TxPipeline()
			pipe.Del(ctx, key(name))
			pipe.SAdd(ctx, key(name), "x")
			_, err := pipe.Exec(ctx)
			return err
		}}
	}
	set := func(name, value string) act {
		return act{"SET " + name, func(ctx context.Context, key func(string) string) error {
			return s.rdb.Set(ctx, key(name), value, 0).Err()
		}}
	}
	f, err := s.store.Fence(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	fewer := *f
	fewer.Views--
	acts := []act{
		del("v:n:b0"), del("cat"), del("due"), del("ns"), del("list:n"), del("rows:n"), del("fence"),
		del("cat", "v:n:b0"), del("cat", "list:n"), del("cat", "ns", "rows:n", "due"), del("fence", "cat"), del("fence", "due", "v:n:b0"),
		another("v:n:b0"), another("cat"), another("due"), another("ns"), another("list:n"), another("rows:n"), another("fence"),
		set("v:n:b0", "corrupt"), set("v:n:b0", ""), set("fence", "corrupt"), set("fence", ""), set("fence", fewer.String()), set("cat", "x"),
		{"HDEL cat", func(ctx context.Context, key func(string) string) error {
			return s.rdb.HDel(ctx, key("cat"), "n:b0").Err()
		}},
		{"HDEL rows", func(ctx context.Context, key func(string) string) error {
			return s.rdb.HDel(ctx, key("rows:n"), "b0").Err()
		}},
		{"ZREM due", func(ctx context.Context, key func(string) string) error {
			return s.rdb.ZRem(ctx, key("due"), "n:b0").Err()
		}},
		{"ZADD list", func(ctx context.Context, key func(string) string) error {
			return s.rdb.ZAdd(ctx, key("list:n"), redis.Z{Score: 1, Member: "ghost"}).Err()
		}},
		{"HSET ns", func(ctx context.Context, key func(string) string) error {
			return s.rdb.HSet(ctx, key("ns"), "n", 1000).Err()
		}},
	}
	if apart {
		acts = append(acts, del("p:n:b0"), del("v:n:b0", "p:n:b0"), another("p:n:b0"), act{"HDEL of a part", func(ctx context.Context, key func(string) string) error {
			return s.rdb.HDel(ctx, key("p:n:b0"), s.rdb.HKeys(ctx, key("p:n:b0")).Val()...).Err()
		}})
	}
	for _, live := range []bool{false, true} {
		for _, a := range acts {
			if err := a.do(t.Context(), func(name string) string { return s.key(p, name) }); err != nil {
				t.Fatal(err)
			}
			if live {
				s.job("b0", "j1", s.said)
				s.job(fmt.Sprint("new", s.said), "j1", 1)
				want = s.offline()
			}
			s.eventually(fmt.Sprintf("%s, live %v", a.name, live), func() error { return s.whole(want) })
			agrees(a.name)
		}
	}
	for _, kind := range []string{reasonMissing, reasonCatalogue, reasonIndexes, reasonPartition, reasonFence} {
		if n := testutil.ToFloat64(s.service.metrics.damage.WithLabelValues(kind)); n == 0 {
			t.Errorf("no damage of kind %s was counted", kind)
		}
	}
	// Another process finds what was lost while no process was running.
	stop()
	for _, a := range acts {
		if err := a.do(t.Context(), func(name string) string { return s.key(p, name) }); err != nil {
			t.Fatal(err)
		}
		s.job("b0", "j1", s.said)
		want = s.offline()
		registry = prometheus.NewRegistry()
		stop := s.start(with)
		s.eventually(a.name+", found by the next owner", func() error { return s.whole(want) })
		agrees(a.name)
		stop()
	}
}

// A corrupt state behind a valid header is found by the first one that reads it, here the fold.
func TestUnreadableStateIsRebuilt(t *testing.T) {
	s := newStand(t)
	stop := s.start(nil)
	s.fill(10)
	s.eventually("whole at first", func() error { return s.whole(s.offline()) })
	stop()
	p := s.log.Partition("n", "b0")
	if err := s.rdb.SetRange(t.Context(), s.key(p, "v:n:b0"), diagnostics.HeaderSize, "\xfe\xfe\xfe\xfe\xfe\xfe").Err(); err != nil {
		t.Fatal(err)
	}
	s.job("b0", "j9", 1)
	s.start(nil)
	want := s.offline()
	s.eventually("whole again", func() error { return s.whole(want) })
	if n := testutil.ToFloat64(s.service.metrics.damage.WithLabelValues(reasonCorrupt)); n != 1 {
		t.Errorf("%v unreadable views were counted", n)
	}
}

// A Redis that begins to evict keys is reported, and everything that it dropped is rebuilt once it has stopped.
func TestEvictionIsMended(t *testing.T) {
	s := newStand(t)
	s.start(nil)
	s.fill(600)
	s.eventually("ready", s.service.Ready)
	want := s.offline()
	s.eventually("whole at first", func() error { return s.whole(want) })
	ctx := t.Context()
	set := func(name, value string) {
		t.Helper()
		if err := s.rdb.ConfigSet(ctx, name, value).Err(); err != nil {
			t.Fatal(err)
		}
	}
	set("maxmemory-policy", "allkeys-lru")
	set("maxmemory", "1200kb")
	s.eventually("not ready", func() error {
		if s.service.Ready() == nil {
			return fmt.Errorf("it is ready")
		}
		return nil
	})
	s.eventually("something is evicted", func() error {
		if now, err := s.store.Server(ctx); err != nil || now.Evicted < 100 {
			return fmt.Errorf("%+v %v", now, err)
		}
		return nil
	})
	set("maxmemory", "0")
	set("maxmemory-policy", "noeviction")
	s.within(40*time.Second, "whole again", func() error { return s.whole(want) })
	s.eventually("ready again", s.service.Ready)
}

// A fence that can't be parsed, whatever its type, affects its own partition only: the others are reported, judged and owned.
func TestUnreadableFenceIsOnesOwn(t *testing.T) {
	s := newStand(t)
	stop := s.start(nil)
	s.fill(20)
	s.eventually("whole at first", func() error { return s.whole(s.offline()) })
	stop()
	if err := s.rdb.Del(t.Context(), s.key(1, "fence")).Err(); err != nil {
		t.Fatal(err)
	}
	if err := s.rdb.HSet(t.Context(), s.key(1, "fence"), "a", "b").Err(); err != nil {
		t.Fatal(err)
	}
	fences, err := s.store.Fences(t.Context())
	if err != nil || fences[0] == nil || fences[1] != nil {
		t.Fatalf("%v %v", fences, err)
	}
	tokens := map[int]string{}
	s.start(nil)
	s.eventually("whole again", func() error { return s.whole(s.offline()) })
	fences, err = s.store.Fences(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for p, f := range fences {
		tokens[p] = f.Token
	}
	if err := s.rdb.Set(t.Context(), s.key(2, "fence"), "garbage", 0).Err(); err != nil {
		t.Fatal(err)
	}
	s.eventually("claimed anew", func() error {
		f, err := s.store.Fence(t.Context(), 2)
		if err == nil && (!f.Complete || f.Token == tokens[2]) {
			return fmt.Errorf("%+v", f)
		}
		return err
	})
	fences, err = s.store.Fences(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range []int{0, 1, 3} {
		if fences[p].Token != tokens[p] {
			t.Errorf("p%02d was claimed anew too", p)
		}
	}
}
