package viewstore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// Version names the views of one fold version and one stream identity. Versions share nothing except the Redis.
type Version struct {
	Identity string
	Fold     int
}

func (v Version) String() string { return v.Identity + "-" + strconv.Itoa(v.Fold) }

func parseVersion(s string) (Version, error) {
	i := strings.LastIndexByte(s, '-')
	fold, err := strconv.Atoi(s[i+1:])
	if i < 0 || err != nil {
		return Version{}, fmt.Errorf("viewstore: not a version: %q", s)
	}
	return Version{s[:i], fold}, nil
}

// Version is the version of this store's views.
func (s *Store) Version() Version { return Version{s.identity, s.fold} }

// WithFold is the store of another fold version, on the same server.
func (s *Store) WithFold(fold int) *Store {
	c := *s
	c.fold = fold
	return &c
}

// Of is the store of a known version, on the same server.
func (s *Store) Of(k KnownVersion) *Store {
	c := *s
	c.identity, c.fold, c.partitions = k.Identity, k.Fold, k.Partitions
	return &c
}

// versionScripts are the scripts that concern whole versions.
type versionScripts struct {
	join, heartbeat, serve, retire, remove, forget *redis.Script
}

func loadVersionScripts() (v versionScripts, err error) {
	for name, script := range map[string]**redis.Script{
		"join": &v.join, "heartbeat": &v.heartbeat, "serve": &v.serve, "retire": &v.retire, "remove": &v.remove, "forget": &v.forget,
	} {
		source, err := sources.ReadFile("lua/" + name + ".lua")
		if err != nil {
			return v, err
		}
		*script = redis.NewScript(string(source))
	}
	return v, nil
}

// Serving says which fold version of a stream identity serves: its verdicts are announced, and its views are read.
type Serving struct {
	Fold    int // 0: none serves yet
	Highest int // the newest version that has served; only a newer one takes over by itself

	text string // as stored
}

// Yields reports whether fold may take over by itself. A version that an operator has left may not.
func (v Serving) Yields(fold int) bool { return fold > v.Highest }

func (s *Store) servingKey() string { return "hw:serving:" + s.identity }

// Serving reads which fold version of this identity serves. A value that can't be parsed counts as none, so that the
// next complete version replaces it.
func (s *Store) Serving(ctx context.Context) (Serving, error) {
	text, err := s.rdb.Get(ctx, s.servingKey()).Result()
	if err != nil && !errors.Is(err, redis.Nil) {
		return Serving{}, fmt.Errorf("viewstore: serving: %w", err)
	}
	return parseServing(text), nil
}

// Serves reports whether this store's fold version is the one that serves.
func (s *Store) Serves(ctx context.Context) (bool, error) {
	v, err := s.Serving(ctx)
	return err == nil && v.Fold == s.fold, err
}

func parseServing(text string) Serving {
	v := Serving{text: text}
	first, second, _ := strings.Cut(text, " ")
	fold, err1 := strconv.Atoi(first)
	highest, err2 := strconv.Atoi(second)
	if err1 == nil && err2 == nil {
		v.Fold, v.Highest = fold, highest
	}
	return v
}

// Serve makes this store's fold version the one that serves, if the stored value still equals seen, and returns the
// new value. It is safe to repeat it with the same seen after a lost reply: it changes nothing more.
func (s *Store) Serve(ctx context.Context, seen Serving) (Serving, error) {
	next := strconv.Itoa(s.fold) + " " + strconv.Itoa(max(s.fold, seen.Highest))
	text, err := s.versions.serve.Run(ctx, s.rdb, []string{s.servingKey()}, seen.text, next).Text()
	if err != nil {
		return Serving{}, fmt.Errorf("viewstore: serve: %w", err)
	}
	return parseServing(text), nil
}

// Cursors are the cursors of all partitions, 0 where there is no fence.
func Cursors(fences []*Fence) []uint64 {
	out := make([]uint64, len(fences))
	for p, f := range fences {
		if f != nil {
			out[p] = f.Cursor
		}
	}
	return out
}

// Covers reports whether all partitions are complete and none is behind cursors.
func Covers(fences []*Fence, cursors []uint64) bool {
	for p, f := range fences {
		if f == nil || !f.Complete || p < len(cursors) && f.Cursor < cursors[p] {
			return false
		}
	}
	return true
}

// versionsKey has the last heartbeat of each version, and its number of partitions.
const versionsKey = "hw:versions"

// KnownVersion is what is known of a version.
type KnownVersion struct {
	Version
	Partitions int
	Heartbeat  time.Time // by the store's clock
	Members    int       // that are alive
	Serving    bool

	text string // as stored
}

// Versions lists all known versions on this Redis, also those of other Headways, and the store's time.
func (s *Store) Versions(ctx context.Context) (all []KnownVersion, now time.Time, err error) {
	fields, err := s.rdb.HGetAll(ctx, versionsKey).Result()
	if err == nil {
		now, err = s.rdb.Time(ctx).Result()
	}
	if err != nil {
		return nil, now, fmt.Errorf("viewstore: versions: %w", err)
	}
	for name, text := range fields {
		v, err := parseVersion(name)
		var ms int64
		k := KnownVersion{Version: v, text: text}
		if _, scan := fmt.Sscanf(text, "%d %d", &ms, &k.Partitions); err != nil || scan != nil {
			continue // not an entry of ours
		}
		k.Heartbeat = time.UnixMilli(ms)
		all = append(all, k)
	}
	slices.SortFunc(all, func(a, b KnownVersion) int {
		return cmp.Or(cmp.Compare(a.Identity, b.Identity), cmp.Compare(a.Fold, b.Fold))
	})
	members, serving := make([]*redis.IntCmd, len(all)), make([]*redis.StringCmd, len(all))
	_, err = s.rdb.Pipelined(ctx, func(pipe redis.Pipeliner) error {
		for i, k := range all {
			of := s.Of(k)
			members[i] = pipe.ZCount(ctx, of.membersKey(), "("+strconv.FormatInt(now.UnixMilli(), 10), "+inf")
			serving[i] = pipe.Get(ctx, of.servingKey())
		}
		return nil
	})
	if err != nil && !errors.Is(err, redis.Nil) {
		return nil, now, fmt.Errorf("viewstore: versions: %w", err)
	}
	for i := range all {
		all[i].Members = int(members[i].Val())
		all[i].Serving = parseServing(serving[i].Val()).Fold == all[i].Fold
	}
	return all, now, nil
}

// Outdated are the versions without a heartbeat for keep. The serving version of an identity is excepted if any version of
// that identity had one: readers may still need it while the next one is being built.
func Outdated(all []KnownVersion, now time.Time, keep time.Duration) (out []KnownVersion) {
	heard := map[string]bool{}
	old := func(k KnownVersion) bool { return now.Sub(k.Heartbeat) > keep && k.Members == 0 }
	for _, k := range all {
		heard[k.Identity] = heard[k.Identity] || !old(k)
	}
	for _, k := range all {
		if old(k) && !(k.Serving && heard[k.Identity]) {
			out = append(out, k)
		}
	}
	return out
}
