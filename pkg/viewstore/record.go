package viewstore

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"
)

// Record is a partition's record as it was found.
type Record struct {
	Fence *Fence // nil where there is none, or none that can be read
	Err   error  // ErrUnreadable where there is one that can't be read
	raw   string // of one that can't be read
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

// Fence reads a partition's record; nil where there is none. Errors: ErrUnreadable.
func (s *Store) Fence(ctx context.Context, p int) (*Fence, error) {
	r := record(s.rdb.Get(ctx, s.base(p)+"fence").Result())
	if r.Err != nil {
		return nil, fmt.Errorf("viewstore: fence p%02d: %w", p, r.Err)
	}
	return r.Fence, nil
}

// Records reads all records, pipelined. One that can't be read doesn't hinder the others.
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

// Fences reads all records, pipelined; nil where there is none that can be read.
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

// Claim takes a partition whose lease has passed, or that has no record that can be read. seen is the record as read
// before; next carries the new token. Errors: ErrFenced.
func (s *Store) Claim(ctx context.Context, p int, seen Record, next Fence, lease time.Duration) (Fence, error) {
	raw, mode := seen.raw, ""
	switch {
	case seen.Err != nil:
		mode = "unreadable"
	case seen.Fence != nil:
		raw = seen.Fence.String()
	}
	base := s.base(p)
	reply, err := s.claim.Run(ctx, s.rdb, []string{base + "fence", base + "cat"}, raw, next.rest(), lease.Milliseconds(), mode).Slice()
	return fenceReply("claim", p, next, reply, err)
}

// Release gives a partition back at once. Errors: ErrFenced.
func (s *Store) Release(ctx context.Context, p int, believed Fence) error {
	return refusable("release", p, s.release.Run(ctx, s.rdb, []string{s.base(p) + "fence"}, believed.String(), believed.counted()).Err())
}

// refusable reads the answer of a script that compares the record first.
func refusable(what string, p int, err error) error {
	if errors.Is(err, redis.Nil) {
		err = ErrFenced
	}
	if err != nil {
		return fmt.Errorf("viewstore: %s p%02d: %w", what, p, err)
	}
	return nil
}

// fenceReply reads a script's answer: the lease that it gave and the number of views, or nothing where it refused.
func fenceReply(what string, p int, next Fence, reply []any, err error) (Fence, error) {
	if err := refusable(what, p, err); err != nil {
		return Fence{}, err
	}
	for i, to := range []*int64{&next.LeaseUntil, &next.Views} {
		text, _ := reply[i].(string)
		if *to, err = strconv.ParseInt(text, 10, 64); err != nil {
			return Fence{}, fmt.Errorf("viewstore: %s p%02d: %w", what, p, err)
		}
	}
	return next, nil
}
