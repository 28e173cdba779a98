package viewstore

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

//go:embed lua/*.lua
var sources embed.FS

// ErrFenced: the partition's record isn't the one that the worker believes in. Whatever it holds of the
// partition is void: cache, position and unsent views.
var ErrFenced = errors.New("fenced")

// Limits of one commit, so that no script holds Redis for long: at both it is 28 ms. The worker splits there, since
// only it knows where a commit may end. More views are refused, more bytes aren't: one view may be larger, and
// a refusal would halt its partition for ever.
const (
	MaxCommitViews = 512
	MaxCommitBytes = 8 << 20
)

// maxPush is the largest stored value that is pushed whole; of a larger one only the header is.
const maxPush = 64 << 10

// Options of a Store.
type Options struct {
	Client     redis.UniversalClient // with MaxRetries −1: a repeated commit is decided here
	Identity   string                // of the stream
	Fold       int
	Partitions int
}

// Store is the view store of one stream identity and fold version.
type Store struct {
	rdb        redis.UniversalClient
	identity   string
	fold       int
	partitions int
	commit     *redis.Script
	claim      *redis.Script
	release    *redis.Script
	due        *redis.Script
	reschedule *redis.Script
	rescore    *redis.Script
	join       *redis.Script
}

// Open checks the server: it must not evict, since a key dropped in silence would never come back.
func Open(ctx context.Context, o Options) (*Store, error) {
	s := &Store{rdb: o.Client, identity: o.Identity, fold: o.Fold, partitions: o.Partitions}
	for name, script := range map[string]**redis.Script{
		"commit": &s.commit, "claim": &s.claim, "release": &s.release, "due": &s.due,
		"reschedule": &s.reschedule, "rescore": &s.rescore, "join": &s.join,
	} {
		source, err := sources.ReadFile("lua/" + name + ".lua")
		if err != nil {
			return nil, fmt.Errorf("viewstore: %w", err)
		}
		*script = redis.NewScript(string(source))
	}
	if err := s.rdb.Ping(ctx).Err(); err != nil {
		return nil, fmt.Errorf("viewstore: open: %w", err)
	}
	limit, policy := s.eviction(ctx)
	if limit != "0" && policy != "" && policy != "noeviction" {
		return nil, fmt.Errorf("viewstore: maxmemory-policy is %s, must be noeviction: Redis would drop views in silence", policy)
	}
	return s, nil
}

// eviction asks for the memory limit and what happens there; hosted servers refuse CONFIG but answer INFO. Empty is
// what neither tells, as of the in-memory stand-in.
func (s *Store) eviction(ctx context.Context) (limit, policy string) {
	if config, err := s.rdb.ConfigGet(ctx, "maxmemory*").Result(); err == nil {
		return config["maxmemory"], config["maxmemory-policy"]
	}
	info, err := s.rdb.Info(ctx, "memory").Result()
	if err != nil {
		return "", ""
	}
	for line := range strings.Lines(info) {
		switch name, value, _ := strings.Cut(strings.TrimSpace(line), ":"); name {
		case "maxmemory":
			limit = value
		case "maxmemory_policy":
			policy = value
		}
	}
	return limit, policy
}

// WithIdentity is the store of another stream identity, on the same server.
func (s *Store) WithIdentity(identity string) *Store {
	c := *s
	c.identity = identity
	return &c
}

// Identity of the stream whose views these are.
func (s *Store) Identity() string { return s.identity }

// Fold is the fold version whose views these are.
func (s *Store) Fold() int { return s.fold }

// Partitions is how many partitions there are.
func (s *Store) Partitions() int { return s.partitions }

// RevisionID names a revision beyond this stream and fold: <identity>-<fold>-<sequence>.
func (s *Store) RevisionID(revision uint64) string {
	return s.identity + "-" + strconv.Itoa(s.fold) + "-" + strconv.FormatUint(revision, 10)
}

// Key names a batch.
type Key struct{ Namespace, Batch string }

func (k Key) member() string { return k.Namespace + ":" + k.Batch }

func parseMember(m string) Key {
	ns, batch, _ := strings.Cut(m, ":")
	return Key{ns, batch}
}

