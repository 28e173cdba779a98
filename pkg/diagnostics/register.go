package diagnostics

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
)

// value is what a register can hold. Its canonical JSON breaks ties between equal stamps.
type value interface{ canonical() string }

type (
	text     string
	jsonText string
	num      int64
	flag     bool
	word     Word
)

func (t text) canonical() string     { return string(appendString(nil, string(t))) }
func (t jsonText) canonical() string { return string(t) }
func (n num) canonical() string      { return strconv.FormatInt(int64(n), 10) }
func (f flag) canonical() string     { return strconv.FormatBool(bool(f)) }
func (w word) canonical() string     { return Word(w).String() }

type waiting Waiting

func (w waiting) canonical() string {
	b := appendString(nil, w.Kind)
	b = strconv.AppendInt(append(b, ','), w.Since, 10)
	b = append(append(b, ','), w.DemandJSON...)
	b = append(append(b, ','), w.OfferedJSON...)
	b = appendOpt(b, w.NodesPending.Set, num(w.NodesPending.V).canonical())
	b = appendOpt(b, w.Infeasible.Set, flag(w.Infeasible.V).canonical())
	b = appendOpt(b, w.Detail.Set, text(w.Detail.V).canonical())
	return string(b)
}

type announced struct {
	from, to     Health
	reason       string
	asOf         int64
	stuckSeconds float64
}

func (a announced) canonical() string {
	b := append([]byte{byte(a.from), byte(a.to)}, a.reason...)
	b = strconv.AppendInt(append(b, ','), a.asOf, 10)
	return string(strconv.AppendFloat(append(b, ','), a.stuckSeconds, 'g', -1, 64))
}

func appendOpt(b []byte, set bool, canonical string) []byte {
	b = append(b, ',')
	if set {
		b = append(b, canonical...)
	}
	return b
}

// reg is a register for gauges and texts: the value with the greatest stamp, at equal stamps the
// greater by canonical JSON.
type reg[T value] struct {
	v   T
	at  Stamp
	set bool
}

func (r *reg[T]) wants(at Stamp, v T) bool {
	if !r.set {
		return true
	}
	if c := at.compare(r.at); c != 0 {
		return c > 0
	}
	return v.canonical() > r.v.canonical()
}

func (r *reg[T]) put(at Stamp, v T) bool {
	if !r.wants(at, v) {
		return false
	}
	*r = reg[T]{v, at, true}
	return true
}

func (r *reg[T]) join(o reg[T]) bool { return o.set && r.put(o.at, o.v) }

// earliest is the smallest given time, with the smallest stamp that gave it.
type earliest struct {
	t  int64 // 0: not given
	at Stamp
}

func (e *earliest) put(t int64, at Stamp) bool {
	if e.t != 0 && (t > e.t || t == e.t && !at.before(e.at)) {
		return false
	}
	*e = earliest{t, at}
	return true
}

func (e *earliest) join(o earliest) bool { return o.t != 0 && e.put(o.t, o.at) }

// mark is a cumulative counter: its maximum, and the smallest stamp that said it.
type mark struct {
	n   int64
	at  Stamp
	set bool
}

func (m *mark) say(n int64, at Stamp) bool {
	if m.set && (n < m.n || n == m.n && !at.before(m.at)) {
		return false
	}
	*m = mark{n, at, true}
	return true
}

func (m *mark) join(o mark) bool { return o.set && m.say(o.n, o.at) }

// progress is the time of the progress mark, zero if there is none.
func (m *mark) progress() Stamp {
	if m.n > 0 {
		return m.at
	}
	return Stamp{}
}

// words are the status words said within one attempt, each with its first and its last stamp.
type words []wordMark

type wordMark struct {
	word        Word
	first, last Stamp
}

func (w *words) say(word Word, at Stamp) bool {
	i, found := slices.BinarySearchFunc(*w, word, func(m wordMark, k Word) int { return int(m.word) - int(k) })
	if !found {
		*w = slices.Insert(*w, i, wordMark{word, at, at})
		return true
	}
	m := &(*w)[i]
	changed := false
	if at.before(m.first) {
		m.first, changed = at, true
	}
	if m.last.before(at) {
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

type rank uint8

const (
	rankNone rank = iota
	rankPending
	rankProcessing
	rankTerminal
)

func (w Word) rank() rank {
	switch w {
	case WordNone:
		return rankNone
	case WordDraft, WordPending, WordQueued:
		return rankPending
	case WordProcessing, WordInProgress, WordRunning:
		return rankProcessing
	default:
		return rankTerminal
	}
}

// shown is the word that stands: the highest rank, within it the greatest last stamp.
func (w words) shown() wordMark {
	var best wordMark
	for _, m := range w {
		c := cmp.Or(cmp.Compare(m.word.rank(), best.word.rank()), m.last.compare(best.last),
			strings.Compare(m.word.String(), best.word.String()))
		if c > 0 {
			best = m
		}
	}
	return best
}

// firstOf is the earliest stamp at which a word of this rank was said.
func (w words) firstOf(r rank) Stamp {
	var first Stamp
	for _, m := range w {
		if m.word.rank() == r && (first.isZero() || m.first.before(first)) {
			first = m.first
		}
	}
	return first
}

// series keeps, for each time bucket with a word in it, the greatest count said. The bucket width is
// the smallest power of two seconds that leaves at most limit (128, of workers fewer) buckets: coarsening never reveals more
// buckets, so the width depends on the set of words alone.
type series struct {
	shift  uint8 // bucket width is 1<<shift seconds
	points []point
}

type point struct{ bucket, n int64 }

func (s *series) add(t, n int64, limit int) bool {
	return s.put(t/1e9>>s.shift, n, limit)
}

func (s *series) put(bucket, n int64, limit int) bool {
	i := len(s.points)
	if i > 0 && s.points[i-1].bucket >= bucket {
		i, _ = slices.BinarySearchFunc(s.points, bucket, func(p point, b int64) int { return cmp.Compare(p.bucket, b) })
	}
	if i < len(s.points) && s.points[i].bucket == bucket {
		if n <= s.points[i].n {
			return false
		}
		s.points[i].n = n
		return true
	}
	s.points = slices.Insert(s.points, i, point{bucket, n})
	s.fit(limit)
	return true
}

// fit widens the buckets until there are at most limit of them.
func (s *series) fit(limit int) {
	for len(s.points) > limit {
		s.coarsen(s.shift + 1)
	}
}

func (s *series) coarsen(shift uint8) {
	by := shift - s.shift
	s.shift = shift
	kept := s.points[:0]
	for _, p := range s.points {
		p.bucket >>= by
		if k := len(kept); k > 0 && kept[k-1].bucket == p.bucket {
			kept[k-1].n = max(kept[k-1].n, p.n)
			continue
		}
		kept = append(kept, p)
	}
	s.points = kept
}

func (s *series) join(o series, limit int) {
	if o.shift > s.shift {
		s.coarsen(o.shift)
	}
	for _, p := range o.points {
		s.put(p.bucket>>(s.shift-o.shift), p.n, limit)
	}
}

// width is the bucket width in seconds.
func (s *series) width() int64 { return 1 << s.shift }
