package viewstore

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"
)

// Record is a partition's fence as read, valid or not.
type Record struct {
	Fence *Fence // nil if there is none, or if it can't be parsed
	Err   error  // ErrUnreadable if it can't be parsed
	raw   string // the stored text if it can't be parsed
}

func record(value string, err error) Record {
	var answered redis.Error
	switch {
	case errors.Is(err, redis.Nil):
		return Record{}
	case errors.As(err, &answered) && redis.HasErrorPrefix(err, "WRONGTYPE"):
		return Record{Err: fmt.Errorf("viewstore: %w: %w", ErrUnreadable, err)}
	case err != nil:
		return Record{Err: err}
	}
	f, err := ParseFence(value)
	if err != nil {
		return Record{Err: err, raw: value}
	}
	return Record{Fence: &f}
}

// Fence reads a partition's fence; nil if there is none. Errors: ErrUnreadable.
func (s *Store) Fence(ctx context.Context, p int) (*Fence, error) {
	r := record(s.rdb.Get(ctx, s.base(p)+"fence").Result())
	if r.Err != nil {
		return nil, fmt.Errorf("viewstore: fence p%02d: %w", p, r.Err)
	}
	return r.Fence, nil
}

// Records reads all fences, pipelined. One that can't be parsed doesn't affect the others.
func (s *Store) Records(ctx context.Context) ([]Record, error) {
	cmds, err := s.rdb.Pipelined(ctx, func(pipe redis.Pipeliner) error {
		for p := range s.partitions {
			pipe.Get(ctx, s.base(p)+"fence")
		}
		return nil
	})
	out := make([]Record, s.partitions)
	for p, c := range cmds {
		out[p] = record(c.(*redis.StringCmd).Result())
		if out[p].Err != nil && !errors.Is(out[p].Err, ErrUnreadable) {
			return nil, fmt.Errorf("viewstore: records: p%02d: %w", p, out[p].Err)
		}
	}
	if len(cmds) < s.partitions {
		return nil, fmt.Errorf("viewstore: records: %w", err)
	}
	return out, nil
}

// Fences reads all fences, pipelined; nil where there is none or it can't be parsed.
func (s *Store) Fences(ctx context.Context) ([]*Fence, error) {
	records, err := s.Records(ctx)
	if err != nil {
		return nil, err
	}
	out := make([]*Fence, len(records))
	for p, r := range records {
		out[p] = r.Fence
	}
	return out, nil
}

// Claim takes a partition whose lease has expired, or that has no valid fence. seen is the fence as read
// before; next has the new token. Errors: ErrFenced.
func (s *Store) Claim(ctx context.Context, p int, seen Record, next Fence, lease time.Duration) (Fence, error) {
	raw, mode := seen.raw, ""
	switch {
	case seen.Err != nil:
		mode = "unreadable"
	case seen.Fence != nil:
		raw = seen.Fence.String()
	}
	base := s.base(p)
	reply, err := s.claim.Run(ctx, s.rdb, []string{base + "fence", base + "cat", base + "unc"}, raw, next.rest(), lease.Milliseconds(), mode).Slice()
	return fenceReply("claim", p, next, reply, err)
}

// Release gives a partition back at once. Errors: ErrFenced.
func (s *Store) Release(ctx context.Context, p int, believed Fence) error {
	return refusable("release", p, s.release.Run(ctx, s.rdb, []string{s.base(p) + "fence"}, believed.String(), believed.counted()).Err())
}

// refusable reads the answer of a script that compares the fence first.
func refusable(what string, p int, err error) error {
	if errors.Is(err, redis.Nil) {
		err = ErrFenced
	}
	if err != nil {
		return fmt.Errorf("viewstore: %s p%02d: %w", what, p, err)
	}
	return nil
}

// fenceReply reads a script's answer: the new lease, and the numbers of views and of those that aren't covered, or nothing if it refused.
func fenceReply(what string, p int, next Fence, reply []any, err error) (Fence, error) {
	if err := refusable(what, p, err); err != nil {
		return Fence{}, err
	}
	for i, to := range []*int64{&next.LeaseUntil, &next.Views, &next.Uncovered} {
		text, _ := reply[i].(string)
		if *to, err = strconv.ParseInt(text, 10, 64); err != nil {
			return Fence{}, fmt.Errorf("viewstore: %s p%02d: %w", what, p, err)
		}
	}
	return next, nil
}
