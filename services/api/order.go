package api

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
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

// sorted are rows in one order.
type sorted struct {
	compare func(a, b *row) int
	rows    []*row
}

// place puts r where old was, or where it now belongs.
func (s *sorted) place(old, r *row) {
	if old != nil {
		if i, found := slices.BinarySearchFunc(s.rows, old, s.compare); found {
			if s.compare(old, r) == 0 {
				s.rows[i] = r
				return
			}
			s.rows = slices.Delete(s.rows, i, i+1)
		}
	}
	i, _ := slices.BinarySearchFunc(s.rows, r, s.compare)
	s.rows = slices.Insert(s.rows, i, r)
}

// after is the index of the first row after a place; nil is the start.
func (s *sorted) after(p *row) int {
	if p == nil {
		return 0
	}
	i, found := slices.BinarySearchFunc(s.rows, p, s.compare)
	if found {
		i++
	}
	return i
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
