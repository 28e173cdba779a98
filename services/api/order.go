package api

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"github.com/tidwall/btree"
)

// The orders of lists.
const (
	newest = "newest" // the newest batch first
	need   = "need"   // stuck, degraded, scaling, ok; newest first within each
)

// needOf is the urgency of a health.
func needOf(health string) int {
	switch health {
	case "stuck":
		return 0
	case "degraded":
		return 1
	case "scaling":
		return 2
	}
	return 3
}

func newestFirst(a, b *row) int {
	if a.ordered != b.ordered {
		return cmp.Compare(b.ordered, a.ordered)
	}
	return strings.Compare(a.batch, b.batch)
}

func needFirst(a, b *row) int {
	if a.need != b.need {
		return cmp.Compare(a.need, b.need)
	}
	return newestFirst(a, b)
}

// order are rows in one order. A copy costs next to nothing, and then each has its own changes.
type order = *btree.BTreeG[*row]

func newOrder(compare func(a, b *row) int) order {
	return btree.NewBTreeGOptions(func(a, b *row) bool { return compare(a, b) < 0 }, btree.Options{NoLocks: true})
}

// listing is what pages are made of: everything at one moment, except that texts may have newer rows.
type listing struct {
	newest, need order
	counts       counts
	texts        *texts
}

func newListing() listing {
	return listing{newest: newOrder(newestFirst), need: newOrder(needFirst), texts: newTexts()}
}

func (l *listing) in(name string) (order, func(a, b *row) int) {
	if name == need {
		return l.need, needFirst
	}
	return l.newest, newestFirst
}

// copy is what readers get.
func (l *listing) copy() *listing {
	return &listing{newest: l.newest.Copy(), need: l.need.Copy(), counts: l.counts, texts: l.texts}
}

// change puts r where old was, or takes old out if the batch was erased.
func (l *listing) change(old, r *row) {
	if old != nil && old.erased {
		old = nil
	}
	switch {
	case !r.erased:
		l.put(old, r)
	case old != nil:
		l.counts.add(old, -1)
		l.newest.Delete(old)
		l.need.Delete(old)
		l.texts.remove(old)
	}
}

// put puts r where old was, or where it now belongs.
func (l *listing) put(old, r *row) {
	if old != nil {
		l.counts.add(old, -1)
		if newestFirst(old, r) != 0 {
			l.newest.Delete(old)
		}
		if needFirst(old, r) != 0 {
			l.need.Delete(old)
		}
	}
	l.counts.add(r, 1)
	l.newest.Set(r)
	l.need.Set(r)
	l.texts.put(old, r)
}

// remove takes r out.
func (l *listing) remove(r *row) {
	l.counts.add(r, -1)
	l.newest.Delete(r)
	l.need.Delete(r)
	l.texts.remove(r)
}

// few is up to how many rows with a text are sorted. More are looked for in their order, where the page is soon full.
const few = 256

// page returns up to limit rows of an order after a place (nil: from the start) for which keep returns true, among those that may
// contain text, "" for all.
func (l *listing) page(name string, after *row, limit int, text string, keep func(*row) bool) (out []*row, more bool) {
	rows, compare := l.in(name)
	var with found
	if text != "" {
		with = l.texts.find(text)
	}
	if text != "" && with.n <= few {
		with.each(func(r *row) {
			if (after == nil || compare(after, r) < 0) && keep(r) {
				out = append(out, r)
			}
		})
		slices.SortFunc(out, compare)
		more = len(out) > limit
		return out[:min(limit, len(out))], more
	}
	take := func(r *row) bool {
		if text != "" && !with.has(r) || after != nil && compare(after, r) >= 0 || !keep(r) {
			return true
		}
		if more = len(out) == limit; !more {
			out = append(out, r)
		}
		return !more
	}
	if after == nil {
		rows.Scan(take)
	} else {
		rows.Ascend(after, take)
	}
	return out, more
}

// counts are the numbers of batches of a namespace with each status and health.
type counts struct {
	total  int
	status [9]int // as statuses
	health [4]int // as healths
}

func (c *counts) add(r *row, by int) {
	c.total += by
	if i := slices.Index(statuses, r.status); i >= 0 {
		c.status[i] += by
	}
	if i := slices.Index(healths, r.health); i >= 0 {
		c.health[i] += by
	}
}

func (c *counts) appendJSON(b []byte) []byte {
	b = strconv.AppendInt(append(b, `{"total":`...), int64(c.total), 10)
	b = appendCounts(append(b, `,"health":{`...), healths, c.health[:])
	b = appendCounts(append(b, `},"status":{`...), statuses, c.status[:])
	return append(b, "}}"...)
}

func appendCounts(b []byte, names []string, n []int) []byte {
	for i, name := range names {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(append(append(b, '"'), name...), `":`...)
		b = strconv.AppendInt(b, int64(n[i]), 10)
	}
	return b
}
