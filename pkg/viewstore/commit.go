package viewstore

import (
	"context"
	"crypto/rand"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/headwayhq/headway/internal/seeded"
	"github.com/headwayhq/headway/pkg/diagnostics"
)

// Write is one changed view of a commit.
type Write struct {
	Key
	Value    []byte             // stored value; header and core of a view whose parts are stored apart
	Parts    []diagnostics.Part // those that changed, if the parts are stored apart
	Apart    Apart
	Revision uint64
	Due      int64  // ms since 1970, rounded up; 0: no check is due
	Row      []byte // list row; nil if unchanged (a new view always has one)
}

// Mark says from which sequence on no checkpoint covers a batch; 0: one covers all of it.
type Mark struct {
	Key
	From uint64
}

// Bytes is how many bytes of the view are written.
func (w *Write) Bytes() int {
	n := len(w.Value)
	for _, p := range w.Parts {
		n += len(p.Value)
	}
	return n
}

// Apart is how the parts of a view are written.
type Apart struct {
	Is     bool // they are stored apart
	All    bool // all of them are written; what was stored before is dropped
	Before int  // otherwise: how many are stored
}

// DamagedError: a key of the partition doesn't have the counted number of entries, or has another type. Nothing was written.
type DamagedError struct{ Key string }

func (e DamagedError) Error() string { return e.Key + " doesn't hold what the fence counts" }

// Commit writes views, catalogue, indexes and the new fence, and pushes what changed, in one atomic step. It is refused with
// ErrFenced unless the stored fence equals believed. Without writes it is a heartbeat. After a lost reply it is safe to repeat
// exactly the same commit: if the first attempt succeeded, the second reports success. At most MaxCommitViews
// views; the caller has to end a commit at MaxCommitBytes. Errors: ErrFenced, DamagedError.
func (s *Store) Commit(ctx context.Context, p int, believed, next Fence, lease time.Duration, writes []Write, marks ...Mark) (Fence, error) {
	return s.write(ctx, p, believed, next, lease, writes, marks, "")
}

// Refill is Commit while due index, lists and rows are being refilled after Reindex: they may have fewer entries than the fence
// counts. Errors: ErrFenced, DamagedError.
func (s *Store) Refill(ctx context.Context, p int, believed, next Fence, lease time.Duration, writes []Write, marks ...Mark) (Fence, error) {
	return s.write(ctx, p, believed, next, lease, writes, marks, "refill")
}

func (s *Store) write(ctx context.Context, p int, believed, next Fence, lease time.Duration, writes []Write, marks []Mark, mode string) (Fence, error) {
	if len(writes) > MaxCommitViews {
		return Fence{}, fmt.Errorf("viewstore: commit p%02d: %d views, at most %d", p, len(writes), MaxCommitViews)
	}
	if seeded.Bug("no-compare-and-set") {
		if f, err := s.Fence(ctx, p); err == nil && f != nil {
			believed = *f
			next.Token, next.Cursor, next.CursorTime = f.Token, max(f.Cursor, next.Cursor), max(f.CursorTime, next.CursorTime)
		}
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
	keys := make([]string, 0, 5+2*len(namespaces)+len(writes))
	args := make([]any, 0, 8+len(namespaces)+10*len(writes)+2*len(marks))
	keys = append(keys, base+"fence", base+"cat", base+"due", base+"ns", base+"unc")
	args = append(args, believed.String(), next.rest(), lease.Milliseconds(), base, diagnostics.HeaderSize, mode, len(namespaces), len(marks))
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
		value, staged := w.Value, ""
		if len(value) >= stageFrom {
			var err error
			if staged, err = s.stage(ctx, base, value); err != nil {
				return Fence{}, fmt.Errorf("viewstore: commit p%02d: %w", p, err)
			}
			value = value[:diagnostics.HeaderSize]
		}
		before, parts, err := s.parts(ctx, base, &w)
		if err != nil {
			return Fence{}, fmt.Errorf("viewstore: commit p%02d: %w", p, err)
		}
		if w.Apart.Is {
			push = diagnostics.HeaderSize // a reader needs the parts too
		}
		args = append(args, number[w.Namespace], w.Batch, value, strconv.FormatUint(w.Revision, 10), score(w.Due), w.Row, push, staged, before, parts)
	}
	for i := range writes {
		if w := &writes[i]; !w.stagesParts() {
			for _, part := range w.Parts {
				args = append(args, part.Key, part.Value)
			}
		}
	}
	for _, m := range marks {
		args = append(args, m.member(), strconv.FormatUint(m.From, 10))
	}
	reply, err := s.commit.Run(ctx, s.rdb, keys, args...).Slice()
	if redis.HasErrorPrefix(err, "DAMAGED") {
		_, key, _ := strings.Cut(err.Error(), " ")
		err = DamagedError{Key: strings.TrimPrefix(key, base)}
	}
	return fenceReply("commit", p, next, reply, err)
}

// score is the score of an entry of the due index. Every view has an entry, so that entries can be counted.
func score(ms int64) string {
	if ms == 0 {
		return "+inf"
	}
	return strconv.FormatInt(ms, 10)
}

// stageFrom is the size from which on a value is sent before its commit, which then only renames it. A script would block Redis
// while it copies the value several times, but while Redis receives a value it serves other requests.
const stageFrom = 1 << 20

// stagesParts reports whether the parts are sent before the commit. Only a whole set of them can be.
func (w *Write) stagesParts() bool {
	return w.Apart.All && w.Bytes() >= stageFrom
}

// parts are two arguments of a commit: how many parts are stored before it (empty if none are stored apart, "all" if they are replaced), and how
// many follow, or the name of the key that has them already.
func (s *Store) parts(ctx context.Context, base string, w *Write) (before, parts string, err error) {
	switch {
	case !w.Apart.Is:
		return "", "", nil
	case !w.Apart.All:
		return strconv.Itoa(w.Apart.Before), strconv.Itoa(len(w.Parts)), nil
	case !w.stagesParts():
		return "all", strconv.Itoa(len(w.Parts)), nil
	}
	key := base + "stage:" + rand.Text()
	_, err = s.rdb.Pipelined(ctx, func(pipe redis.Pipeliner) error {
		for i, p := range w.Parts {
			pipe.HSet(ctx, key, p.Key, p.Value)
			if i == 0 {
				pipe.PExpire(ctx, key, time.Minute)
			}
		}
		return nil
	})
	return "all", key, err
}

// stage sends a value before its commit, under a unique name. If no commit renames it, the key expires.
func (s *Store) stage(ctx context.Context, base string, value []byte) (key string, err error) {
	key = base + "stage:" + rand.Text()
	if err := s.rdb.Set(ctx, key, value, time.Minute).Err(); err != nil {
		return "", err
	}
	return key, nil
}
