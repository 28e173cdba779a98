package viewstore

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/headwayhq/headway/pkg/diagnostics"
)

// Write is one changed view of a commit.
type Write struct {
	Key
	Value    []byte // stored value
	Revision uint64
	Due      int64  // ms since 1970, rounded up; 0: no check is due
	Row      []byte // list row; nil: unchanged
}

// Commit writes views, indexes and the new record, and pushes what changed: one atomic step, refused with
// ErrFenced unless the record is the one believed in. Without writes it is a heartbeat. Repeating the very
// same commit after a lost reply is safe: once it was done, it answers as done. At most MaxCommitViews
// views; it is for the caller to end a commit at MaxCommitBytes.
func (s *Store) Commit(ctx context.Context, p int, believed, next Fence, lease time.Duration, writes []Write) (Fence, error) {
	if len(writes) > MaxCommitViews {
		return Fence{}, fmt.Errorf("viewstore: commit p%02d: %d views, at most %d", p, len(writes), MaxCommitViews)
	}
	base := s.base(p)
	number := map[string]int{}
	var namespaces []string
	for _, w := range writes {
		if number[w.Namespace] == 0 {
			namespaces = append(namespaces, w.Namespace)
			number[w.Namespace] = len(namespaces)
		}
	}
	keys := make([]string, 0, 3+2*len(namespaces)+len(writes))
	args := make([]any, 0, 5+len(namespaces)+7*len(writes))
	keys = append(keys, base+"fence", base+"due", base+"ns")
	args = append(args, believed.String(), next.rest(), lease.Milliseconds(), base, len(namespaces))
	for _, ns := range namespaces {
		keys = append(keys, base+"list:"+ns, base+"rows:"+ns)
		args = append(args, ns)
	}
	for _, w := range writes {
		keys = append(keys, base+"v:"+w.member())
		push := len(w.Value)
		if push > maxPush {
			push = diagnostics.HeaderSize
		}
		args = append(args, number[w.Namespace], w.Batch, w.Value, strconv.FormatUint(w.Revision, 10), w.Due, w.Row, push)
	}
	reply, err := s.commit.Run(ctx, s.rdb, keys, args...).Text()
	return fenceReply("commit", p, next, reply, err)
}
