package viewstore

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/headwayhq/headway/pkg/diagnostics"
)

// Value is what a read found of a view.
type Value struct {
	Bytes   []byte // stored value as a whole; nil if there is none
	Apart   bool   // its parts are stored apart
	Header  []byte // from the catalogue; nil if the view isn't counted
	Missing bool   // the value is lost: the view is counted, or the catalogue is damaged, so absence can't be concluded
}

// catalogued is the catalogue's answer for some keys, read in one transaction with the fence.
type catalogued struct {
	values []any
	views  int64
	broken bool // the catalogue can't be read
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

// agrees reports whether the catalogue has as many entries as the fence counts. Only then is absence certain.
func (c catalogued) agrees(f *Fence) bool { return !c.broken && f != nil && c.views == f.Views }

// Load reads views together with the fence and their entries of the catalogue, in one atomic read (rule 3). The fence
// is nil if there is none or it can't be parsed. If believed is set, a different fence is ErrFenced, and a
// catalogue that doesn't agree with the fence is a DamagedError. If it is nil, a damaged catalogue makes absent views Missing.
func (s *Store) Load(ctx context.Context, p int, believed *Fence, keys []Key) (*Fence, []Value, error) {
	if len(keys) == 0 {
		f, err := s.Fence(ctx, p)
		return f, nil, err
	}
	values, cat, apart, err := s.read(ctx, p, keys)
	if err != nil {
		return nil, nil, fmt.Errorf("viewstore: load p%02d: %w", p, err)
	}
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
			if _, out[i].Apart = diagnostics.Apart(out[i].Bytes); out[i].Apart {
				if out[i].Bytes, err = diagnostics.Whole(out[i].Bytes, apart[i].Val()); err != nil {
					out[i] = Value{Header: out[i].Header, Missing: true}
				}
			}
		} else {
			out[i].Missing = counted || f != nil && !cat.agrees(f)
		}
	}
	return f, out, nil
}

// Whole is the whole of a stored value that was read by the name of its key, without its partition's fence: parts that are stored apart are read,
// possibly of another moment.
func Whole(ctx context.Context, rdb redis.Cmdable, name string, value []byte) ([]byte, error) {
	if _, apart := diagnostics.Apart(value); !apart {
		return value, nil
	}
	parts, err := rdb.HGetAll(ctx, strings.Replace(name, ":v:", ":p:", 1)).Result()
	if err != nil {
		return nil, fmt.Errorf("viewstore: %w", err)
	}
	return diagnostics.Whole(value, parts)
}

// read reads the fence, values and their entries of the catalogue in one transaction, with the parts of those values whose parts are stored
// apart. Which ones these are is known after a first read, so only a partition with large views is read twice.
func (s *Store) read(ctx context.Context, p int, keys []Key) (values []any, cat catalogued, parts []*redis.MapStringStringCmd, err error) {
	parts = make([]*redis.MapStringStringCmd, len(keys))
	ask := make([]bool, len(keys))
	for {
		var get *redis.SliceCmd
		var answer func() (catalogued, error)
		_, err = s.rdb.TxPipelined(ctx, func(pipe redis.Pipeliner) error {
			get, answer = pipe.MGet(ctx, s.loadNames(p, keys)...), s.catalogue(ctx, pipe, p, keys)
			for i, k := range keys {
				if ask[i] {
					parts[i] = pipe.HGetAll(ctx, s.base(p)+"p:"+k.member())
				}
			}
			return nil
		})
		var catErr error
		if cat, catErr = answer(); err != nil && (get.Err() != nil || catErr != nil) {
			return nil, cat, nil, err
		}
		values = get.Val()
		more := false
		for i, v := range values[1:] {
			if text, ok := v.(string); ok && !ask[i] && isApart(text) {
				ask[i], more = true, true
			}
		}
		if !more {
			return values, cat, parts, nil
		}
	}
}

// isApart reports whether the parts of a value are stored apart from it. Its beginning tells.
func isApart(value string) bool {
	_, apart := diagnostics.Apart([]byte(value[:min(len(value), diagnostics.HeaderSize+5)]))
	return apart
}

// Revisions reads the revisions of views from the catalogue together with the fence, in one atomic read and without
// reading the views. The revision of a view that isn't counted is 0.
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
