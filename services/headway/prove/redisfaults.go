package main

import (
	"context"
	"errors"
	"fmt"
	"net"

	"github.com/redis/go-redis/v9"
)

// replicaKilled kills a replica. Nothing may depend on it.
func replicaKilled(r *scene, ctx context.Context) error {
	sh := r.redis.shards[int(r.jitter(0, len(r.redis.shards)-1).Milliseconds())]
	primary, err := sh.primary(ctx)
	if err != nil {
		return err
	}
	for _, s := range sh.servers {
		if s != primary {
			s.kill()
			break
		}
	}
	r.hang(ctx)
	return nil // it is started again when everything works
}

// sentinelKilled kills a sentinel. The other two suffice.
func sentinelKilled(r *scene, ctx context.Context) error {
	s := r.redis.guards[int(r.jitter(0, len(r.redis.guards)-1).Milliseconds())]
	s.kill()
	r.hang(ctx)
	return s.start()
}

// reshard moves slots with their keys from one primary to another, while events come.
func reshard(r *scene, ctx context.Context) error {
	n := len(r.redis.shards)
	i := int(r.jitter(0, n-1).Milliseconds())
	j := (i + 1 + int(r.jitter(0, n-2).Milliseconds())) % n
	from, err := r.redis.shards[i].primary(ctx)
	if err != nil {
		return err
	}
	to, err := r.redis.shards[j].primary(ctx)
	if err != nil {
		return err
	}
	moved, keys := 0, 0
	for p := range partitions {
		slot, err := from.client.ClusterKeySlot(ctx, fmt.Sprintf("{p%02d}", p)).Result()
		if err != nil {
			return err
		}
		some, err := from.client.ClusterCountKeysInSlot(ctx, int(slot)).Result()
		if err != nil {
			return err
		}
		if some == 0 {
			continue
		}
		n, err := moveSlot(ctx, slot, from, to)
		if err != nil {
			return fmt.Errorf("slot %d: %w", slot, err)
		}
		moved, keys = moved+1, keys+n
	}
	r.say("  %d slots with %d keys moved", moved, keys)
	return r.redis.snapshot(ctx) // an older one would bring back keys of slots that are elsewhere now
}

// moveSlot moves one slot as `redis-cli --cluster reshard` does.
func moveSlot(ctx context.Context, slot int64, from, to *redisServer) (keys int, err error) {
	idFrom, err := from.client.ClusterMyID(ctx).Result()
	if err != nil {
		return 0, err
	}
	idTo, err := to.client.ClusterMyID(ctx).Result()
	if err != nil {
		return 0, err
	}
	set := func(c *redis.Client, what, id string) error {
		return c.Do(ctx, "CLUSTER", "SETSLOT", slot, what, id).Err()
	}
	if err := errors.Join(set(to.client, "IMPORTING", idFrom), set(from.client, "MIGRATING", idTo)); err != nil {
		return 0, err
	}
	host, port, _ := net.SplitHostPort(to.address)
	for {
		some, err := from.client.ClusterGetKeysInSlot(ctx, int(slot), 100).Result()
		if err != nil {
			return keys, err
		}
		if len(some) == 0 {
			break
		}
		args := []any{"MIGRATE", host, port, "", 0, 5000, "REPLACE", "KEYS"}
		for _, k := range some {
			args = append(args, k)
		}
		if err := from.client.Do(ctx, args...).Err(); err != nil {
			return keys, err
		}
		keys += len(some)
	}
	return keys, errors.Join(set(to.client, "NODE", idTo), set(from.client, "NODE", idTo))
}
