package viewstore

import (
	"context"
	"crypto/sha1" //nolint:gosec // compares bytes within a Redis script, which has no other digest; nothing rests on its strength
	"encoding/hex"
	"fmt"
	"strconv"

	"github.com/redis/go-redis/v9"

	"github.com/headwayhq/headway/pkg/diagnostics"
)

// DueView is an entry of the due index whose moment has come.
type DueView struct {
	Key
	Score string // as stored
	Value []byte // stored value; nil if the view is gone

	// Unreadable says that the value's header can't be trusted: whether the view has changed since it was read is then
	// told by all of its bytes.
	Unreadable bool
}

// DuePartition is what is due in one partition, as of its record.
type DuePartition struct {
	Partition int
	Err       error // why nothing of this partition could be read; the other fields are empty then
	Fence     Fence
	Views     []DueView
}

// Due reads what is due in the partitions that are complete, at most limit entries each: one script a
// partition, pipelined. The cost is that of what is due, not of what is active. A partition that can't be read has
// its own error; the error of Due itself says that none could be.
func (s *Store) Due(ctx context.Context, limit int) ([]DuePartition, error) {
	cmds := s.dueOnce(ctx, limit)
	for _, c := range cmds {
		if redis.HasErrorPrefix(c.Err(), "NOSCRIPT") {
			if err := s.due.Load(ctx, s.rdb).Err(); err != nil {
				return nil, fmt.Errorf("viewstore: due: %w", err)
			}
			cmds = s.dueOnce(ctx, limit)
			break
		}
	}
	var out []DuePartition
	failed := 0
	for p, c := range cmds {
		d, err := duePartition(p, c)
		if err != nil {
			failed++
			d = DuePartition{Partition: p, Err: fmt.Errorf("viewstore: due p%02d: %w", p, err)}
		}
		if d.Err != nil || len(d.Views) > 0 {
			out = append(out, d)
		}
	}
	if failed == s.partitions {
		return nil, out[0].Err
	}
	return out, nil
}

// duePartition reads one partition's reply. It has no views where nothing is due.
func duePartition(p int, c *redis.Cmd) (DuePartition, error) {
	reply, err := c.Slice()
	if err != nil || len(reply) < 4 {
		return DuePartition{}, err
	}
	f, err := ParseFence(reply[0].(string))
	if err != nil {
		return DuePartition{}, err
	}
	d := DuePartition{Partition: p, Fence: f}
	for i := 1; i+2 < len(reply); i += 3 {
		v := DueView{Key: parseMember(reply[i].(string)), Score: reply[i+1].(string)}
		if text, ok := reply[i+2].(string); ok {
			v.Value = []byte(text)
		}
		d.Views = append(d.Views, v)
	}
	return d, nil
}

func (s *Store) dueOnce(ctx context.Context, limit int) []*redis.Cmd {
	out := make([]*redis.Cmd, s.partitions)
	_, _ = s.rdb.Pipelined(ctx, func(pipe redis.Pipeliner) error { // each command has its own error
		for p := range s.partitions {
			base := s.base(p)
			out[p] = pipe.EvalSha(ctx, s.due.Hash(), []string{base + "fence", base + "due"}, base, limit)
		}
		return nil
	})
	return out
}

// Reschedule moves an entry to a new moment in ms (0: none), unless its view or its moment has changed
// since it was read. A view that is gone, or is no view at all, is compared as well.
func (s *Store) Reschedule(ctx context.Context, p int, d DueView, at int64) error {
	base := s.base(p)
	seen, compare := string(d.Value[:min(len(d.Value), diagnostics.HeaderSize)]), "header"
	if d.Unreadable {
		sum := sha1.Sum(d.Value)
		seen, compare = hex.EncodeToString(sum[:]), "sha1"
	}
	err := s.reschedule.Run(ctx, s.rdb, []string{base + "due", base + "v:" + d.member()},
		d.member(), d.Score, seen, strconv.FormatInt(at, 10), compare, diagnostics.HeaderSize).Err()
	if err != nil {
		return fmt.Errorf("viewstore: reschedule p%02d: %w", p, err)
	}
	return nil
}

const sweepPage = 256

// Each hands the keys of all views of a partition to do, page by page.
func (s *Store) Each(ctx context.Context, p int, do func([]Key) error) error {
	base := s.base(p)
	namespaces, err := s.rdb.SMembers(ctx, base+"ns").Result()
	if err != nil {
		return fmt.Errorf("viewstore: each p%02d: %w", p, err)
	}
	for _, ns := range namespaces {
		// By member, not by rank: ranks move while views change.
		for cursor := uint64(0); ; {
			page, next, err := s.rdb.ZScan(ctx, base+"list:"+ns, cursor, "", sweepPage).Result()
			if err != nil {
				return fmt.Errorf("viewstore: each p%02d: %w", p, err)
			}
			keys := make([]Key, 0, len(page)/2)
			for i := 0; i < len(page); i += 2 {
				keys = append(keys, Key{ns, page[i]})
			}
			for len(keys) > 0 {
				n := min(len(keys), MaxCommitViews)
				if err := do(keys[:n]); err != nil {
					return err
				}
				keys = keys[n:]
			}
			if cursor = next; cursor == 0 {
				break
			}
		}
	}
	return nil
}

// Sweep reads every view of a partition, page by page, and scores it anew by score, which returns ms or 0. A
// view that changes meanwhile is left to whoever changed it.
func (s *Store) Sweep(ctx context.Context, p int, score func(Key, []byte) int64) error {
	base := s.base(p)
	return s.Each(ctx, p, func(keys []Key) error {
		_, values, err := s.Load(ctx, p, nil, keys)
		if err != nil {
			return err
		}
		names, args := []string{base + "due"}, []any{}
		for i, v := range values {
			if v != nil {
				names = append(names, base+"v:"+keys[i].member())
				args = append(args, keys[i].member(), v[:min(len(v), diagnostics.HeaderSize)], score(keys[i], v))
			}
		}
		if err := s.rescore.Run(ctx, s.rdb, names, args...).Err(); err != nil {
			return fmt.Errorf("viewstore: sweep p%02d: %w", p, err)
		}
		return nil
	})
}
