package view

import (
	"encoding/binary"
	"errors"
	"math"
	"strings"

	"github.com/headwayhq/headway/pkg/diagnostics/internal/crdt"
	"github.com/headwayhq/headway/pkg/diagnostics/internal/event"
)

// The canonical state: one walk over the view (walk.go) that writes or reads its core and its parts (parts.go). Everything is
// visited in sorted order, so equal states give equal bytes. Integers are varints; a stamp is written whole where it occurs first
// in the core or a part, and as a number from then on, its time as the difference to the stamp written before.

// HeaderSize is the length of the header before the state in a stored value.
const HeaderSize = 17

// ErrCorrupt means that bytes aren't a stored value of this fold version.
var ErrCorrupt = errors.New("diagnostics: corrupt view")

const stateVersion = FoldVersion

// Append appends the stored value: header, then state.
func (v *View) Append(dst []byte) []byte {
	return v.AppendState(v.Header.Append(dst))
}

// Append appends the header's HeaderSize bytes.
func (h Header) Append(dst []byte) []byte {
	dst = binary.BigEndian.AppendUint64(dst, h.Revision)
	dst = binary.BigEndian.AppendUint64(dst, h.HealthSeq)
	if h.Incomplete {
		return append(dst, 1)
	}
	return append(dst, 0)
}

// ParseHeader reads the header of a stored value. Errors: ErrCorrupt.
func ParseHeader(b []byte) (Header, error) {
	if len(b) < HeaderSize || b[16] > 1 {
		return Header{}, ErrCorrupt
	}
	return Header{binary.BigEndian.Uint64(b), binary.BigEndian.Uint64(b[8:]), b[16] == 1}, nil
}

// AppendState appends the canonical state alone: equal sets of events give equal bytes.
func (v *View) AppendState(dst []byte) []byte {
	w := walker{codec: codec{writing: true, out: dst}}
	w.whole(v)
	return w.out
}

// Encoder is Append for many views in turn: it reuses its memory. Not safe for concurrent use.
type Encoder struct{ w walker }

// Append appends the stored value of v: header, then state.
func (e *Encoder) Append(dst []byte, v *View) []byte {
	e.reset(v.Header.Append(dst))
	e.w.whole(v)
	return e.w.out
}

func (e *Encoder) reset(out []byte) {
	c := &e.w.codec
	clear(c.slots)
	*c = codec{
		writing: true, out: out,
		stamps: c.stamps[:0], slots: c.slots, sources: c.sources[:0],
	}
}

// Parse reads a stored value. Errors: ErrCorrupt.
func Parse(b []byte) (*View, error) {
	h, err := ParseHeader(b)
	if err != nil {
		return nil, err
	}
	v, err := ParseState(b[HeaderSize:])
	if err != nil {
		return nil, err
	}
	v.Header = h
	return v, nil
}

// ParseState reads a canonical state. Errors: ErrCorrupt.
func ParseState(b []byte) (*View, error) {
	w := walker{codec: codec{in: string(b)}}
	v := &View{}
	w.whole(v)
	if w.bad || w.pos != len(w.in) {
		return nil, ErrCorrupt
	}
	return v, nil
}

// whole writes or reads a view, after the version of its encoding.
func (w *walker) whole(v *View) {
	version := uint8(stateVersion)
	w.byte(&version)
	if version != stateVersion {
		w.fail()
		return
	}
	w.view(v, v)
	if w.writing {
		(&partWriter{walker: w}).all(&v.state)
	} else {
		w.readParts(&v.state)
	}
}

type codec struct {
	writing     bool
	weighing    bool // neither writes nor reads, but adds up the most that each field takes
	weight      int
	stampWeight int

	out []byte
	in  string
	pos int
	bad bool

	stamps   []crdt.Stamp
	slots    []int32 // writing: open addressing by time into stamps, index + 1
	sources  []string
	lastTime int64
}

func (c *codec) u(p *uint64) {
	if c.writing {
		c.out = binary.AppendUvarint(c.out, *p)
		return
	}
	if c.weighing {
		c.weight += weightInt
		return
	}
	var x uint64
	for shift := 0; ; shift += 7 {
		if c.pos >= len(c.in) || shift > 63 {
			c.fail()
			return
		}
		b := c.in[c.pos]
		c.pos++
		x |= uint64(b&0x7f) << shift
		if b < 0x80 {
			break
		}
	}
	*p = x
}

func (c *codec) fail() {
	c.bad = true
	c.pos = len(c.in)
}

func (c *codec) i(p *int64) {
	u := uint64(*p<<1) ^ uint64(*p>>63)
	c.u(&u)
	if !c.writing {
		*p = int64(u>>1) ^ -int64(u&1)
	}
}

func (c *codec) i32(p *int32) {
	n := int64(*p)
	c.i(&n)
	*p = int32(n)
}

