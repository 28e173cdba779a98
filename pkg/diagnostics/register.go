package diagnostics

// value is what a register can hold. Its canonical JSON breaks ties between equal stamps.
type value interface{ canonical() string }

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

func (r reg[T]) get() (T, bool) { return r.v, r.set }
