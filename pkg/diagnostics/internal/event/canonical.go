package event

import (
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Canonical JSON (RFC 8785): no space, members sorted by the UTF-16 units of their keys, numbers as
// ECMAScript writes them, and the fewest escapes. Two texts that mean the same become the same bytes, as
// the tie between equal stamps needs.

// canonMember is a member of an object: its key, and where it stands in scanner.out.
type canonMember struct {
	key        string
	start, end int
}

// envVars is the key under which a job's parameters carry environment variables: their values may be
// secrets, so only their names are kept.
const envVars = "env_vars"

// canonical appends the value that comes next to s.out.
func (s *scanner) canonical(scrub bool) {
	switch c := s.peek(); {
	case c == '{':
		s.canonObject(scrub)
	case c == '[':
		s.canonArray(scrub)
	case c == '"':
		if v, ok := s.str(); ok {
			s.out = AppendString(s.out, v)
		}
	case c == '-' || c >= '0' && c <= '9':
		n, ok := s.number()
		if !ok {
			return
		}
		f, finite := n.float()
		if !finite {
			s.fail("is a number too great to be kept")
			return
		}
		s.out = appendNumber(s.out, f)
	default:
		start := s.i
		s.skip()
		if s.rej == nil {
			s.out = append(s.out, s.s[start:s.i]...)
		}
	}
}

func (s *scanner) canonArray(scrub bool) {
	if !s.openArray() {
		return
	}
	s.out = append(s.out, '[')
	for s.item() {
		if s.path[s.level-1].index > 0 {
			s.out = append(s.out, ',')
		}
		s.canonical(scrub)
	}
	s.out = append(s.out, ']')
}

func (s *scanner) canonObject(scrub bool) int {
	var o scanObject
	if !s.openObject(&o) {
		return 0
	}
	s.out = append(s.out, '{')
	begin, base := len(s.out), len(s.members)
	for key, more := s.next(&o); more; key, more = s.next(&o) {
		start := len(s.out)
		s.out = append(AppendString(s.out, key), ':')
		if scrub && key == envVars {
			s.canonEnvironment()
		} else {
			s.canonical(scrub)
		}
		s.out = append(s.out, ',')
		s.members = append(s.members, canonMember{key, start, len(s.out)})
	}
	count := len(s.members) - base
	s.canonSort(begin, s.members[base:])
	clear(s.members[base:])
	s.members = s.members[:base]
	if count > 0 {
		s.out = s.out[:len(s.out)-1] // the last comma
	}
	s.out = append(s.out, '}')
	return count
}

// canonSort puts the members, each written with its comma from begin on, in the order of their keys.
func (s *scanner) canonSort(begin int, members []canonMember) {
	byKey := func(a, b canonMember) int { return compareUTF16(a.key, b.key) }
	if s.rej != nil || slices.IsSortedFunc(members, byKey) {
		return
	}
	slices.SortFunc(members, byKey)
	s.spare = append(s.spare[:0], s.out[begin:]...)
	s.out = s.out[:begin]
	for _, m := range members {
		s.out = append(s.out, s.spare[m.start-begin:m.end-begin]...)
	}
}

// canonEnvironment writes the sorted names of environment variables, given as an object or as an array of
// names (and of "name=value"). Of anything else nothing is kept: it could be a secret.
func (s *scanner) canonEnvironment() {
	s.env = s.env[:0]
	switch s.peek() {
	case '{':
		var o scanObject
		if s.openObject(&o) {
			for key, more := s.next(&o); more; key, more = s.next(&o) {
				s.envName(key)
				s.skip()
			}
		}
	case '[':
		if s.openArray() {
			for s.item() {
				if s.peek() != '"' {
					s.skip()
				} else if name, ok := s.str(); ok {
					s.envName(name)
				}
			}
		}
	default:
		s.skip()
	}
	slices.SortFunc(s.env, compareUTF16)
	s.out = append(s.out, '[')
	for i, name := range slices.Compact(s.env) {
		if i > 0 {
			s.out = append(s.out, ',')
		}
		s.out = AppendString(s.out, name)
	}
	s.out = append(s.out, ']')
	clear(s.env)
}

func (s *scanner) envName(text string) {
	name, _, _ := strings.Cut(text, "=")
	s.env = append(s.env, name)
}

// appendNumber appends a finite number as ECMAScript writes it.
func appendNumber(dst []byte, f float64) []byte {
	if f == 0 {
		return append(dst, '0') // also for -0
	}
	if abs := math.Abs(f); abs >= 1e-6 && abs < 1e21 {
		return strconv.AppendFloat(dst, f, 'f', -1, 64)
	}
	dst = strconv.AppendFloat(dst, f, 'e', -1, 64)
	if n := len(dst); dst[n-2] == '0' && (dst[n-3] == '-' || dst[n-3] == '+') { // e-07 is e-7
		dst[n-2] = dst[n-1]
		dst = dst[:n-1]
	}
	return dst
}

// compareUTF16 orders strings by their UTF-16 units. That is the order of their bytes, but for characters
// beyond the basic plane: their surrogates sort below U+E000–U+FFFF.
func compareUTF16(a, b string) int {
	i, n := 0, min(len(a), len(b))
	for i < n && a[i] == b[i] {
		i++
	}
	if i == n || a[i] < utf8.RuneSelf || b[i] < utf8.RuneSelf {
		return strings.Compare(a, b)
	}
	for i > 0 && !utf8.RuneStart(a[i]) {
		i--
	}
	ra, _ := utf8.DecodeRuneInString(a[i:])
	rb, _ := utf8.DecodeRuneInString(b[i:])
	switch {
	case ra >= 0x10000 && rb >= 0xE000 && rb < 0x10000:
		return -1
	case rb >= 0x10000 && ra >= 0xE000 && ra < 0x10000:
		return 1
	}
	return strings.Compare(a, b)
}
