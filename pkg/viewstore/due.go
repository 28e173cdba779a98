package viewstore

import (
	"context"
	"crypto/sha1" //nolint:gosec // compares bytes within a Redis script, which has no other digest; nothing rests on its strength
	"encoding/hex"
	"errors"
	"fmt"
	"slices"

	"github.com/redis/go-redis/v9"

	"github.com/headwayhq/headway/pkg/diagnostics"
)

// DueView is an entry of the due index whose moment has come.
type DueView struct {
	Key
	Score string // as stored
	Value []byte // stored value; nil if the view is gone

	// Unreadable says that the value's header can't be trusted. All bytes of the value are then compared to find out whether
	// the view has changed since it was read.
	Unreadable bool
}

// DuePartition is what is due in one partition, as of its fence.
type DuePartition struct {
	Partition int
	Err       error // why the partition couldn't be read; then there is neither fence nor views
	Fence     Fence
	Views     []DueView
}

// Due reads what is due in the partitions that are complete and whose lease hasn't expired, at most limit entries each, with
// one pipelined script per partition. The cost depends on what is due, not on what is active. A partition that can't be
// read has an Err, and doesn't affect the others; an error is returned only if the store doesn't answer at all.
func (s *Store) Due(ctx context.Context, limit int) ([]DuePartition, error) {
	cmds, err := s.pipelined(ctx, s.due, func(p int) ([]string, []any) {
		base := s.base(p)
		return []string{base + "fence", base + "due"}, []any{base, limit, diagnostics.HeaderSize}
	}, s.all())
	if err != nil {
		return nil, fmt.Errorf("viewstore: due: %w", err)
	}
	var out []DuePartition
	for p, c := range cmds {
		reply, err := c.Slice()
		d := DuePartition{Partition: p}
		if err == nil && len(reply) > 0 {
			d.Fence, err = ParseFence(reply[0].(string))
		}
		if err != nil {
			d.Err = fmt.Errorf("viewstore: due p%02d: %w", p, err)
			out = append(out, d)
			continue
		}
		for i := 1; i+3 < len(reply); i += 4 {
			v := DueView{Key: parseMember(reply[i].(string)), Score: reply[i+1].(string)}
			if text, ok := reply[i+2].(string); ok {
				v.Value = []byte(text)
				if _, apart := diagnostics.Apart(v.Value); apart {
					v.Value = whole(v.Value, pairs(reply[i+3]))
				}
			}
			d.Views = append(d.Views, v)
		}
		if len(d.Views) > 0 {
			out = append(out, d)
		}
	}
	return out, nil
}

func (s *Store) all() []int {
	out := make([]int, s.partitions)
	for p := range out {
		out[p] = p
	}
	return out
}

// whole puts a value and its parts together. If parts are missing it is the value alone, which nobody can parse.
func whole(value []byte, parts map[string]string) []byte {
	if all, err := diagnostics.Whole(value, parts); err == nil {
		return all
	}
	return value
}

// pairs is a hash as a script returns it.
func pairs(reply any) map[string]string {
	list, _ := reply.([]any)
	out := make(map[string]string, len(list)/2)
	for i := 0; i+1 < len(list); i += 2 {
		out[list[i].(string)], _ = list[i+1].(string)
	}
	return out
}

// pipelined runs a script once for each partition, in one round trip. If the server answers, an error concerns
// only its own command.
func (s *Store) pipelined(ctx context.Context, script *redis.Script, of func(p int) ([]string, []any), partitions []int) ([]*redis.Cmd, error) {
	if len(partitions) == 0 {
		return nil, nil
	}
	run := func() (out []*redis.Cmd) {
		_, _ = s.rdb.Pipelined(ctx, func(pipe redis.Pipeliner) error {
			for _, p := range partitions {
				keys, args := of(p)
				out = append(out, pipe.EvalSha(ctx, script.Hash(), keys, args...))
			}
			return nil
		})
		return out
	}
	cmds := run()
	if slices.ContainsFunc(cmds, func(c *redis.Cmd) bool { return redis.HasErrorPrefix(c.Err(), "NOSCRIPT") }) {
		if err := script.Load(ctx, s.rdb).Err(); err != nil {
			return nil, err
		}
		cmds = run()
	}
	var last error
	for _, c := range cmds {
		var answered redis.Error
		if last = c.Err(); last == nil || errors.As(last, &answered) {
			return cmds, nil
		}
	}
	return nil, last
}

// Reschedule moves an entry to a new moment in ms (0: none), unless its view or its moment has changed
// since it was read. A missing or unreadable view is compared as well.
func (s *Store) Reschedule(ctx context.Context, p int, d DueView, at int64) error {
	base := s.base(p)
	seen, compare := string(d.Value[:min(len(d.Value), diagnostics.HeaderSize)]), "header"
	if d.Unreadable {
		sum := sha1.Sum(d.Value) //nolint:gosec // what Redis scripts can compute too; it guards against a mix-up, not an attacker
		seen, compare = hex.EncodeToString(sum[:]), "sha1"
	}
	err := s.reschedule.Run(ctx, s.rdb, []string{base + "due", base + "v:" + d.member()},
		d.member(), d.Score, seen, score(at), compare, diagnostics.HeaderSize).Err()
	if err != nil {
		return fmt.Errorf("viewstore: reschedule p%02d: %w", p, err)
	}
	return nil
}

const sweepPage = 256

// Each passes the keys of all counted views of a partition to do, page by page.
func (s *Store) Each(ctx context.Context, p int, do func([]Key) error) error {
	for cursor := uint64(0); ; {
		keys, next, err := s.Page(ctx, p, cursor)
		if err != nil {
			return err
		}
		for len(keys) > 0 {
			n := min(len(keys), MaxCommitViews)
			if err := do(keys[:n]); err != nil {
				return err
			}
			keys = keys[n:]
		}
		if cursor = next; cursor == 0 {
			return nil
		}
	}
}

// Page reads one page of the keys of all counted views. The first cursor is 0, and so is the one after the
// last page. Views that are created or changed meanwhile may be missing.
func (s *Store) Page(ctx context.Context, p int, cursor uint64) (keys []Key, next uint64, err error) {
	page, next, err := s.rdb.HScan(ctx, s.base(p)+"cat", cursor, "", sweepPage).Result()
	if err != nil {
		return nil, 0, fmt.Errorf("viewstore: page p%02d: %w", p, err)
	}
	for i := 0; i < len(page); i += 2 {
		keys = append(keys, parseMember(page[i]))
	}
	return keys, next, nil
}

// Sweep reads every view of a partition, page by page, and sets its score to the result of moment, which returns ms or 0.
// A view that changes meanwhile gets its score from that change, and a missing one is skipped.
func (s *Store) Sweep(ctx context.Context, p int, moment func(Key, []byte) int64) error {
	base := s.base(p)
	return s.Each(ctx, p, func(keys []Key) error {
		_, values, err := s.Load(ctx, p, nil, keys)
		if err != nil {
			return err
		}
		names, args := []string{base + "due"}, []any{}
		for i, v := range values {
			if v.Bytes != nil {
				names = append(names, base+"v:"+keys[i].member())
				args = append(args, keys[i].member(), v.Bytes[:min(len(v.Bytes), diagnostics.HeaderSize)], score(moment(keys[i], v.Bytes)))
			}
		}
		if err := s.rescore.Run(ctx, s.rdb, names, args...).Err(); err != nil {
			return fmt.Errorf("viewstore: sweep p%02d: %w", p, err)
		}
		return nil
	})
}
