package viewstore

import (
	"context"
	"errors"
	"fmt"

	"github.com/redis/go-redis/v9"

	"github.com/headwayhq/headway/pkg/diagnostics"
)

// Value is what a read found of a view.
type Value struct {
	Bytes   []byte // stored value; nil where there is none
	Header  []byte // as the catalogue has it; nil where the view isn't counted
	Missing bool   // there is none although it is counted, or the catalogue doesn't hold what is counted: it isn't absent
}

// catalogued is the catalogue's answer for some keys, read in one transaction with the record.
type catalogued struct {
	values []any
	views  int64
	broken bool // it can't be read
}

// catalogue asks for the headers of keys within a transaction.
func (s *Store) catalogue(ctx context.Context, pipe redis.Pipeliner, p int, keys []Key) func() (catalogued, error) {
	cat := s.base(p) + "cat"
	members := make([]string, len(keys))
	for i, k := range keys {
		members[i] = k.member()
	}
	number, headers := pipe.HLen(ctx, cat), pipe.HMGet(ctx, cat, members...)
	return func() (catalogued, error) {
		if err := headers.Err(); redis.HasErrorPrefix(err, "WRONGTYPE") {
			return catalogued{values: make([]any, len(keys)), broken: true}, nil
		}
		return catalogued{values: headers.Val(), views: number.Val()}, errors.Join(number.Err(), headers.Err())
	}
}

// agrees tells whether the catalogue holds what a record counts: only then is absence known.
func (c catalogued) agrees(f *Fence) bool { return !c.broken && f != nil && c.views == f.Views }

// Load reads views together with the record and their entries of the catalogue, in one atomic read (rule 3). The record
// is nil where there is none that can be read. With believed set, a record that differs is ErrFenced, and a
// catalogue that doesn't hold what the record counts is a DamagedError; without, what isn't there is missing then.
func (s *Store) Load(ctx context.Context, p int, believed *Fence, keys []Key) (*Fence, []Value, error) {
	if len(keys) == 0 {
		f, err := s.Fence(ctx, p)
		return f, nil, err
	}
	var get *redis.SliceCmd
	var answer func() (catalogued, error)
	_, err := s.rdb.TxPipelined(ctx, func(pipe redis.Pipeliner) error {
		get, answer = pipe.MGet(ctx, s.loadNames(p, keys)...), s.catalogue(ctx, pipe, p, keys)
		return nil
	})
	cat, catErr := answer()
	if err != nil && (get.Err() != nil || catErr != nil) {
		return nil, nil, fmt.Errorf("viewstore: load p%02d: %w", p, err)
	}
	values := get.Val()
	text, _ := values[0].(string)
	f := parseRecord(values[0])
	switch {
	case believed == nil:
	case text != believed.String():
		return nil, nil, fmt.Errorf("viewstore: load p%02d: %w", p, ErrFenced)
	case !cat.agrees(f):
		return nil, nil, fmt.Errorf("viewstore: load p%02d: %w", p, DamagedError{Key: "cat"})
	}
	out := make([]Value, len(keys))
	for i, v := range values[1:] {
		header, counted := cat.values[i].(string)
		if counted {
			out[i].Header = []byte(header)
		}
		if text, ok := v.(string); ok {
			out[i].Bytes = []byte(text)
		} else {
			out[i].Missing = counted || f != nil && !cat.agrees(f)
		}
	}
	return f, out, nil
}

// Revisions reads the revisions of views from the catalogue together with the record, in one atomic read, without
// reading the views: 0 where a view isn't counted.
func (s *Store) Revisions(ctx context.Context, p int, keys []Key) (*Fence, []uint64, error) {
	var get *redis.StringCmd
	var answer func() (catalogued, error)
	_, err := s.rdb.TxPipelined(ctx, func(pipe redis.Pipeliner) error {
		get, answer = pipe.Get(ctx, s.base(p)+"fence"), s.catalogue(ctx, pipe, p, keys)
		return nil
	})
	cat, catErr := answer()
	r := record(get.Result())
	if err != nil && (catErr != nil || r.Err != nil && !errors.Is(r.Err, ErrUnreadable)) {
		return nil, nil, fmt.Errorf("viewstore: revisions p%02d: %w", p, err)
	}
	out := make([]uint64, len(keys))
	for i, v := range cat.values {
		if text, ok := v.(string); ok {
			if h, err := diagnostics.ParseHeader([]byte(text)); err == nil {
				out[i] = h.Revision
			}
		}
	}
	return r.Fence, out, nil
}