func (s *Store) base(p int) string {
	return fmt.Sprintf("hw:{p%02d}:%s-%d:", p, s.identity, s.fold)
}

// Fence reads a partition's record; nil where there is none.
func (s *Store) Fence(ctx context.Context, p int) (*Fence, error) {
	v, err := s.rdb.Get(ctx, s.base(p)+"fence").Result()
	if errors.Is(err, redis.Nil) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("viewstore: fence p%02d: %w", p, err)
	}
	f, err := ParseFence(v)
	return &f, err
}

// Fences reads all records, pipelined; nil where there is none.
func (s *Store) Fences(ctx context.Context) ([]*Fence, error) {
	cmds, err := s.rdb.Pipelined(ctx, func(pipe redis.Pipeliner) error {
		for p := range s.partitions {
			pipe.Get(ctx, s.base(p)+"fence")
		}
		return nil
	})
	if err != nil && !errors.Is(err, redis.Nil) {
		return nil, fmt.Errorf("viewstore: fences: %w", err)
	}
	out := make([]*Fence, s.partitions)
	for p, c := range cmds {
		v, err := c.(*redis.StringCmd).Result()
		if errors.Is(err, redis.Nil) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("viewstore: fences: p%02d: %w", p, err)
		}
		f, err := ParseFence(v)
		if err != nil {
			return nil, err
		}
		out[p] = &f
	}
	return out, nil
}

// Load reads views together with the record, in one atomic read (rule 3). With believed set, a record that
// differs is ErrFenced. A value is nil where there is none; the record is nil where there is none.
func (s *Store) Load(ctx context.Context, p int, believed *Fence, keys []Key) (*Fence, [][]byte, error) {
	base := s.base(p)
	names := make([]string, 1, len(keys)+1)
	names[0] = base + "fence"
	for _, k := range keys {
		names = append(names, base+"v:"+k.member())
	}
	values, err := s.rdb.MGet(ctx, names...).Result()
	if err != nil {
		return nil, nil, fmt.Errorf("viewstore: load p%02d: %w", p, err)
	}
	record, has := values[0].(string)
	if believed != nil && record != believed.String() {
		return nil, nil, fmt.Errorf("viewstore: load p%02d: %w", p, ErrFenced)
	}
	var f *Fence
	if has {
		parsed, err := ParseFence(record)
		if err != nil {
			return nil, nil, err
		}
		f = &parsed
	}
	out := make([][]byte, len(keys))
	for i, v := range values[1:] {
		if text, ok := v.(string); ok {
			out[i] = []byte(text)
		}
	}
	return f, out, nil
}

// Claim takes a partition whose lease has passed or that has no record. seen is the record as read before
// (nil: none); next carries the new token. Errors: ErrFenced.
func (s *Store) Claim(ctx context.Context, p int, seen *Fence, next Fence, lease time.Duration) (Fence, error) {
	old := ""
	if seen != nil {
		old = seen.String()
	}
	return s.record(ctx, "claim", p, s.claim, old, next, lease)
}

// Release gives a partition back at once. Errors: ErrFenced.
func (s *Store) Release(ctx context.Context, p int, believed Fence) error {
	_, err := s.record(ctx, "release", p, s.release, believed.String(), believed, 0)
	return err
}

func (s *Store) record(ctx context.Context, what string, p int, script *redis.Script, old string, next Fence, lease time.Duration) (Fence, error) {
	reply, err := script.Run(ctx, s.rdb, []string{s.base(p) + "fence"}, old, next.rest(), lease.Milliseconds()).Text()
	return fenceReply(what, p, next, reply, err)
}

// fenceReply reads a script's answer: the lease it gave, or nothing where it refused.
func fenceReply(what string, p int, next Fence, reply string, err error) (Fence, error) {
	if errors.Is(err, redis.Nil) {
		return Fence{}, fmt.Errorf("viewstore: %s p%02d: %w", what, p, ErrFenced)
	}
	if err != nil {
		return Fence{}, fmt.Errorf("viewstore: %s p%02d: %w", what, p, err)
	}
	if next.LeaseUntil, err = strconv.ParseInt(reply, 10, 64); err != nil {
		return Fence{}, fmt.Errorf("viewstore: %s p%02d: %w", what, p, err)
	}
	return next, nil
}
