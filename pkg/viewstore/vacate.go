package viewstore

import (
	"context"
	"errors"
	"fmt"
)

// Vacate prepares a store that was saved and loaded again. Whoever held leases in it when it was saved is gone, so it ends all leases and
// memberships of this version; waiting for them would take seconds. Without any fence of this version (the store is of another log, or
// was written by another fold version) it removes everything, and found is false. Only for a store that nobody else uses.
func (s *Store) Vacate(ctx context.Context) (found bool, err error) {
	records, err := s.Records(ctx)
	if err != nil {
		return false, err
	}
	for p, r := range records {
		if r.Fence == nil {
			continue
		}
		found = true
		if r.Fence.LeaseUntil == 0 {
			continue
		}
		if err := s.Release(ctx, p, *r.Fence); err != nil && !errors.Is(err, ErrFenced) {
			return found, err
		}
	}
	if !found {
		err = s.rdb.FlushAll(ctx).Err()
	} else {
		err = s.rdb.Del(ctx, s.membersKey()).Err()
	}
	if err != nil {
		return found, fmt.Errorf("viewstore: vacate: %w", err)
	}
	return found, nil
}
