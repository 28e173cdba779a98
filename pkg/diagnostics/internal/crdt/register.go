package crdt

// Value is what a register can hold. Its canonical JSON breaks ties between equal stamps.
type Value interface{ Canonical() string }

// Register is a last-writer-wins register, for gauges and texts: it holds the value with the greatest stamp, at equal
// stamps the greater by canonical JSON.
type Register[T Value] struct {
	V   T
	At  Stamp
	Set bool
}

// Wants reports whether Put would change the register.
func (r *Register[T]) Wants(at Stamp, v T) bool {
	if !r.Set {
		return true
	}
	if c := at.Compare(r.At); c != 0 {
		return c > 0
	}
	return v.Canonical() > r.V.Canonical()
}

// Put offers a value, and reports whether the register took it.
func (r *Register[T]) Put(at Stamp, v T) bool {
	if !r.Wants(at, v) {
		return false
	}
	*r = Register[T]{v, at, true}
	return true
}

// Join puts what another register holds.
func (r *Register[T]) Join(o Register[T]) bool { return o.Set && r.Put(o.At, o.V) }

// Sized is a value with a variable length.
type Sized interface {
	Value
	Length() int
}

// Measured is a register of texts. Most is the greatest length of any text ever offered. Budgets count this instead of the present
// length, which can differ for another order of messages until all have arrived.
type Measured[T Sized] struct {
	Register[T]
	Most int32
}

// Hear records a value's length, and returns by how much it exceeds the greatest one before.
func (m *Measured[T]) Hear(v T) (by int) {
	if by = v.Length() - int(m.Most); by <= 0 {
		return 0
	}
	m.Most += int32(by)
	return by
}

// Join puts what another register holds.
func (m *Measured[T]) Join(o Measured[T]) bool {
	m.Most = max(m.Most, o.Most)
	return m.Register.Join(o.Register)
}

// Earliest is the smallest given time, with the smallest stamp that gave it.
type Earliest struct {
	T  int64 // 0: not given
	At Stamp
}

// Put offers a time, and reports whether it became the earliest.
func (e *Earliest) Put(t int64, at Stamp) bool {
	if e.T != 0 && (t > e.T || t == e.T && !at.Before(e.At)) {
		return false
	}
	*e = Earliest{t, at}
	return true
}

// Join puts what another holds.
func (e *Earliest) Join(o Earliest) bool { return o.T != 0 && e.Put(o.T, o.At) }

// Counter is a cumulative counter: its maximum, and the smallest stamp of an event with it.
type Counter struct {
	N   int64
	At  Stamp
	Set bool
}

// Say offers a count, and reports whether anything changed.
func (m *Counter) Say(n int64, at Stamp) bool {
	if m.Set && (n < m.N || n == m.N && !at.Before(m.At)) {
		return false
	}
	*m = Counter{n, at, true}
	return true
}

// Join offers the count of another.
func (m *Counter) Join(o Counter) bool { return o.Set && m.Say(o.N, o.At) }

// Progress is the time of the progress mark, zero if there is none.
func (m *Counter) Progress() Stamp {
	if m.N > 0 {
		return m.At
	}
	return Stamp{}
}
