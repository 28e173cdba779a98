package viewstore

import (
	"context"
	"fmt"
	"slices"

	"github.com/redis/go-redis/v9"
	"golang.org/x/sync/errgroup"
)

// Ask names views of one partition.
type Ask struct {
	Partition int
	Keys      []Key
}

// Answer is the result of Load for an Ask.
type Answer struct {
	Fence  *Fence
	Values []Value
	Err    error
}

// LoadMany is Load without an expected fence, for several asks at once. Each ask is read at a moment of its own, and fails
// independently. One round trip is enough if all views exist and are small. Asks with a view that doesn't exist, or whose parts are stored
// apart, need more.
func (s *Store) LoadMany(ctx context.Context, asks []Ask) []Answer {
	cmds, err := s.rdb.Pipelined(ctx, func(pipe redis.Pipeliner) error {
		for _, a := range asks {
			pipe.MGet(ctx, s.loadNames(a.Partition, a.Keys)...)
		}
		return nil
	})
	out := make([]Answer, len(asks))
	var g errgroup.Group
	g.SetLimit(loadsAtOnce)
	for i, a := range asks {
		if i >= len(cmds) {
			out[i].Err = fmt.Errorf("viewstore: load p%02d: %w", a.Partition, err)
			continue
		}
		values, err := cmds[i].(*redis.SliceCmd).Result()
		if err != nil {
			out[i].Err = fmt.Errorf("viewstore: load p%02d: %w", a.Partition, err)
			continue
		}
		if slices.ContainsFunc(values, needsMore) {
			g.Go(func() error {
				out[i].Fence, out[i].Values, out[i].Err = s.Load(ctx, a.Partition, nil, a.Keys)
				return nil
			})
			continue
		}
		out[i].Fence = parseRecord(values[0])
		out[i].Values = make([]Value, len(a.Keys))
		for k, v := range values[1:] {
			out[i].Values[k].Bytes = []byte(v.(string))
		}
	}
	_ = g.Wait() // each has its error
	return out
}

// needsMore reports that a value isn't there, or has parts that are stored apart.
func needsMore(value any) bool {
	text, ok := value.(string)
	return !ok || isApart(text)
}

// loadsAtOnce limits the concurrent second reads of LoadMany.
const loadsAtOnce = 16

func (s *Store) loadNames(p int, keys []Key) []string {
	base := s.base(p)
	names := make([]string, 1, len(keys)+1)
	names[0] = base + "fence"
	for _, k := range keys {
		names = append(names, base+"v:"+k.member())
	}
	return names
}

// parseRecord is the fence in a reply; nil if there is none or it can't be parsed.
func parseRecord(v any) *Fence {
	text, ok := v.(string)
	if !ok {
		return nil
	}
	f, err := ParseFence(text)
	if err != nil {
		return nil
	}
	return &f
}
