package event

import (
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// scanMaxDepth is how deeply the data of an event may be nested.
const scanMaxDepth = 32

// scanFewKeys is up to how many keys of an object each new one is compared with those before it; beyond,
// they are sorted once at its end, so that an object of 100,000 keys costs no square of that.
const scanFewKeys = 32

// scanner reads one JSON text from the front to the back, and stops for good at the first thing that is
// refused. It knows at each moment the path it is at, which costs two stores a key and names the field
// of every refusal. Its methods return substrings of the text; only what has escapes is copied.
type scanner struct {
	s     string
	i     int
	dirty bool // s isn't valid UTF-8: the string that has the bad bytes is still to be found
	rej   *Rejection
	maxNS int64 // no time may be later

	level int // open containers, of which data's own are those after the first
	path  [scanMaxDepth + 2]scanStep
	keys  []scanSpot // of the open objects, one frame after the other
	names []string   // of one object's keys, where they have to be sorted

	strays []string // names of the fields that nobody reads, as Decoder.Unknown gives them

	out     []byte // canonical JSON in the making
	spare   []byte
	members []canonMember
	env     []string
}

func (s *scanner) reset(text string, maxNS int64) {
	s.s, s.i, s.rej, s.maxNS, s.level = text, 0, nil, maxNS, 0
	s.dirty = !utf8.ValidString(text)
	s.keys, s.out, s.strays = s.keys[:0], s.out[:0], nil
	if cap(s.out) > 1<<16 {
		s.out, s.spare, s.members, s.env = nil, nil, nil, nil
	}
}

// peek skips white space and returns the byte there, 0 at the end.
func (s *scanner) peek() byte {
	if s.i < len(s.s) && s.s[s.i] > ' ' {
		return s.s[s.i]
	}
	return s.peekOn()
}

func (s *scanner) peekOn() byte {
	for s.i < len(s.s) {
		c := s.s[s.i]
		if c != ' ' && c != '\n' && c != '\t' && c != '\r' {
			return c
		}
		s.i++
	}
	return 0
}

// end expects that nothing follows.
func (s *scanner) end() {
	if s.peek() != 0 || s.i < len(s.s) {
		s.failField("event", "isn't valid JSON: more follows its end"+s.where())
	}
}

// scanObject is the state of reading one object.
type scanObject struct {
	base    int    // where its keys begin in scanner.keys
	mask    uint64 // hashes of its keys: a clear bit proves a key new
	begun   bool
	escaped bool // a key has escapes: all have to be compared by what they mean
}

func (s *scanner) enter() bool {
	if s.level > scanMaxDepth {
		s.fail("is nested deeper than " + strconv.Itoa(scanMaxDepth) + " levels")
		return false
	}
	s.i++
	s.level++
	return true
}

func (s *scanner) openObject(o *scanObject) bool {
	if s.peek() != '{' {
		s.mismatch("an object")
		return false
	}
	*o = scanObject{base: len(s.keys)}
	if !s.enter() {
		return false
	}
	s.path[s.level-1].index = stepInText
	return true
}

// next goes to the object's next value and returns its key; more is false at the end and after a refusal.
func (s *scanner) next(o *scanObject) (key string, more bool) {
	// Nearly always there is no white space, and no escape in the key.
	text, i := s.s, s.i
	if o.begun && i < len(text) && text[i] == ',' {
		i++
	} else if o.begun {
		return s.nextSlowly(o)
	}
	if i < len(text) && text[i] == '"' && !s.dirty {
		at := scanSpot{i + 1, scanSpan(text, i+1)}
		if at.to+1 < len(text) && text[at.to] == '"' && text[at.to+1] == ':' {
			s.i = at.to + 2
			s.path[s.level-1].spot = at
			o.begun = true
			key = text[at.from:at.to]
			return key, s.once(o, key, at)
		}
	}
	return s.nextSlowly(o)
}

func (s *scanner) nextSlowly(o *scanObject) (key string, more bool) {
	c := s.peek()
	switch {
	case c == ',' && o.begun:
		s.i++
		c = s.peek()
	case c == '}':
		s.i++
		s.closeObject(o)
		return "", false
	case s.rej != nil || o.begun:
		s.outside("a comma or the end of the object is missing")
		return "", false
	}
	o.begun = true
	if c != '"' {
		s.outside("a key is missing")
		return "", false
	}
	from := s.i + 1
	s.level-- // a key that is no string is the object's fault
	key, ok := s.str()
	s.level++
	if !ok {
		return "", false
	}
	at := scanSpot{from, s.i - 1}
	s.path[s.level-1].spot = at
	if !s.once(o, key, at) {
		return "", false
	}
	if s.i < len(s.s) && s.s[s.i] == ':' {
		s.i++
		return key, true
	}
	if s.peek() != ':' {
		s.outside("a colon is missing")
		return "", false
	}
	s.i++
	return key, true
}

// outside reports a fault of the container itself, not of the value read last.
func (s *scanner) outside(what string) {
	s.level--
	s.syntax(what)
	s.level++
}

// once checks that a key is new to its object, as far as that is cheap; closeObject does the rest.
func (s *scanner) once(o *scanObject, key string, at scanSpot) bool {
	h := len(key) * 7
	if len(key) > 0 {
		h += int(key[0])*31 + int(key[len(key)-1])*5 + int(key[len(key)/2])
	}
	bit := uint64(1) << (h & 63)
	o.escaped = o.escaped || len(key) != at.to-at.from
	if o.mask&bit != 0 && !o.escaped && len(s.keys)-o.base < scanFewKeys {
		for _, before := range s.keys[o.base:] {
			if s.s[before.from:before.to] == key {
				s.fail("is given twice")
				return false
			}
		}
	}
	o.mask |= bit
	s.keys = append(s.keys, at)
	return true
}

func (s *scanner) closeObject(o *scanObject) {
	if frame := s.keys[o.base:]; len(frame) > scanFewKeys || o.escaped {
		s.names = s.names[:0]
		for _, at := range frame {
			s.names = append(s.names, s.unquote(at))
		}
		slices.Sort(s.names)
		for i, name := range s.names[1:] {
			if name == s.names[i] {
				s.level--
				s.failMember(strings.Clone(name), "is given twice")
				s.level++
				break
			}
		}
		clear(s.names)
	}
	s.keys = s.keys[:o.base]
	s.level--
}

func (s *scanner) openArray() bool {
	if s.peek() != '[' {
		s.mismatch("an array")
		return false
	}
	if !s.enter() {
		return false
	}
	s.path[s.level-1].index = stepInText
	return true
}

// item goes to the array's next value; false at the end and after a refusal.
func (s *scanner) item() bool {
	step := &s.path[s.level-1]
	c := s.peek()
	if c == ']' {
		s.i++
		s.level--
		return false
	}
	if s.rej != nil {
		return false
	}
	if step.index >= 0 {
		if c != ',' {
			s.outside("a comma or the end of the array is missing")
			return false
		}
		s.i++
		if s.peek() == ']' {
			s.outside("a value is missing")
			return false
		}
	}
	step.index++
	return true
}

// itemUpTo is item with a limit on how many there may be.
func (s *scanner) itemUpTo(limit int, what string) bool {
	if !s.item() {
		return false
	}
	if s.path[s.level-1].index >= limit {
		s.level--
		s.fail("has more than " + strconv.Itoa(limit) + " " + what)
		s.level++
		return false
	}
	return true
}

// skip reads a value that nobody asked for: it still has to be JSON as ours is.
func (s *scanner) skip() {
	switch c := s.peek(); {
	case c == '"':
		s.str()
	case c == '{':
		var o scanObject
		if s.openObject(&o) {
			for _, more := s.next(&o); more; _, more = s.next(&o) {
				s.skip()
			}
		}
	case c == '[':
		if s.openArray() {
			for s.item() {
				s.skip()
			}
		}
	case c == '-' || c >= '0' && c <= '9':
		s.number()
	case c == 't':
		s.literal("true")
	case c == 'f':
		s.literal("false")
	case c == 'n':
		s.literal("null")
	default:
		s.mismatch("a value")
	}
}

func (s *scanner) literal(word string) bool {
	if !strings.HasPrefix(s.s[s.i:], word) {
		s.syntax("an unknown word")
		return false
	}
	s.i += len(word)
	return true
}
