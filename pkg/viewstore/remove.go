package viewstore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"
)

// ErrAlive: a process still folds the version that was to be removed.
var ErrAlive = errors.New("in use")

const (
	removePage  = 500                  // keys removed by one script
	removePause = 2 * time.Millisecond // between two pages, to let other clients through
)

// Remove deletes all keys of a version, page by page, and its entry among the known versions. Errors: ErrAlive if a member is alive or a
// lease hasn't expired; what was removed until then is rebuilt from the log, as after a wipe. It may be repeated.
func (s *Store) Remove(ctx context.Context, k KnownVersion) (keys int, err error) {
	of := s.Of(k)
	if k.Members > 0 {
		return 0, fmt.Errorf("viewstore: remove %s: %w", k.Version, ErrAlive)
	}
	for p := range k.Partitions {
		n, err := of.removePartition(ctx, p)
		if keys += n; err != nil {
			return keys, fmt.Errorf("viewstore: remove %s p%02d: %w", k.Version, p, err)
		}
	}
	return keys, of.forget(ctx, k)
}

func (s *Store) removePartition(ctx context.Context, p int) (keys int, err error) {
	fence := s.base(p) + "fence"
	free, err := s.versions.retire.Run(ctx, s.rdb, []string{fence}).Int()
	if err != nil {
		return 0, err
	}
	if free == 0 {
		return 0, ErrAlive
	}
	return keys, s.partitionKeys(ctx, p, func(page []string) error {
		n, err := s.versions.remove.Run(ctx, s.rdb, append([]string{fence}, page...)).Int()
		if errors.Is(err, redis.Nil) {
			return ErrAlive
		}
		keys += n
		if err != nil || n == 0 {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(removePause):
			return nil
		}
	})
}

// partitionKeys passes all keys of a partition except the fence to do, page by page: first the views, which the indexes
// name, then the indexes.
func (s *Store) partitionKeys(ctx context.Context, p int, do func([]string) error) error {
	base := s.base(p)
	namespaces, err := s.namespaces(ctx, p)
	if err != nil {
		return err
	}
	indexes := []string{base + "due", base + "cat", base + "ns", base + "unc"}
	views := func(scan func(cursor uint64) ([]string, uint64, error), prefix string) error {
		for cursor := uint64(0); ; {
			pairs, next, err := scan(cursor)
			if err != nil {
				return err
			}
			keys := make([]string, 0, len(pairs))
			for i := 0; i < len(pairs); i += 2 {
				for _, kind := range []string{"v:", "p:"} {
					keys = append(keys, base+kind+prefix+pairs[i])
				}
			}
			if err := inPages(keys, do); err != nil {
				return err
			}
			if cursor = next; cursor == 0 {
				return nil
			}
		}
	}
	for _, ns := range namespaces {
		list := base + "list:" + ns
		indexes = append(indexes, base+"rows:"+ns, list)
		err := views(func(cursor uint64) ([]string, uint64, error) {
			return s.rdb.ZScan(ctx, list, cursor, "", sweepPage).Result()
		}, ns+":")
		if err != nil {
			return err
		}
	}
	err = views(func(cursor uint64) ([]string, uint64, error) {
		return s.rdb.HScan(ctx, base+"cat", cursor, "", sweepPage).Result()
	}, "")
	if err != nil {
		return err
	}
	return inPages(indexes, do)
}

// inPages passes keys to do in pages, because a scan may return more at once than was asked for.
func inPages(keys []string, do func([]string) error) error {
	for len(keys) > 0 {
		n := min(len(keys), removePage)
		if err := do(keys[:n]); err != nil {
			return err
		}
		keys = keys[n:]
	}
	return nil
}

// namespaces of a partition: the members of a set, or the fields of a hash.
func (s *Store) namespaces(ctx context.Context, p int) ([]string, error) {
	key := s.base(p) + "ns"
	all, err := s.rdb.SMembers(ctx, key).Result()
	if err != nil && redis.HasErrorPrefix(err, "WRONGTYPE") {
		all, err = s.rdb.HKeys(ctx, key).Result()
	}
	return all, err
}

// Batches counts the views of this version.
func (s *Store) Batches(ctx context.Context) (n int64, err error) {
	for p := range s.partitions {
		namespaces, err := s.namespaces(ctx, p)
		if err != nil {
			return 0, fmt.Errorf("viewstore: batches p%02d: %w", p, err)
		}
		for _, ns := range namespaces {
			count, err := s.rdb.ZCard(ctx, s.base(p)+"list:"+ns).Result()
			if err != nil {
				return 0, fmt.Errorf("viewstore: batches p%02d: %w", p, err)
			}
			n += count
		}
	}
	return n, nil
}

// forget removes the entry of a version, and also the serving version once no version of the identity is left.
func (s *Store) forget(ctx context.Context, k KnownVersion) error {
	gone, err := s.versions.forget.Run(ctx, s.rdb, []string{versionsKey}, k.Version.String(), k.text).Int()
	if err == nil && gone == 0 {
		err = ErrAlive // there was a heartbeat meanwhile
	}
	if err == nil {
		err = s.rdb.Del(ctx, s.membersKey()).Err()
	}
	if err != nil {
		return fmt.Errorf("viewstore: forget %s: %w", k.Version, err)
	}
	left, _, err := s.Versions(ctx)
	if err != nil {
		return err
	}
	for _, other := range left {
		if other.Identity == k.Identity {
			return nil
		}
	}
	if err := s.rdb.Del(ctx, s.servingKey()).Err(); err != nil {
		return fmt.Errorf("viewstore: forget %s: %w", k.Version, err)
	}
	return nil
}
