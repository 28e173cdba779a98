package event

import (
	"math/bits"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

const (
	scanOnes  = 0x0101010101010101
	scanHighs = 0x80 * scanOnes
)

// scanSpan returns where, from i on, the first byte is that a string can't simply contain: a quote, a
// backslash or a control character. It looks at eight bytes at a time.
func scanSpan(text string, i int) int {
	for ; i+8 <= len(text); i += 8 {
		b := text[i : i+8]
		w := uint64(b[0]) | uint64(b[1])<<8 | uint64(b[2])<<16 | uint64(b[3])<<24 |
			uint64(b[4])<<32 | uint64(b[5])<<40 | uint64(b[6])<<48 | uint64(b[7])<<56
		quote, slash := w^('"'*scanOnes), w^('\\'*scanOnes)
		// The lowest of the high bits left is right; a borrow can only falsify those above it.
		hit := ((quote-scanOnes)&^quote | (slash-scanOnes)&^slash | (w-' '*scanOnes)&^w) & scanHighs
		if hit != 0 {
			return i + bits.TrailingZeros64(hit)>>3
		}
	}
	for i < len(text) && text[i] != '"' && text[i] != '\\' && text[i] >= ' ' {
		i++
	}
	return i
}

// str reads a string that begins here.
func (s *scanner) str() (string, bool) {
	start := s.i + 1
	i := scanSpan(s.s, start)
	if i < len(s.s) && s.s[i] == '"' && !s.dirty {
		s.i = i + 1
		return s.s[start:i], true
	}
	return s.escaped(start, i)
}

// clean finds the string that made the whole text invalid.
func (s *scanner) clean(v string) (string, bool) {
	if s.dirty && !utf8.ValidString(v) {
		s.fail("isn't valid UTF-8")
		return "", false
	}
	return v, true
}

// escaped goes on with a string that begins at start and has its first special byte at i.
func (s *scanner) escaped(start, i int) (string, bool) {
	text, from := s.s, start
	var b strings.Builder
	for ; i < len(text); i = scanSpan(text, i) {
		switch text[i] {
		case '"':
			s.i = i + 1
			if from == start {
				return s.clean(text[start:i])
			}
			b.WriteString(text[from:i])
			return s.clean(b.String())
		case '\\':
			b.WriteString(text[from:i])
			r, n := scanEscape(text[i:])
			if n == 0 {
				s.i = i
				s.syntax("a bad escape in a string")
				return "", false
			}
			if r < 0 {
				s.fail("isn't valid UTF-8: it escapes half of a surrogate pair")
				return "", false
			}
			b.WriteRune(r)
			i += n
			from = i
		default:
			s.i = i
			s.syntax("an unescaped control character in a string")
			return "", false
		}
	}
	s.i = len(text)
	s.syntax("a string without an end")
	return "", false
}

// scanEscape reads the escape at the beginning of text and its length: 0 if it is none, a rune < 0 if it
// is a surrogate without its partner.
func scanEscape(text string) (r rune, n int) {
	if len(text) < 2 {
		return 0, 0
	}
	switch text[1] {
	case '"', '\\', '/':
		return rune(text[1]), 2
	case 'b':
		return '\b', 2
	case 'f':
		return '\f', 2
	case 'n':
		return '\n', 2
	case 'r':
		return '\r', 2
	case 't':
		return '\t', 2
	case 'u':
	default:
		return 0, 0
	}
	r, ok := scanHex4(text[2:])
	if !ok {
		return 0, 0
	}
	if !utf16.IsSurrogate(r) {
		return r, 6
	}
	if len(text) < 8 || text[6] != '\\' || text[7] != 'u' {
		return -1, 6
	}
	low, ok := scanHex4(text[8:])
	if !ok {
		return 0, 0
	}
	if r = utf16.DecodeRune(r, low); r == utf8.RuneError {
		return -1, 6
	}
	return r, 12
}

func scanHex4(text string) (r rune, ok bool) {
	if len(text) < 4 {
		return 0, false
	}
	for i := range 4 {
		c := text[i]
		switch {
		case c >= '0' && c <= '9':
			c -= '0'
		case c >= 'a' && c <= 'f':
			c -= 'a' - 10
		case c >= 'A' && c <= 'F':
			c -= 'A' - 10
		default:
			return 0, false
		}
		r = r<<4 | rune(c)
	}
	return r, true
}

// scanNumber is a number as it was written. Its digits are known where they are few enough.
type scanNumber struct {
	text     string
	abs      uint64 // of a whole number of at most 19 digits
	negative bool
	whole    bool // written without fraction and exponent
	long     bool // more than 19 digits: abs means nothing
}

// number reads a number that begins here.
func (s *scanner) number() (n scanNumber, ok bool) {
	text, start := s.s, s.i
	i := start
	if text[i] == '-' {
		n.negative = true
		i++
	}
	first := i
	for i < len(text) && text[i]-'0' < 10 {
		n.abs = n.abs*10 + uint64(text[i]-'0')
		i++
	}
	if i == first || text[first] == '0' && i > first+1 {
		s.syntax("a malformed number")
		return n, false
	}
	n.whole, n.long = true, i-first > 19
	if i < len(text) && text[i] == '.' {
		n.whole = false
		if i, ok = scanDigits(text, i+1); !ok {
			s.syntax("a malformed number")
			return n, false
		}
	}
	if i < len(text) && text[i]|0x20 == 'e' {
		n.whole = false
		i++
		if i < len(text) && (text[i] == '+' || text[i] == '-') {
			i++
		}
		if i, ok = scanDigits(text, i); !ok {
			s.syntax("a malformed number")
			return n, false
		}
	}
	s.i = i
	n.text = text[start:i]
	return n, true
}

// reduce makes an integer of a number that was written with a fraction or an exponent, as 5000.0 and 1e3 are; false where it
// is none. It counts digits, so that nothing is rounded.
func (n *scanNumber) reduce() bool {
	mantissa, exponent := n.text, 0
	if i := strings.IndexAny(mantissa, "eE"); i >= 0 {
		var err error
		if exponent, err = strconv.Atoi(mantissa[i+1:]); err != nil || max(exponent, -exponent) > 1<<20 {
			exponent = 1 << 20 // farther than any digits reach, and its sign stands in the text
			if mantissa[i+1] == '-' {
				exponent = -exponent
			}
		}
		mantissa = mantissa[:i]
	}
	mantissa = strings.TrimPrefix(mantissa, "-")
	whole, fraction, _ := strings.Cut(mantissa, ".")
	digits := strings.TrimLeft(whole+fraction, "0")
	n.abs, n.long = 0, false
	if digits == "" {
		return true
	}
	exponent -= len(fraction)
	significant := strings.TrimRight(digits, "0")
	exponent += len(digits) - len(significant)
	if exponent < 0 {
		return false
	}
	if n.long = len(significant)+exponent > 19; n.long {
		return true
	}
	for i := range len(significant) + exponent {
		n.abs *= 10
		if i < len(significant) {
			n.abs += uint64(significant[i] - '0')
		}
	}
	return true
}

func scanDigits(text string, i int) (end int, ok bool) {
	start := i
	for i < len(text) && text[i]-'0' < 10 {
		i++
	}
	return i, i > start
}

// float is the number's double, false where it is none.
func (n *scanNumber) float() (float64, bool) {
	if n.whole && !n.long && n.abs <= decMaxCount {
		f := float64(n.abs)
		if n.negative && f != 0 { // there is no -0 for us
			f = -f
		}
		return f, true
	}
	f, err := strconv.ParseFloat(n.text, 64)
	if f == 0 {
		f = 0
	}
	return f, err == nil
}
