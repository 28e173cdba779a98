package diagnostics

import (
	"cmp"
	"slices"
	"strings"

	"github.com/headwayhq/headway/pkg/diagnostics/internal/crdt"
	"github.com/headwayhq/headway/pkg/diagnostics/internal/event"
)

// words are the status words said within one attempt, each with its first and its last stamp.
type words []wordMark

type wordMark struct {
	word        event.Word
	first, last crdt.Stamp
}

func (w *words) say(word event.Word, at crdt.Stamp) bool {
	i, found := slices.BinarySearchFunc(*w, word, func(m wordMark, k event.Word) int { return int(m.word) - int(k) })
	if !found {
		*w = slices.Insert(*w, i, wordMark{word, at, at})
		return true
	}
	m := &(*w)[i]
	changed := false
	if at.Before(m.first) {
		m.first, changed = at, true
	}
	if m.last.Before(at) {
		m.last, changed = at, true
	}
	return changed
}

func (w *words) join(o words) {
	for _, m := range o {
		w.say(m.word, m.first)
		w.say(m.word, m.last)
	}
}

// shown is the word that stands: the highest rank, within it the greatest last stamp.
func (w words) shown() wordMark {
	var best wordMark
	for _, m := range w {
		c := cmp.Or(cmp.Compare(m.word.Rank(), best.word.Rank()), m.last.Compare(best.last),
			strings.Compare(m.word.String(), best.word.String()))
		if c > 0 {
			best = m
		}
	}
	return best
}

// firstOf is the earliest stamp at which a word of this rank was said.
func (w words) firstOf(r event.Rank) crdt.Stamp {
	var first crdt.Stamp
	for _, m := range w {
		if m.word.Rank() == r && (first.IsZero() || m.first.Before(first)) {
			first = m.first
		}
	}
	return first
}
