package view

import (
	"cmp"
	"slices"
	"strings"

	"github.com/headwayhq/headway/pkg/diagnostics/internal/crdt"
	"github.com/headwayhq/headway/pkg/diagnostics/internal/event"
)

// Words are the statuses reported within one attempt, each with its first and its last stamp.
type Words []WordMark

// WordMark is a status with the stamps of the first and the last event that reported it.
type WordMark struct {
	Word        event.Word
	First, Last crdt.Stamp
}

// Say adds a report of a status, and returns whether anything changed.
func (w *Words) Say(word event.Word, at crdt.Stamp) bool {
	i, found := slices.BinarySearchFunc(*w, word, func(m WordMark, k event.Word) int { return int(m.Word) - int(k) })
	if !found {
		*w = slices.Insert(*w, i, WordMark{word, at, at})
		return true
	}
	m := &(*w)[i]
	changed := false
	if at.Before(m.First) {
		m.First, changed = at, true
	}
	if m.Last.Before(at) {
		m.Last, changed = at, true
	}
	return changed
}

// Shown is the status that counts: the highest rank, within it the greatest last stamp.
func (w Words) Shown() WordMark {
	var best WordMark
	for _, m := range w {
		c := cmp.Or(cmp.Compare(m.Word.Rank(), best.Word.Rank()), m.Last.Compare(best.Last),
			strings.Compare(m.Word.String(), best.Word.String()))
		if c > 0 {
			best = m
		}
	}
	return best
}

// FirstOf is the earliest stamp of a report of a status with this rank.
func (w Words) FirstOf(r event.Rank) crdt.Stamp {
	var first crdt.Stamp
	for _, m := range w {
		if m.Word.Rank() == r && (first.IsZero() || m.First.Before(first)) {
			first = m.First
		}
	}
	return first
}
