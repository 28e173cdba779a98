package viewstore

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"strconv"
	"strings"

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
	verify     *redis.Script
	recat      *redis.Script
	reindex    *redis.Script
	void       *redis.Script
	versions   versionScripts
}

// Open checks the server: it must not evict, since a key dropped in silence would never come back.
func Open(ctx context.Context, o Options) (*Store, error) {
	s := &Store{rdb: o.Client, identity: o.Identity, fold: o.Fold, partitions: o.Partitions}
	for name, script := range map[string]**redis.Script{
		"commit": &s.commit, "claim": &s.claim, "release": &s.release, "due": &s.due,
		"reschedule": &s.reschedule, "rescore": &s.rescore,
		"verify": &s.verify, "recatalogue": &s.recat, "reindex": &s.reindex, "void": &s.void,
	} {
		source, err := sources.ReadFile("lua/" + name + ".lua")
		if err != nil {
			return nil, fmt.Errorf("viewstore: %w", err)
		}
		*script = redis.NewScript(string(source))
	}
	var err error
	if s.versions, err = loadVersionScripts(); err != nil {
		return nil, fmt.Errorf("viewstore: %w", err)
	}
	if err := s.rdb.Ping(ctx).Err(); err != nil {
		return nil, fmt.Errorf("viewstore: open: %w", err)
	}
	server, err := s.Server(ctx)
	if err == nil {
		err = server.Trouble()
	}
	if err != nil {
		return nil, fmt.Errorf("viewstore: open: %w", err)
	}
	return s, nil
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