func (c *codec) byte(p *uint8) {
	if c.writing {
		c.out = append(c.out, *p)
		return
	}
	if c.weighing {
		c.weight++
		return
	}
	if c.pos >= len(c.in) {
		c.fail()
		return
	}
	*p = c.in[c.pos]
	c.pos++
}

func (c *codec) bool(p *bool) {
	var b uint8
	if *p {
		b = 1
	}
	c.byte(&b)
	*p = b == 1
}

func (c *codec) float(p *float64) {
	u := math.Float64bits(*p)
	// Reversed, the zeros of a round number's mantissa come last, and the varint is short.
	r := reverse(u)
	c.u(&r)
	if !c.writing {
		*p = math.Float64frombits(reverse(r))
	}
}

func (c *codec) str(p *string) {
	if c.weighing {
		c.weight += weightLen + len(*p)
		return
	}
	n := uint64(len(*p))
	c.u(&n)
	if c.writing {
		c.out = append(c.out, *p...)
		return
	}
	if n > uint64(len(c.in)-c.pos) {
		c.fail()
		return
	}
	*p = c.in[c.pos : c.pos+int(n)]
	c.pos += int(n)
}

// stamp writes or reads a stamp; the zero stamp is 0.
func (c *codec) stamp(s *crdt.Stamp) {
	if c.weighing {
		if c.weight++; !s.IsZero() {
			c.weight += c.stampWeight
		}
		return
	}
	ref := uint64(0)
	if !c.writing {
		c.u(&ref)
		switch {
		case ref == 0:
		case ref <= uint64(len(c.stamps)):
			*s = c.stamps[ref-1]
		case ref == uint64(len(c.stamps))+1:
			c.newStamp(s)
			c.stamps = append(c.stamps, *s)
		default:
			c.fail()
		}
		return
	}
	if s.IsZero() {
		c.u(&ref)
		return
	}
	i, known := c.find(*s)
	ref = uint64(i) + 1
	c.u(&ref)
	if !known {
		c.newStamp(s)
	}
}

func (c *codec) newStamp(s *crdt.Stamp) {
	d := s.Time - c.lastTime
	c.i(&d)
	s.Time = c.lastTime + d
	c.lastTime = s.Time
	c.source(&s.Source)
	c.str(&s.ID)
}

func (c *codec) source(s *string) {
	n := uint64(len(c.sources))
	if c.writing {
		for i := len(c.sources) - 1; i >= 0 && i >= len(c.sources)-recentSources; i-- {
			if c.sources[i] == *s {
				n = uint64(i)
				break
			}
		}
	}
	c.u(&n)
	switch {
	case n == uint64(len(c.sources)):
		c.str(s)
		c.sources = append(c.sources, *s)
	case n > uint64(len(c.sources)):
		c.fail()
	default:
		*s = c.sources[n]
	}
}

// recentSources bounds the search for a source written before; one further back is written again.
const recentSources = 16

// find returns the index of a stamp in the table, where it puts one that isn't known yet.
func (c *codec) find(s crdt.Stamp) (index int, known bool) {
	if 2*len(c.stamps) >= len(c.slots) {
		c.slots = make([]int32, max(128, 2*len(c.slots)))
		for i, o := range c.stamps {
			k, _ := c.slot(o)
			c.slots[k] = int32(i + 1)
		}
	}
	k, known := c.slot(s)
	if !known {
		c.stamps = append(c.stamps, s)
		c.slots[k] = int32(len(c.stamps))
	}
	return int(c.slots[k]) - 1, known
}

func (c *codec) slot(s crdt.Stamp) (slot int, taken bool) {
	mask := uint64(len(c.slots) - 1)
	for k := (uint64(s.Time) * 0x9e3779b97f4a7c15 >> 20) & mask; ; k = (k + 1) & mask {
		n := c.slots[k]
		if n == 0 {
			return int(k), false
		}
		if o := &c.stamps[n-1]; o.Time == s.Time && o.ID == s.ID && o.Source == s.Source {
			return int(k), true
		}
	}
}

func reverse(u uint64) uint64 {
	var r uint64
	for range 8 {
		r = r<<8 | u&0xff
		u >>= 8
	}
	return r
}

// Clone returns a copy that shares no memory that a fold could change.
func (v *View) Clone() *View {
	c, err := Parse(v.Append(nil))
	if err != nil {
		panic("diagnostics: a view doesn't survive its own encoding: " + err.Error())
	}
	c.Namespace, c.Batch = strings.Clone(v.Namespace), strings.Clone(v.Batch)
	return c
}

// LastAnnounced is the health that was announced last; ok if nothing ever was.
func (v *View) LastAnnounced() event.Health {
	h, _ := v.state.LastAnnounced()
	return h
}
