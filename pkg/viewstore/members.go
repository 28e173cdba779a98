package viewstore

import (
	"context"
	"fmt"
	"time"
)

// membersKey has the processes that share the partitions of this stream identity and fold version. Another Headway on the same
// Redis, or another fold version of this one, folds its own views and has its own members.
func (s *Store) membersKey() string { return "hw:members:" + s.Version().String() }

// Join registers a member for ttl, and returns all live members. It is the heartbeat of the fold version, too.
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

// Leave removes a member at once.
func (s *Store) Leave(ctx context.Context, member string) error {
	if err := s.rdb.ZRem(ctx, s.membersKey(), member).Err(); err != nil {
		return fmt.Errorf("viewstore: leave: %w", err)
	}
	return nil
}
