package viewstore

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// Server is the state that a Redis reports. For a cluster, it is the worst that any of its nodes reports.
type Server struct {
	Now       time.Time // its clock
	MaxMemory string    // bytes; "0" is unlimited, "" unknown
	Policy    string    // what happens at that limit; "" unknown
	Used      float64   // how much of that limit is used, from 0 to 1; 0 without one
	Evicted   int64     // keys evicted since it began
	ReadOnly  bool      // it is a replica
}

// Errors of a Server that can't keep views.
var (
	ErrEvicts   = errors.New("it drops views silently")
	ErrReadOnly = errors.New("it is a replica, which refuses writes")
)

// Trouble says why the server can't keep views; nil if it can.
func (s Server) Trouble() error {
	if s.MaxMemory != "0" && s.Policy != "" && s.Policy != "noeviction" {
		return fmt.Errorf("redis: maxmemory-policy is %s, must be noeviction: %w", s.Policy, ErrEvicts)
	}
	if s.ReadOnly {
		return fmt.Errorf("redis: %w", ErrReadOnly)
	}
	return nil
}

// Server asks Redis for the settings that decide whether it can keep views. Hosted servers refuse CONFIG, but all answer INFO.
// Values that the server doesn't report, like the in-memory stand-in, are left empty.
func (s *Store) Server(ctx context.Context) (Server, error) {
	cluster, ok := s.rdb.(*redis.ClusterClient)
	if !ok {
		return ask(ctx, s.rdb)
	}
	var mu sync.Mutex
	var out Server
	err := cluster.ForEachMaster(ctx, func(ctx context.Context, c *redis.Client) error {
		one, err := ask(ctx, c)
		mu.Lock()
		defer mu.Unlock()
		one.Evicted += out.Evicted
		one.Used = max(one.Used, out.Used)
		if out.Trouble() != nil {
			one.MaxMemory, one.Policy, one.ReadOnly = out.MaxMemory, out.Policy, out.ReadOnly
		}
		out = one
		return err
	})
	return out, err
}

func ask(ctx context.Context, c redis.Cmdable) (Server, error) {
	var now *redis.TimeCmd
	var memory, stats, role *redis.StringCmd
	_, _ = c.Pipelined(ctx, func(pipe redis.Pipeliner) error {
		now = pipe.Time(ctx)
		memory, stats, role = pipe.Info(ctx, "memory"), pipe.Info(ctx, "stats"), pipe.Info(ctx, "replication")
		return nil
	})
	out, used := Server{Now: now.Val()}, 0.0
	if err := now.Err(); err != nil {
		return out, fmt.Errorf("viewstore: server: %w", err)
	}
	for _, section := range []*redis.StringCmd{memory, stats, role} {
		for line := range strings.Lines(section.Val()) {
			switch name, value, _ := strings.Cut(strings.TrimSpace(line), ":"); name {
			case "used_memory":
				used, _ = strconv.ParseFloat(value, 64)
			case "maxmemory":
				out.MaxMemory = value
			case "maxmemory_policy":
				out.Policy = value
			case "evicted_keys":
				out.Evicted, _ = strconv.ParseInt(value, 10, 64)
			case "role":
				out.ReadOnly = value == "slave"
			}
		}
	}
	if most, _ := strconv.ParseFloat(out.MaxMemory, 64); most > 0 {
		out.Used = used / most
	}
	return out, nil
}
