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

// ErrFenced: the partition's fence isn't the one that the worker expects. Everything that it has of the
// partition is void: cache, position and unsent views.
var ErrFenced = errors.New("fenced")

// Limits of one commit, so that no script blocks Redis for long: at both limits it takes 28 ms. The worker splits there, because
// only it knows where a commit may end. More views are refused. More bytes aren't, because a single view may be larger, and
// a refusal would stop its partition for good.
const (
	MaxCommitViews = 512
	MaxCommitBytes = 8 << 20
)

// maxPush is the largest stored value that is pushed as a whole; for a larger one only the header is pushed.
const maxPush = 64 << 10

// Options of a Store.
type Options struct {
	Client     redis.UniversalClient // with MaxRetries −1, because this package decides whether a commit is repeated
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
	drop       *redis.Script
	uncover    *redis.Script
	covered    *redis.Script
	versions   versionScripts
}

// Open checks that the server doesn't evict, because silently dropped keys would make answers wrong.
func Open(ctx context.Context, o Options) (*Store, error) {
	s := &Store{rdb: o.Client, identity: o.Identity, fold: o.Fold, partitions: o.Partitions}
	for name, script := range map[string]**redis.Script{
		"commit": &s.commit, "claim": &s.claim, "release": &s.release, "due": &s.due,
		"reschedule": &s.reschedule, "rescore": &s.rescore,
		"verify": &s.verify, "recatalogue": &s.recat, "reindex": &s.reindex, "void": &s.void,
		"drop": &s.drop, "uncover": &s.uncover, "covered": &s.covered,
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

// WithIdentity returns the store of another stream identity, on the same server.
func (s *Store) WithIdentity(identity string) *Store {
	c := *s
	c.identity = identity
	return &c
}

// Identity is the stream identity of the views.
func (s *Store) Identity() string { return s.identity }

// Fold is the fold version of the views.
func (s *Store) Fold() int { return s.fold }

// Partitions is how many partitions there are.
func (s *Store) Partitions() int { return s.partitions }

// RevisionID is the globally unique id of a revision: <identity>-<fold>-<sequence>.
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
