package crdt

import (
	"cmp"
	"strings"
)

// Stamp orders the values that events have for one field: by time, then source, then id.
type Stamp struct {
	Time   int64 // when the fact became true, nanoseconds since 1970 UTC
	Source string
	ID     string
}

// Widen extends the span between the first and the last event to at.
func Widen(first *Stamp, last *int64, at Stamp) bool {
	changed := false
	if first.IsZero() || at.Before(*first) {
		*first, changed = at, true
	}
	if at.Time > *last {
		*last, changed = at.Time, true
	}
	return changed
}

// JoinSpan widens a span by another.
func JoinSpan(first *Stamp, last *int64, oFirst Stamp, oLast int64) {
	if !oFirst.IsZero() {
		Widen(first, last, oFirst)
	}
	*last = max(*last, oLast)
}

// Before orders stamps: by time, then source, then id.
func (s Stamp) Before(o Stamp) bool { return s.Compare(o) < 0 }

// Compare orders stamps as Before does.
func (s Stamp) Compare(o Stamp) int {
	if s.Time != o.Time {
		return cmp.Compare(s.Time, o.Time)
	}
	return cmp.Or(strings.Compare(s.Source, o.Source), strings.Compare(s.ID, o.ID))
}

// IsZero reports that there is no value: no event happened in 1970.
func (s Stamp) IsZero() bool { return s.Time == 0 }

// Length is the length of the texts of a stamp.
func (s Stamp) Length() int { return len(s.Source) + len(s.ID) }

// Detach frees a stamp from the message that its strings alias.
func (s Stamp) Detach() Stamp {
	both := s.Source + s.ID
	return Stamp{s.Time, both[:len(s.Source)], both[len(s.Source):]}
}

// Later moves a stamp forward to another, if that is later.
func Later(to *Stamp, s Stamp) {
	if to.Before(s) {
		*to = s
	}
}
