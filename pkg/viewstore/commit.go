package viewstore

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/headwayhq/headway/pkg/diagnostics"
)

// Write is one changed view of a commit.
type Write struct {
	Key
	Value    []byte // stored value
	Revision uint64
	Due      int64  // ms since 1970, rounded up; 0: no check is due
	Row      []byte // list row; nil: unchanged, which one that is new never is
}

// DamagedError: a key of the partition doesn't hold what its record counts, or has another type. Nothing was written.
type DamagedError struct{ Key string }

func (e DamagedError) Error() string { return e.Key + " doesn't hold what the fence counts" }

// Commit writes views, catalogue, indexes and the new record, and pushes what changed: one atomic step, refused with
// ErrFenced unless the record is the one believed in. Without writes it is a heartbeat. Repeating the very
// same commit after a lost reply is safe: once it was done, it answers as done. At most MaxCommitViews
// views; it is for the caller to end a commit at MaxCommitBytes. Errors: ErrFenced, DamagedError.
func (s *Store) Commit(ctx context.Context, p int, believed, next Fence, lease time.Duration, writes []Write) (Fence, error) {
	return s.write(ctx, p, believed, next, lease, writes, "")
}

// Refill is Commit while due index, lists and rows are being filled again after Reindex: they may hold less than is
// counted. Errors: ErrFenced, DamagedError.
func (s *Store) Refill(ctx context.Context, p int, believed, next Fence, lease time.Duration, writes []Write) (Fence, error) {
	return s.write(ctx, p, believed, next, lease, writes, "mending")
}

func (s *Store) write(ctx context.Context, p int, believed, next Fence, lease time.Duration, writes []Write, mode string) (Fence, error) {
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
	keys := make([]string, 0, 4+2*len(namespaces)+len(writes))
	args := make([]any, 0, 7+len(namespaces)+7*len(writes))
	keys = append(keys, base+"fence", base+"cat", base+"due", base+"ns")
	args = append(args, believed.String(), next.rest(), lease.Milliseconds(), base, diagnostics.HeaderSize, mode, len(namespaces))
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
		args = append(args, number[w.Namespace], w.Batch, w.Value, strconv.FormatUint(w.Revision, 10), score(w.Due), w.Row, push)
	}
	reply, err := s.commit.Run(ctx, s.rdb, keys, args...).Slice()
	if redis.HasErrorPrefix(err, "DAMAGED") {
		_, key, _ := strings.Cut(err.Error(), " ")
		err = DamagedError{Key: strings.TrimPrefix(key, base)}
	}
	return fenceReply("commit", p, next, reply, err)
}

// score is a moment of the due index. Every view has an entry, so that entries can be counted.
func score(ms int64) string {
	if ms == 0 {
		return "+inf"
	}
	return strconv.FormatInt(ms, 10)
}
