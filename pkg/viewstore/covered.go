package viewstore

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"
)

// Covered is how far checkpoints cover a partition.
type Covered struct {
	Fence *Fence // nil if there is none, or if it can't be parsed
	Key   Key    // the batch that isn't covered for the longest; empty if everything is
	From  uint64 // the first sequence of it that isn't
	Lost  bool   // the index doesn't have the counted number of entries, so nothing is known
}

// CoveredAll reads how far checkpoints cover each partition, with one script each, pipelined.
func (s *Store) CoveredAll(ctx context.Context) ([]Covered, error) {
	cmds, err := s.pipelined(ctx, s.covered, func(p int) ([]string, []any) {
		return []string{s.base(p) + "fence", s.base(p) + "unc"}, nil
	}, s.all())
	if err != nil {
		return nil, fmt.Errorf("viewstore: covered: %w", err)
	}
	out := make([]Covered, len(cmds))
	for p, c := range cmds {
		reply, err := c.Slice()
		if err != nil {
			return nil, fmt.Errorf("viewstore: covered p%02d: %w", p, err)
		}
		if len(reply) == 0 {
			continue
		}
		out[p].Fence = parseRecord(reply[0])
		n, _ := reply[1].(int64)
		out[p].Lost = out[p].Fence == nil || out[p].Fence.Uncovered != n
		if len(reply) < 4 || n == 0 {
			continue
		}
		member, _ := reply[2].(string)
		score, _ := reply[3].(string)
		out[p].Key = parseMember(member)
		if out[p].From, err = parseScore(score); err != nil {
			out[p].Lost = true
		}
	}
	return out, nil
}

// parseScore reads a sequence from a score. Redis may write a large one with an exponent.
func parseScore(score string) (uint64, error) {
	if n, err := strconv.ParseUint(score, 10, 64); err == nil {
		return n, nil
	}
	f, err := strconv.ParseFloat(score, 64)
	return uint64(f), err
}

// Uncovered reads the marks of a partition. Errors: ErrFenced, DamagedError.
func (s *Store) Uncovered(ctx context.Context, p int, believed Fence) ([]Mark, error) {
	var get *redis.StringCmd
	var all *redis.ZSliceCmd
	_, err := s.rdb.TxPipelined(ctx, func(pipe redis.Pipeliner) error {
		get, all = pipe.Get(ctx, s.base(p)+"fence"), pipe.ZRangeWithScores(ctx, s.base(p)+"unc", 0, -1)
		return nil
	})
	switch {
	case errors.Is(get.Err(), redis.Nil) || get.Err() == nil && get.Val() != believed.String():
		return nil, fmt.Errorf("viewstore: uncovered p%02d: %w", p, ErrFenced)
	case redis.HasErrorPrefix(all.Err(), "WRONGTYPE") || err == nil && int64(len(all.Val())) != believed.Uncovered:
		return nil, fmt.Errorf("viewstore: uncovered p%02d: %w", p, DamagedError{Key: "unc"})
	case err != nil:
		return nil, fmt.Errorf("viewstore: uncovered p%02d: %w", p, err)
	}
	out := make([]Mark, len(all.Val()))
	for i, z := range all.Val() {
		member, _ := z.Member.(string)
		out[i] = Mark{parseMember(member), uint64(z.Score)}
	}
	return out, nil
}

// Drop removes views that a checkpoint covers, with their entries in catalogue and indexes, in one step with a new fence (rule 22). A view that
// isn't covered stays. Errors: ErrFenced, DamagedError.
func (s *Store) Drop(ctx context.Context, p int, believed, next Fence, lease time.Duration, keys []Key) (Fence, error) {
	base := s.base(p)
	args := []any{believed.String(), next.rest(), lease.Milliseconds(), base}
	for _, k := range keys {
		args = append(args, k.member())
	}
	reply, err := s.drop.Run(ctx, s.rdb, []string{base + "fence", base + "cat", base + "due", base + "ns", base + "unc"}, args...).Slice()
	if redis.HasErrorPrefix(err, "DAMAGED") {
		err = DamagedError{Key: "cat"}
	}
	return fenceReply("drop", p, next, reply, err)
}

// UncoverAll marks every view of a partition as covered by no checkpoint from a sequence on (rule 30). Errors: ErrFenced.
func (s *Store) UncoverAll(ctx context.Context, p int, believed, next Fence, lease time.Duration, from uint64) (Fence, error) {
	base := s.base(p)
	reply, err := s.uncover.Run(ctx, s.rdb, []string{base + "fence", base + "cat", base + "unc"},
		believed.String(), next.rest(), lease.Milliseconds(), strconv.FormatUint(from, 10)).Slice()
	return fenceReply("uncover", p, next, reply, err)
}

// Clear removes what is left of a partition that has no fence: it begins from nothing (rule 24). If there is a fence again, nothing is
// removed.
func (s *Store) Clear(ctx context.Context, p int) error {
	fence := s.base(p) + "fence"
	return s.partitionKeys(ctx, p, func(page []string) error {
		err := s.versions.remove.Run(ctx, s.rdb, append([]string{fence}, page...)).Err()
		if errors.Is(err, redis.Nil) {
			err = ErrFenced
		}
		if err != nil {
			return fmt.Errorf("viewstore: clear p%02d: %w", p, err)
		}
		return nil
	})
}
