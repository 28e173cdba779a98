package viewstore

import (
	"context"
	"fmt"

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
		if err := c.Err(); err != nil && !redis.HasErrorPrefix(err, "WRONGTYPE") { // the partition's owner rebuilds such a key
			return nil, fmt.Errorf("viewstore: rows: %w", err)
		}
		for _, row := range c.(*redis.StringSliceCmd).Val() {
			out = append(out, []byte(row))
		}
	}
	return out, nil
}

// rowPage is about how many rows one read of EachRow returns.
const rowPage = 256

// EachRow passes all list rows of one partition to do, page by page. Rows that are written meanwhile may be passed in their
// old or their new state, or not at all if their batch is new. The row is valid only during the call.
func (s *Store) EachRow(ctx context.Context, p int, do func(k Key, row string)) error {
	namespaces, err := s.Namespaces(ctx, []int{p})
	if err != nil {
		return err
	}
	for _, ns := range namespaces[0] {
		for cursor := uint64(0); ; {
			page, next, err := s.rdb.HScan(ctx, s.base(p)+"rows:"+ns, cursor, "", rowPage).Result()
			if err != nil {
				return fmt.Errorf("viewstore: rows p%02d: %w", p, err)
			}
			for i := 0; i+1 < len(page); i += 2 {
				do(Key{ns, page[i]}, page[i+1])
			}
			if cursor = next; cursor == 0 {
				break
			}
		}
	}
	return nil
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
