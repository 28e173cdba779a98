package viewstore

import (
	"context"
	"fmt"
	"time"
)

// membersKey holds who shares the partitions of this stream identity and fold version. Another Headway on the same
// Redis, or another fold version of this one, folds for itself and is no member.
func (s *Store) membersKey() string { return "hw:members:" + s.Version().String() }

// Join says that a member lives for ttl, and returns all that do. It is the heartbeat of the fold version, too.
func (s *Store) Join(ctx context.Context, member string, ttl time.Duration) ([]string, error) {
	all, err := s.versions.join.Run(ctx, s.rdb, []string{s.membersKey()}, member, ttl.Milliseconds()).StringSlice()
	if err == nil {
		err = s.versions.heartbeat.Run(ctx, s.rdb, []string{versionsKey}, s.Version().String(), s.partitions).Err()
	}
	if err != nil {
		return nil, fmt.Errorf("viewstore: join: %w", err)
	}
	return all, nil
}

// Leave takes a member out at once.
func (s *Store) Leave(ctx context.Context, member string) error {
	if err := s.rdb.ZRem(ctx, s.membersKey(), member).Err(); err != nil {
		return fmt.Errorf("viewstore: leave: %w", err)
	}
	return nil
}
