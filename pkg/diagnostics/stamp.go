package diagnostics

import (
	"cmp"
	"strings"
)

func later(to *Stamp, s Stamp) {
	if to.before(s) {
		*to = s
	}
}

// Stamp orders what events say of one field: by time, then source, then id.
type Stamp struct {
	Time   int64 // when the fact became true, nanoseconds since 1970 UTC
	Source string
	ID     string
}

// span widens the first and last word of something by at.
func span(first *Stamp, last *int64, at Stamp) bool {
	changed := false
	if first.isZero() || at.before(*first) {
		*first, changed = at, true
	}
	if at.Time > *last {
		*last, changed = at.Time, true
	}
	return changed
}

func joinSpan(first *Stamp, last *int64, oFirst Stamp, oLast int64) {
	if !oFirst.isZero() {
		span(first, last, oFirst)
	}
	*last = max(*last, oLast)
}

// before orders stamps: by time, then source, then id.
func (s Stamp) before(o Stamp) bool { return s.compare(o) < 0 }

func (s Stamp) compare(o Stamp) int {
	if s.Time != o.Time {
		return cmp.Compare(s.Time, o.Time)
	}
	return cmp.Or(strings.Compare(s.Source, o.Source), strings.Compare(s.ID, o.ID))
}

func (s Stamp) isZero() bool { return s.Time == 0 }

// clone detaches a stamp from the message that its strings alias.
func (s Stamp) clone() Stamp {
	both := s.Source + s.ID
	return Stamp{s.Time, both[:len(s.Source)], both[len(s.Source):]}
}
