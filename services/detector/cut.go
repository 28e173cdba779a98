package detector

import (
	"encoding/json"
	"fmt"
	"unicode/utf8"

	"github.com/headwayhq/headway/pkg/diagnostics"
)

// An announcement has at most maxEvent bytes, whatever the producers sent. This is far below the limit of NATS, and small enough
// for consumers that read all announcements. All limits count encoded bytes; together they leave 6 KiB for the names of fields,
// numbers, moments and ids, which are limited by the rules for events.
const (
	maxEvent   = 32 << 10
	maxText    = 4 << 10 // blocked_reason, waiting_on.detail
	maxJSON    = 4 << 10 // waiting_on.demand, waiting_on.offered
	maxDepth   = 8       // of those two: events may be nested 32 deep, and evidence is nested deeper than the event from which it comes
	maxIDs     = 8
	maxID      = 1 << 10
	maxWord    = 256
	maxBaseURL = 1 << 10
)

// cutEvidence is evidence within the limits.
func cutEvidence(e diagnostics.Evidence) diagnostics.Evidence {
	e.Signal = cut(e.Signal, maxWord)
	e.RayJobID = cutOptional(e.RayJobID, maxWord)
	ids := make([]string, min(len(e.EventIDs), maxIDs))
	for i := range ids {
		ids[i] = cut(e.EventIDs[i], maxID)
	}
	e.EventIDs = ids
	if e.WaitingOn != nil {
		w := *e.WaitingOn
		w.Kind = cut(w.Kind, maxWord)
		w.Demand, w.Offered = cutJSON(w.Demand), cutJSON(w.Offered)
		w.Detail = cutOptional(w.Detail, maxText)
		e.WaitingOn = &w
	}
	return e
}

func cutOptional(s *string, limit int) *string {
	if s == nil {
		return nil
	}
	c := cut(*s, limit)
	return &c
}

const ellipsis = "…"

// cut is s, or as much of its beginning as fits into limit bytes of a JSON string with an ellipsis.
func cut(s string, limit int) string {
	size, end := 0, 0
	for i, r := range s {
		if size <= limit-len(ellipsis) {
			end = i
		}
		if size += encodedSize(r); size > limit {
			return s[:end] + ellipsis
		}
	}
	return s
}

// encodedSize is how many bytes a character takes in a JSON string, or more.
func encodedSize(r rune) int {
	switch {
	case r < ' ', r == utf8.RuneError, r == '\u2028', r == '\u2029':
		return 6
	case r == '"', r == '\\':
		return 2
	}
	return utf8.RuneLen(r)
}

// cutJSON returns a JSON value, or the size of one that is too large or too deep.
func cutJSON(v json.RawMessage) json.RawMessage {
	if len(v) <= maxJSON && depth(v) <= maxDepth {
		return v
	}
	return fmt.Appendf(nil, `{"bytes":%d,"truncated":true}`, len(v))
}

// depth is how deep a JSON value is nested.
func depth(v []byte) (deepest int) {
	now, text := 0, false
	for i := 0; i < len(v); i++ {
		switch c := v[i]; {
		case text && c == '\\':
			i++
		case c == '"':
			text = !text
		case text:
		case c == '{', c == '[':
			now++
			deepest = max(deepest, now)
		case c == '}', c == ']':
			now--
		}
	}
	return deepest
}
