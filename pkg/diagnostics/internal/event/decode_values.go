package event

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// The readers of single values. Each begins at a value whose path is set, and leaves what it fills alone
// where the value is null: absent.

func (s *scanner) isNull() bool { return s.peek() == 'n' && s.literal("null") }

// need reads a string that may not be null.
func (s *scanner) need() (string, bool) {
	if s.peek() != '"' {
		s.mismatch("a string")
		return "", false
	}
	return s.str()
}

func (s *scanner) optText(o *Opt[string]) { s.optLongText(o, decTextCut) }

// optLongText reads a text of which at most so many characters are kept.
func (s *scanner) optLongText(o *Opt[string], most int) {
	if s.isNull() {
		return
	}
	if v, ok := s.need(); ok {
		*o = Opt[string]{Cut(v, most), true}
	}
}

// optName reads a text that names something: what finds it again, or tells it from others.
func (s *scanner) optName(o *Opt[string]) {
	if s.optText(o); o.Set {
		s.named(o.V)
	}
}

// named refuses a name with NUL in it, which ends a string for much of what names pass through. Other control
// characters stay, as in any text: they are escaped where people see them.
func (s *scanner) named(v string) bool {
	if strings.IndexByte(v, 0) < 0 {
		return true
	}
	s.fail("is a name, and has the character NUL")
	return false
}

// keyName reads a name that is part of a key.
func (s *scanner) keyName(v *string, has *bool) {
	s.keyText(v, has)
	s.named(*v)
}

// optKeyName is keyName for a field whose absence is told apart.
func (s *scanner) optKeyName(o *Opt[string]) { s.keyName(&o.V, &o.Set) }

// keyText reads a text that is part of a key; has tells whether it was given.
func (s *scanner) keyText(v *string, has *bool) {
	if s.isNull() {
		return
	}
	if text, ok := s.need(); ok {
		*v = Cut(text, decKeyCut)
		if has != nil {
			*has = true
		}
	}
}

// worker reads whose counters an event has. One that is too long is refused, not cut: cut, two could become one.
func (s *scanner) worker(v *string) {
	if s.isNull() {
		return
	}
	text, ok := s.need()
	if ok && utf8.RuneCountInString(text) > decMaxWorker {
		s.fail("has more than 128 characters")
		return
	}
	if s.named(text) {
		*v = text
	}
}

// foreignID writes an id of any system as ours.
func (s *scanner) foreignID(v string) string {
	id, ok := EncodeID(v)
	if !ok {
		s.fail(idRule)
	}
	return id
}

func (s *scanner) id(v *string) {
	if s.isNull() {
		return
	}
	if text, ok := s.need(); ok {
		*v = s.foreignID(text)
	}
}

// optOriginalID reads an id that stands in no subject: it is kept as its own system writes it.
func (s *scanner) optOriginalID(o *Opt[string]) {
	var v string
	if s.id(&v); v != "" {
		*o = Opt[string]{DecodeID(v), true}
	}
}

func (s *scanner) optBool(o *Opt[bool]) {
	switch s.peek() {
	case 't':
		if s.literal("true") {
			*o = Opt[bool]{true, true}
		}
	case 'f':
		if s.literal("false") {
			*o = Opt[bool]{false, true}
		}
	case 'n':
		s.literal("null")
	default:
		s.mismatch("a boolean")
	}
}

// needNumber reads a number that may not be null.
func (s *scanner) needNumber(expected string) (scanNumber, bool) {
	if c := s.peek(); c != '-' && c-'0' > 9 {
		s.mismatch(expected)
		return scanNumber{}, false
	}
	return s.number()
}

// digits reads an integer the way nearly all are written: few digits, and what follows ends the value.
func (s *scanner) digits() (v int64, ok bool) {
	text, i := s.s, s.i
	for ; i < len(text) && text[i]-'0' < 10; i++ {
		v = v*10 + int64(text[i]-'0')
	}
	n := i - s.i
	if n == 0 || n > 15 || text[s.i] == '0' && n > 1 || i == len(text) {
		return 0, false
	}
	if c := text[i]; c != ',' && c != '}' && c != ']' {
		return 0, false
	}
	s.i = i
	return v, true
}

// whole reads an integer of the given range.
func (s *scanner) whole(least, most int64) (int64, bool) {
	if v, ok := s.digits(); ok {
		return v, s.within(v, least, most)
	}
	n, ok := s.needNumber("an integer")
	if !ok {
		return 0, false
	}
	if !n.whole && !n.reduce() {
		s.fail("must be an integer, not " + scanQuote(n.text))
		return 0, false
	}
	v := int64(n.abs)
	if n.long || n.abs > decMaxCount {
		v = decMaxCount + 1
	}
	if n.negative {
		v = -v
	}
	return v, s.within(v, least, most)
}

func (s *scanner) within(v, least, most int64) bool {
	switch {
	case v >= least && v <= most:
		return true
	case v < least && least == 0:
		s.fail("must not be negative")
	case v < least:
		s.fail("must be at least " + strconv.FormatInt(least, 10))
	case most == decMaxCount:
		s.fail("is above 2^53")
	default:
		s.fail("must be at most " + strconv.FormatInt(most, 10))
	}
	return false
}

func (s *scanner) optWhole(o *Opt[int64], least, most int64) {
	if s.isNull() {
		return
	}
	if v, ok := s.whole(least, most); ok {
		*o = Opt[int64]{v, true}
	}
}

func (s *scanner) optCount(o *Opt[int64]) { s.optWhole(o, 0, decMaxCount) }

