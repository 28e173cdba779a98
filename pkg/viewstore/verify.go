package viewstore

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/redis/go-redis/v9"

	"github.com/headwayhq/headway/pkg/diagnostics"
)

// Look is what Verify checks in one partition: a page of its namespaces and of its views. The zero value is the first page.
type Look struct {
	Partition          int
	Namespaces, Views  string // cursors; "0" once all have been checked
	AlwaysTheseAsWell  []string
	PageSize, NamePage int // default 1024 and 64
}

// Damage is what Verify found in one partition.
type Damage struct {
	Next       Look
	Catalogue  bool            // it doesn't have the counted number of entries
	Due        bool            // the due index doesn't
	Uncovered  bool            // the index of what no checkpoint covers doesn't
	Namespaces bool            // the count of views by namespace doesn't
	Lists      map[string]bool // the list or rows of these namespaces don't
	Views      []Key           // counted but missing, or with another header than in the catalogue
}

// Indexes reports whether more than single views is damaged.
func (d Damage) Indexes() bool {
	return d.Catalogue || d.Due || d.Uncovered || d.Namespaces || len(d.Lists) > 0
}

// Verify checks whether partitions have what their fences count, with one read-only script each, pipelined. A partition
// without a valid fence is skipped.
func (s *Store) Verify(ctx context.Context, looks []Look) ([]Damage, error) {
	partitions := make([]int, len(looks))
	at := map[int]Look{}
	for i, l := range looks {
		partitions[i], at[l.Partition] = l.Partition, l
	}
	cmds, err := s.pipelined(ctx, s.verify, func(p int) ([]string, []any) {
		base, l := s.base(p), at[p]
		args := []any{base, orZero(l.Namespaces), orZero(l.Views), max(l.NamePage, 64), max(l.PageSize, 1024)}
		for _, ns := range l.AlwaysTheseAsWell {
			args = append(args, ns)
		}
		return []string{base + "fence", base + "cat", base + "due", base + "ns", base + "unc"}, args
	}, partitions)
	if err != nil {
		return nil, fmt.Errorf("viewstore: verify: %w", err)
	}
	out := make([]Damage, len(looks))
	for i, c := range cmds {
		found, err := c.StringSlice()
		if err != nil {
			return nil, fmt.Errorf("viewstore: verify p%02d: %w", partitions[i], err)
		}
		out[i] = damage(looks[i], found)
	}
	return out, nil
}

func orZero(cursor string) string {
	if cursor == "" {
		return "0"
	}
	return cursor
}

func damage(l Look, found []string) Damage {
	d := Damage{Next: l, Lists: map[string]bool{}}
	d.Next.Namespaces, d.Next.Views = "0", "0"
	if len(found) < 2 {
		return d
	}
	d.Next.Namespaces, d.Next.Views = found[0], found[1]
	for _, key := range found[2:] {
		switch kind, name, _ := strings.Cut(key, ":"); kind {
		case "cat":
			d.Catalogue = true
		case "due":
			d.Due = true
		case "unc":
			d.Uncovered = true
		case "ns":
			d.Namespaces = true
		case "list", "rows":
			d.Lists[name] = true
		case "v":
			d.Views = append(d.Views, parseMember(name))
		}
	}
	return d
}

// Recatalogue rebuilds a lost catalogue from the lists; ok is false if these don't have the counted number of entries either.
// Errors: ErrFenced.
func (s *Store) Recatalogue(ctx context.Context, p int, believed Fence) (ok bool, err error) {
	base := s.base(p)
	n, err := s.recat.Run(ctx, s.rdb, []string{base + "fence", base + "cat", base + "ns"}, believed.String(), base, diagnostics.HeaderSize).Int()
	return n == 1, refusable("recatalogue", p, err)
}

// Reindex counts the views of each namespace again, and removes the due index, lists and rows that are damaged according to d.
// They have to be refilled by commits of all views. Errors: ErrFenced.
func (s *Store) Reindex(ctx context.Context, p int, believed Fence, d Damage) error {
	base := s.base(p)
	keys := []string{base + "fence", base + "cat", base + "ns"}
	if d.Due {
		keys = append(keys, base+"due")
	}
	for ns := range d.Lists {
		keys = append(keys, base+"list:"+ns, base+"rows:"+ns)
	}
	return refusable("reindex", p, s.reindex.Run(ctx, s.rdb, keys, believed.String()).Err())
}

// Void removes a partition's fence, catalogue and indexes, if they can't be rebuilt from each other. The next
// owner rebuilds them from history and log. The values of the views stay until they are replaced, so that they can be read meanwhile. Errors:
// ErrFenced.
func (s *Store) Void(ctx context.Context, p int, believed Fence) error {
	base := s.base(p)
	keys := []string{base + "fence", base + "cat", base + "due", base + "ns", base + "unc"}
	for _, kind := range []string{"list:", "rows:"} {
		found, err := s.scan(ctx, base+kind+"*")
		if err != nil {
			return fmt.Errorf("viewstore: void p%02d: %w", p, err)
		}
		keys = append(keys, found...)
	}
	return refusable("void", p, s.void.Run(ctx, s.rdb, keys, believed.String()).Err())
}

// Wipe removes everything of a partition, first its fence: it begins from nothing (rule 24). Errors: ErrFenced.
func (s *Store) Wipe(ctx context.Context, p int, believed Fence) error {
	base := s.base(p)
	members, err := s.rdb.HKeys(ctx, base+"cat").Result()
	if err != nil && !redis.HasErrorPrefix(err, "WRONGTYPE") {
		return fmt.Errorf("viewstore: wipe p%02d: %w", p, err)
	}
	if err := s.Void(ctx, p, believed); err != nil {
		return err
	}
	keys := make([]string, 0, 2*len(members))
	for _, m := range members {
		keys = append(keys, base+"v:"+m, base+"p:"+m)
	}
	err = inPages(keys, func(page []string) error {
		return s.versions.remove.Run(ctx, s.rdb, append([]string{base + "fence"}, page...)).Err()
	})
	if errors.Is(err, redis.Nil) { // there is an owner again, who replaces them
		err = nil
	}
	if err != nil {
		return fmt.Errorf("viewstore: wipe p%02d: %w", p, err)
	}
	return nil
}

// scan finds keys by a pattern, on all nodes. It visits every key of the servers.
func (s *Store) scan(ctx context.Context, pattern string) (keys []string, err error) {
	var mu sync.Mutex
	one := func(ctx context.Context, c redis.Cmdable) error {
		it := c.Scan(ctx, 0, pattern, 4096).Iterator()
		for it.Next(ctx) {
			mu.Lock()
			keys = append(keys, it.Val())
			mu.Unlock()
		}
		return it.Err()
	}
	if cluster, ok := s.rdb.(*redis.ClusterClient); ok {
		err = cluster.ForEachMaster(ctx, func(ctx context.Context, c *redis.Client) error { return one(ctx, c) })
		return keys, err
	}
	err = one(ctx, s.rdb)
	return keys, err
}
