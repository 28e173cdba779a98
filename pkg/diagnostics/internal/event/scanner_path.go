package event

import (
	"strconv"
	"strings"
)

// scanSpot is where in the text a key stands, as it was written, without its quotes. Places instead of
// strings keep the garbage collector's write barriers off the path of every key.
type scanSpot struct{ from, to int }

// scanStep is one step of a path: an index, or a key.
type scanStep struct {
	index int // or stepInText, stepGiven
	spot  scanSpot
	key   string
}

const (
	stepInText = -1 // the key is at spot
	stepGiven  = -2 // the key is key
)

func (s *scanner) stepName(step *scanStep) string {
	if step.index == stepGiven {
		return step.key
	}
	return s.unquote(step.spot)
}

// unquote is what a key in the text means.
func (s *scanner) unquote(at scanSpot) string {
	text := s.s[at.from:at.to]
	if strings.IndexByte(text, '\\') < 0 {
		return text
	}
	var b strings.Builder
	for i := 0; i < len(text); {
		if r, n := scanEscape(text[i:]); text[i] == '\\' && n > 0 {
			b.WriteRune(r)
			i += n
			continue
		}
		b.WriteByte(text[i])
		i++
	}
	return b.String()
}

// fail refuses the event for what is at the present path.
func (s *scanner) fail(reason string) { s.failField(s.field(), reason) }

func (s *scanner) failField(field, reason string) {
	if s.rej == nil {
		s.rej = &Rejection{Field: field, Reason: reason}
	}
	s.i = len(s.s)
}

// failMember refuses the event for a member of the object at the present path.
func (s *scanner) failMember(key, reason string) {
	if s.rej != nil {
		return
	}
	s.path[s.level] = scanStep{index: stepGiven, key: key}
	s.level++
	s.fail(reason)
	s.level--
}

func (s *scanner) syntax(what string) { s.fail("isn't valid JSON: " + what + s.where()) }

func (s *scanner) where() string { return " at byte " + strconv.Itoa(s.i) }

// field writes the present path as people write it: data.tiers[3].tier_num.
func (s *scanner) field() string {
	if s.level == 0 {
		return "event"
	}
	return string(s.appendPath(nil, true))
}

// appendPath appends the present path, with or without the indexes of its arrays.
func (s *scanner) appendPath(b []byte, indexed bool) []byte {
	for i := range s.path[:s.level] {
		step := &s.path[i]
		if step.index >= 0 {
			b = append(b, '[')
			if indexed {
				b = strconv.AppendInt(b, int64(step.index), 10)
			}
			b = append(b, ']')
			continue
		}
		key := s.stepName(step)
		switch {
		case !scanPlain(key):
			b = append(append(append(b, '['), scanQuote(key)...), ']')
		case i > 0:
			b = append(append(b, '.'), key...)
		default:
			b = append(b, key...)
		}
	}
	return b
}

func scanPlain(key string) bool {
	for i := range len(key) {
		if c := key[i]; !idByte(c) {
			return false
		}
	}
	return key != "" && len(key) <= 128
}

// scanQuote shows text that somebody else wrote: short, and with nothing in it that could break a log.
func scanQuote(text string) string {
	return strconv.QuoteToASCII(Cut(text, 64))
}

// mismatch says what was expected and what is there.
func (s *scanner) mismatch(expected string) {
	if s.rej != nil {
		return
	}
	var is string
	switch c := s.peek(); {
	case c == '"':
		is = "a string"
	case c == '{':
		is = "an object"
	case c == '[':
		is = "an array"
	case c == '-' || c >= '0' && c <= '9':
		is = "a number"
	case c == 't' || c == 'f':
		is = "a boolean"
	case c == 'n':
		is = "null"
	case s.i >= len(s.s):
		s.syntax("it ends too early")
		return
	default:
		s.syntax("a value is missing")
		return
	}
	s.fail("must be " + expected + ", not " + is)
}
