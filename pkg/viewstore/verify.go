package viewstore

import (
	"context"
	"fmt"
	"strings"
	"sync"

	"github.com/redis/go-redis/v9"

	"github.com/headwayhq/headway/pkg/diagnostics"
)

// Look is what Verify looks at in one partition: a page of its namespaces and of its views. The zero value begins.
type Look struct {
	Partition          int
	Namespaces, Views  string // cursors; "0" once all have been looked at
	AlwaysTheseAsWell  []string
	PageSize, NamePage int // default 1024 and 64
}

// Damage is what Verify found in one partition.
type Damage struct {
	Next       Look
	Catalogue  bool            // it doesn't hold what the record counts
	Due        bool            // nor does the due index
	Namespaces bool            // or the count of views by namespace
	Lists      map[string]bool // of these namespaces list or rows don't hold what is counted
	Views      []Key           // counted, but not there, or not with the header that the catalogue has
}

// Indexes tells whether more than single views is damaged.
func (d Damage) Indexes() bool { return d.Catalogue || d.Due || d.Namespaces || len(d.Lists) > 0 }

// Verify looks whether partitions hold what their records count: one read-only script each, pipelined. A partition
// without a record that can be read has nothing to tell.
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
		return []string{base + "fence", base + "cat", base + "due", base + "ns"}, args
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

// Recatalogue makes a lost catalogue anew from the lists; ok is false where these don't hold what is counted either.
// Errors: ErrFenced.
func (s *Store) Recatalogue(ctx context.Context, p int, believed Fence) (ok bool, err error) {
	base := s.base(p)
	n, err := s.recat.Run(ctx, s.rdb, []string{base + "fence", base + "cat", base + "ns"}, believed.String(), base, diagnostics.HeaderSize).Int()
	return n == 1, refusable("recatalogue", p, err)
}

// Reindex counts the views of each namespace anew, and drops what d says is damaged of due index, lists and rows, to be
// filled again by commits of every view there is. Errors: ErrFenced.
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

// Void removes a partition's record, catalogue and indexes, where none of them can be made from the others: its next
// owner makes them anew from the log. The views stay, and are folded onto. Errors: ErrFenced.
func (s *Store) Void(ctx context.Context, p int, believed Fence) error {
	base := s.base(p)
	keys := []string{base + "fence", base + "cat", base + "due", base + "ns"}
	for _, kind := range []string{"list:", "rows:"} {
		found, err := s.scan(ctx, base+kind+"*")
		if err != nil {
			return fmt.Errorf("viewstore: void p%02d: %w", p, err)
		}
		keys = append(keys, found...)
	}
	return refusable("void", p, s.void.Run(ctx, s.rdb, keys, believed.String()).Err())
}

// scan finds keys by a pattern, on all nodes. It walks over all that the servers hold.
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
