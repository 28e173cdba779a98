package viewstore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"
)

// Rows reads all list rows of a namespace, pipelined over the partitions.
func (s *Store) Rows(ctx context.Context, namespace string) ([][]byte, error) {
	cmds, err := s.rdb.Pipelined(ctx, func(pipe redis.Pipeliner) error {
		for p := range s.partitions {
			pipe.HVals(ctx, s.base(p)+"rows:"+namespace)
		}
		return nil
	})
	if len(cmds) < s.partitions {
		return nil, fmt.Errorf("viewstore: rows: %w", err)
	}
	var out [][]byte
	for _, c := range cmds {
		if err := c.Err(); err != nil && !redis.HasErrorPrefix(err, "WRONGTYPE") { // such a key is made anew by its owner
			return nil, fmt.Errorf("viewstore: rows: %w", err)
		}
		for _, row := range c.(*redis.StringSliceCmd).Val() {
			out = append(out, []byte(row))
		}
	}
	return out, nil
}

// RowsSince reads the rows of one partition whose revision is greater than revision.
func (s *Store) RowsSince(ctx context.Context, namespace string, p int, revision uint64) ([][]byte, error) {
	base := s.base(p)
	batches, err := s.rdb.ZRangeByScore(ctx, base+"list:"+namespace, &redis.ZRangeBy{Min: fmt.Sprintf("(%d", revision), Max: "+inf"}).Result()
	if err != nil || len(batches) == 0 {
		if err != nil {
			err = fmt.Errorf("viewstore: rows since p%02d: %w", p, err)
		}
		return nil, err
	}
	values, err := s.rdb.HMGet(ctx, base+"rows:"+namespace, batches...).Result()
	if err != nil {
		return nil, fmt.Errorf("viewstore: rows since p%02d: %w", p, err)
	}
	var out [][]byte
	for _, v := range values {
		if text, ok := v.(string); ok {
			out = append(out, []byte(text))
		}
	}
	return out, nil
}

const membersKey = "hw:members"

// Join says that a member lives for ttl, and returns all that do.
func (s *Store) Join(ctx context.Context, member string, ttl time.Duration) ([]string, error) {
	all, err := s.join.Run(ctx, s.rdb, []string{membersKey}, member, ttl.Milliseconds()).StringSlice()
	if err != nil {
		return nil, fmt.Errorf("viewstore: join: %w", err)
	}
	return all, nil
}

// Leave takes a member out at once.
func (s *Store) Leave(ctx context.Context, member string) error {
	if err := s.rdb.ZRem(ctx, membersKey, member).Err(); err != nil && !errors.Is(err, redis.Nil) {
		return fmt.Errorf("viewstore: leave: %w", err)
	}
	return nil
}
