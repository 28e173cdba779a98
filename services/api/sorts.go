package api

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

// sorting is an order by one column. Lists in it are ranked when they are asked for: unlike the two orders that are kept ready,
// it costs a look at each row, which is a few milliseconds for 10,000.
type sorting struct {
	of   func(*row) columnKey
	down bool
}

// columnKey is the value of a row in one column; rows without one come last in either direction.
type columnKey struct {
	None bool   `json:"x,omitempty"`
	N    int64  `json:"n,omitempty"`
	S    string `json:"s,omitempty"`
}

func numberKey(n int64, known bool) columnKey { return columnKey{N: n, None: !known} }
func textKey(s string) columnKey              { return columnKey{S: strings.ToLower(s), None: s == ""} }

// columns are the columns by which lists can be ranked, beside the orders newest and need.
var columns = map[string]func(*row) columnKey{
	"name":     func(r *row) columnKey { return textKey(r.name) },
	"pipeline": func(r *row) columnKey { return textKey(r.pipeline) },
	"owner":    func(r *row) columnKey { return textKey(r.owner) },
	"progress": func(r *row) columnKey { return numberKey(r.progress, true) },
	"started":  func(r *row) columnKey { return numberKey(r.started, r.started != 0) },
	"took":     func(r *row) columnKey { return numberKey(r.took, r.started != 0) },
	"expected": func(r *row) columnKey { return numberKey(r.expected, r.expected != 0) },
}

// sorts are the values of ?sort=.
var sorts = func() []string {
	out := []string{newest, need}
	for _, name := range []string{"name", "pipeline", "owner", "progress", "started", "took", "expected"} {
		out = append(out, name, "-"+name)
	}
	return out
}()

// sortingOf returns the order by a column; nil if it is one of those that are kept ready.
func sortingOf(name string) *sorting {
	column, down := strings.CutPrefix(name, "-")
	if of := columns[column]; of != nil {
		return &sorting{of, down}
	}
	return nil
}

func (s *sorting) compare(a, b *ranked) int {
	switch {
	case a.key.None != b.key.None:
		if a.key.None {
			return 1
		}
		return -1
	case a.key != b.key:
		c := cmp.Or(cmp.Compare(a.key.N, b.key.N), strings.Compare(a.key.S, b.key.S))
		if s.down {
			return -c
		}
		return c
	}
	return newestFirst(a.row, b.row)
}

// ranked is a row with its key, which isn't found anew for each comparison.
type ranked struct {
	key columnKey
	row *row
}

// sort returns up to limit rows after a place (nil: from the start) for which keep returns true.
func (l *listing) sort(by *sorting, after *ranked, limit int, keep func(*row) bool) (out []*row, more bool) {
	var all []ranked
	l.newest.Scan(func(r *row) bool {
		if s := (ranked{by.of(r), r}); keep(r) && (after == nil || by.compare(after, &s) < 0) {
			all = append(all, s)
		}
		return true
	})
	slices.SortFunc(all, func(a, b ranked) int { return by.compare(&a, &b) })
	more = len(all) > limit
	for _, s := range all[:min(limit, len(all))] {
		out = append(out, s.row)
	}
	return out, more
}

// nanoseconds of a time; 0 for none.
func nanoseconds(t *time.Time) int64 {
	if t == nil || t.IsZero() {
		return 0
	}
	return t.UnixNano()
}