func (s *scanner) optSmall(o *Opt[int32], least, most int64) {
	if s.isNull() {
		return
	}
	if v, ok := s.whole(least, most); ok {
		*o = Opt[int32]{int32(v), true}
	}
}

func (s *scanner) optTierNum(o *Opt[int32]) { s.optSmall(o, 0, decMaxTierNum) }
func (s *scanner) optAttempt(o *Opt[int32]) { s.optSmall(o, 1, decMaxAttempt) }

// amount reads a number that is finite and not negative.
func (s *scanner) amount() (float64, bool) {
	n, ok := s.needNumber("a number")
	if !ok {
		return 0, false
	}
	f, finite := n.float()
	switch {
	case !finite:
		s.fail("must be finite")
	case f < 0:
		s.fail("must not be negative")
	default:
		return f, true
	}
	return 0, false
}

func (s *scanner) optAmount(o *Opt[float64]) {
	if s.isNull() {
		return
	}
	if v, ok := s.amount(); ok {
		*o = Opt[float64]{v, true}
	}
}

func (s *scanner) optTime(o *Opt[int64]) {
	if s.isNull() {
		return
	}
	text, ok := s.need()
	if !ok {
		return
	}
	if ns := s.instant(text); ns != 0 {
		*o = Opt[int64]{ns, true}
	}
}

// instant reads a time and checks that it can be true: nanoseconds since 1970, 0 when refused.
func (s *scanner) instant(text string) int64 {
	sec, nsec, ok := parseTime(text)
	switch {
	case !ok:
		s.fail("is not an RFC 3339 time: " + scanQuote(text))
	case sec < decEarliest:
		s.fail("is before the year 2000")
	case sec >= 1<<63/1_000_000_000 || sec*1_000_000_000+nsec > s.maxNS:
		s.fail("is more than 5 minutes after the event was stored")
	default:
		return sec*1_000_000_000 + nsec
	}
	return 0
}

// parseTime reads an RFC 3339 time. Digits beyond nanoseconds are dropped.
func parseTime(t string) (sec, nsec int64, ok bool) {
	if len(t) < len("2006-01-02T15:04:05Z") || t[4] != '-' || t[7] != '-' || t[10]|0x20 != 't' ||
		t[13] != ':' || t[16] != ':' {
		return 0, 0, false
	}
	century, year := timePair(t, 0), timePair(t, 2)
	month, day := timePair(t, 5), timePair(t, 8)
	hour, minute, second := timePair(t, 11), timePair(t, 14), timePair(t, 17)
	// A pair that isn't two digits is 100 or more. A leap second is the second after it.
	if century > 99 || year > 99 || hour > 23 || minute > 59 || second > 60 || month < 1 || month > 12 {
		return 0, 0, false
	}
	year += century * 100
	if day < 1 || day > monthDays(year, month) {
		return 0, 0, false
	}
	rest := t[19:]
	if rest[0] == '.' {
		i, scale := 1, int64(100_000_000)
		for ; i < len(rest) && rest[i]-'0' < 10; i++ {
			nsec += int64(rest[i]-'0') * scale
			scale /= 10
		}
		if i == 1 || i == len(rest) {
			return 0, 0, false
		}
		rest = rest[i:]
	}
	offset := int64(0)
	switch {
	case len(rest) == 1 && rest[0]|0x20 == 'z':
	case len(rest) == 6 && (rest[0] == '+' || rest[0] == '-') && rest[3] == ':':
		h, m := timePair(rest, 1), timePair(rest, 4)
		if h > 23 || m > 59 {
			return 0, 0, false
		}
		if offset = int64(h*3600 + m*60); rest[0] == '-' {
			offset = -offset
		}
	default:
		return 0, 0, false
	}
	return unixDay(year, month, day)*86_400 + int64(hour*3600+minute*60+second) - offset, nsec, true
}

// unixDay counts the days since 1970-01-01. The year begins in March, so that the leap day is its last.
func unixDay(year, month, day int) int64 {
	if month += 9; month >= 12 {
		month -= 12
	} else {
		year--
	}
	dayOfYear := (153*month+2)/5 + day - 1
	return int64(365*year+year/4-year/100+year/400+dayOfYear) - 719_468
}

func timePair(t string, i int) int {
	a, b := t[i]-'0', t[i+1]-'0'
	if a > 9 || b > 9 {
		return 1000
	}
	return int(a)*10 + int(b)
}

func monthDays(year, month int) int {
	switch month {
	case 4, 6, 9, 11:
		return 30
	case 2:
		if year%4 == 0 && (year%100 != 0 || year%400 == 0) {
			return 29
		}
		return 28
	}
	return 31
}

// status reads a status word out of those that the type knows.
func (s *scanner) status(w *Word, allowed wordSet) {
	if s.isNull() {
		return
	}
	text, ok := s.need()
	if !ok {
		return
	}
	for i := WordDraft; i < wordCount; i++ {
		if allowed&(1<<i) != 0 && sameWord(text, wordNames[i]) {
			*w = i
			return
		}
	}
	s.fail("is an unknown status: " + scanQuote(text))
}

// sameWord compares a text with a word of capitals, in which case doesn't matter.
func sameWord(text, word string) bool {
	if text == word {
		return true
	}
	if len(text) != len(word) {
		return false
	}
	for i := range len(text) {
		c := text[i]
		if c >= 'a' && c <= 'z' {
			c -= 'a' - 'A'
		}
		if c != word[i] {
			return false
		}
	}
	return true
}
