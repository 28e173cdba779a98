package e2e

import (
	"context"
	"crypto/rand"
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/redis/go-redis/v9"

	"github.com/headwayhq/headway/pkg/diagnostics"
	"github.com/headwayhq/headway/pkg/headwaytest"
)

// TestChaosOnSentinels replaces the primary twice while events flow, and kills ingest processes besides.
func TestChaosOnSentinels(t *testing.T) {
	t.Parallel()
	chaosOn(t, headwaytest.RedisSentinels, []string{"primary", "kill0", "primary", "kill1"}, nil)
}

// TestChaosOnACluster replaces primaries of a cluster of three, and moves slots with views between them, while events flow.
func TestChaosOnACluster(t *testing.T) {
	t.Parallel()
	chaosOn(t, func(t testing.TB) *headwaytest.RedisGroup { return headwaytest.RedisCluster(t, 3) },
		[]string{"reshard", "primary", "kill0", "reshard", "primary"}, func(g *headwaytest.RedisGroup) []fault {
			return []fault{{"reshard", func() { reshard(t, g) }}}
		})
}

func chaosOn(t *testing.T, make func(testing.TB) *headwaytest.RedisGroup, order []string, more func(*headwaytest.RedisGroup) []fault) {
	t.Helper()
	if testing.Short() {
		t.Skip("SKIPPED: long")
	}
	p := build(t)
	g := make(t)
	b := startLog(t, p)
	b.redisURL, b.rdb = g.URL, g.Client()
	faults := []fault{{"primary", func() {
		began := time.Now()
		rejoin := g.Failover()
		t.Logf("another primary after %v", time.Since(began).Round(10*time.Millisecond))
		b.visible(t)
		t.Logf("new events in all partitions are visible %v after the primary was killed", time.Since(began).Round(10*time.Millisecond))
		rejoin()
	}}}
	if more != nil {
		faults = append(faults, more(g)...)
	}
	chaos(t, p, b, 20_000, order, faults)
}

// visible publishes an event in each partition, and waits until all are in stored views.
func (b *backends) visible(t *testing.T) {
	t.Helper()
	js, err := jetstream.New(b.nc)
	if err != nil {
		t.Fatal(err)
	}
	wanted := map[string]uint64{}
	for i := range 200 { // more than there are partitions, so that each has one
		batch := fmt.Sprint("probe", i)
		ack, err := js.Publish(t.Context(), "headway.events.alpha."+batch+".batch", fmt.Appendf(nil,
			`{"specversion":"1.0","id":%q,"source":"test","type":%q,"time":%q,"data":{"status":"PROCESSING"}}`,
			rand.Text(), diagnostics.TypeBatchV1, time.Now().UTC().Format(time.RFC3339Nano)))
		if err != nil {
			t.Fatal(err)
		}
		wanted["alpha:"+batch] = ack.Sequence
	}
	eventually(t, time.Minute, "new events visible", func() error {
		stored, err := b.values(t.Context())
		if err != nil {
			return err
		}
		for k, seq := range wanted {
			if h, err := diagnostics.ParseHeader(stored[k]); err != nil || h.Revision < seq {
				return fmt.Errorf("%s isn't at revision %d: %+v, %w", k, seq, h, err)
			}
		}
		return nil
	})
}

// reshard moves each slot that has keys from one primary to the next one.
func reshard(t *testing.T, g *headwaytest.RedisGroup) {
	t.Helper()
	ctx := t.Context()
	primaries := g.Primaries()
	from, to := primaries[0].Client(), primaries[1].Client()
	idFrom, idTo := nodeID(ctx, t, from), nodeID(ctx, t, to)
	moved, keys := 0, 0
	for slot := range 16384 {
		n, err := from.ClusterCountKeysInSlot(ctx, slot).Result()
		if err != nil {
			t.Fatal(err)
		}
		if n == 0 {
			continue
		}
		do(ctx, t, to, "CLUSTER", "SETSLOT", slot, "IMPORTING", idFrom)
		do(ctx, t, from, "CLUSTER", "SETSLOT", slot, "MIGRATING", idTo)
		for {
			some, err := from.ClusterGetKeysInSlot(ctx, slot, 100).Result()
			if err != nil {
				t.Fatal(err)
			}
			if len(some) == 0 {
				break
			}
			host, port := primaries[1].HostPort()
			args := []any{"MIGRATE", host, port, "", 0, 5000, "KEYS"}
			for _, k := range some {
				args = append(args, k)
			}
			do(ctx, t, from, args...)
			keys += len(some)
		}
		do(ctx, t, to, "CLUSTER", "SETSLOT", slot, "NODE", idTo)
		do(ctx, t, from, "CLUSTER", "SETSLOT", slot, "NODE", idTo)
		moved++
	}
	t.Logf("%d slots with %d keys moved", moved, keys)
	if moved == 0 {
		t.Log("the first primary had no keys")
	}
}

func nodeID(ctx context.Context, t *testing.T, c *redis.Client) string {
	t.Helper()
	id, err := c.ClusterMyID(ctx).Result()
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func do(ctx context.Context, t *testing.T, c *redis.Client, args ...any) {
	t.Helper()
	if err := c.Do(ctx, args...).Err(); err != nil {
		t.Fatalf("%v: %v", args[:min(4, len(args))], err)
	}
}
