package viewstore

import (
	"context"
	"fmt"

	"github.com/redis/go-redis/v9"
)

// NamespaceCounts reads how many namespaces have rows in each partition, in one round trip. The count is 0 while the index of
// namespaces is being rebuilt.
func (s *Store) NamespaceCounts(ctx context.Context) ([]int64, error) {
	cmds, err := s.rdb.Pipelined(ctx, func(pipe redis.Pipeliner) error {
		for p := range s.partitions {
			pipe.HLen(ctx, s.base(p)+"ns")
		}
		return nil
	})
	if err := answered(cmds, err); err != nil {
		return nil, err
	}
	out := make([]int64, len(cmds))
	for p, c := range cmds {
		out[p] = c.(*redis.IntCmd).Val()
	}
	return out, nil
}

// Namespaces reads the namespaces that have rows in some partitions, in one round trip.
func (s *Store) Namespaces(ctx context.Context, partitions []int) ([][]string, error) {
	cmds, err := s.rdb.Pipelined(ctx, func(pipe redis.Pipeliner) error {
		for _, p := range partitions {
			pipe.HKeys(ctx, s.base(p)+"ns")
		}
		return nil
	})
	if err := answered(cmds, err); err != nil {
		return nil, err
	}
	out := make([][]string, len(cmds))
	for i, c := range cmds {
		out[i] = c.(*redis.StringSliceCmd).Val()
	}
	return out, nil
}

// answered is nil if each command was answered, even if a key has another type: the owner of its partition rebuilds
// it, and the other answers are valid.
func answered(cmds []redis.Cmder, err error) error {
	if err == nil {
		return nil
	}
	for _, c := range cmds {
		if err := c.Err(); err != nil && !redis.HasErrorPrefix(err, "WRONGTYPE") {
			return fmt.Errorf("viewstore: namespaces: %w", err)
		}
	}
	if len(cmds) == 0 {
		return fmt.Errorf("viewstore: namespaces: %w", err)
	}
	return nil
}
