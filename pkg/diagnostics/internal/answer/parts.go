package answer

import (
	"bytes"
	"reflect"
	"slices"
)

// Parts is a snapshot as AppendJSON encodes it, and where its members and rows are, so that two snapshots can be compared
// without parsing them.
type Parts struct {
	body     []byte
	hash     uint64
	members  []extent        // the values of Snapshot's fields; empty for one that is left out
	elements [][]extent      // of the members that are plain lists
	rows     [2][]encodedRow // of the keyed lists
}

// JSON is the encoded snapshot.
func (p *Parts) JSON() []byte { return p.body }

// Hash is the Hash of the body.
func (p *Parts) Hash() uint64 { return p.hash }

// extent is a part of the body.
type extent struct{ from, to int32 }

func (p *Parts) of(s extent) []byte { return p.body[s.from:s.to] }

// encodedRow is one element of a list. Its own part is what comes before the list that is in it.
type encodedRow struct {
	extent
	own    int32
	clocks [maxClocks]extent // in the order of the shape; empty for one that it doesn't have
	rows   []encodedRow
}

// maxClocks is how many running times a row has at most.
const maxClocks = 3

// rowShape is what the rows of a list consist of. The first member of a row is its key.
type rowShape struct {
	fields []field
	clocks []string  // the names of the running times; the one of a list is that of its last element
	clock  []int     // for each field the number of its running time, or -1
	inner  *rowShape // of the list that is the last member; nil if there is none
}

// member is a field of Snapshot.
type member struct {
	field
	keyed   int     // the number of the list with keys that it is, else -1
	element encoder // of the plain list of objects that it is, else nil
}

var (
	keyedNames  = [2]string{"tiers", "collections"}
	keyedShapes = [2]*rowShape{
		makeShape(reflect.TypeFor[TierDiagnostic](), clockTree["tiers"]["[]"], "jobs"),
		makeShape(reflect.TypeFor[CollectionDiagnostic](), nil, ""),
	}
	snapshotMembers = makeMembers(reflect.TypeFor[Snapshot]())
)

func makeMembers(t reflect.Type) []member {
	var out []member
	for _, f := range structFields(t) {
		m := member{field: f, keyed: slices.Index(keyedNames[:], f.title())}
		if of := t.Field(f.index).Type; m.keyed < 0 && of.Kind() == reflect.Slice && of.Elem().Kind() == reflect.Struct {
			m.element = encoderOf(of.Elem())
		}
		out = append(out, m)
	}
	return out
}

func makeShape(t reflect.Type, timed place, inner string) *rowShape {
	s := &rowShape{fields: structFields(t)}
	s.clock = make([]int, len(s.fields))
	for i := range s.fields {
		name := s.fields[i].title()
		s.clock[i] = -1
		switch at := timed[name]; {
		case name == inner:
			if i != len(s.fields)-1 {
				panic("diagnostics: the rows in a row must be its last member")
			}
			s.inner = makeShape(t.Field(s.fields[i].index).Type.Elem(), at["[]"], "")
		case at != nil:
			s.clock[i] = len(s.clocks)
			s.clocks = append(s.clocks, name)
		}
	}
	return s
}

func (f *field) title() string { return f.name[2 : len(f.name)-2] }

// Encode encodes the snapshot.
func (s *Snapshot) Encode() *Parts {
	p := &Parts{members: make([]extent, len(snapshotMembers)), elements: make([][]extent, len(snapshotMembers))}
	v := reflect.ValueOf(s).Elem()
	w := borrow()
	defer w.giveBack()
	for i := range snapshotMembers {
		m := &snapshotMembers[i]
		value := v.Field(m.index)
		if m.absent(value) {
			continue
		}
		from := len(w.b) + len(m.name)
		switch {
		case m.keyed >= 0:
			w.add(m.name)
			p.rows[m.keyed] = keyedShapes[m.keyed].appendRows(w, value)
		case m.element != nil:
			w.add(m.name)
			p.elements[i] = m.appendElements(w, value)
		default:
			m.append(w, value)
		}
		p.members[i] = extent{int32(from), int32(len(w.b))}
	}
	w.add("}")
	w.b[0] = '{' // in the place of the first comma
	p.body, p.hash = w.whole()
	return p
}

func (m *member) appendElements(w *writer, list reflect.Value) []extent {
	elements := make([]extent, list.Len())
	w.add("[")
	for i := range elements {
		if i > 0 {
			w.add(",")
		}
		from := len(w.b)
		m.element(w, list.Index(i))
		elements[i] = extent{int32(from), int32(len(w.b))}
	}
	w.add("]")
	return elements
}

func (s *rowShape) appendRows(w *writer, list reflect.Value) []encodedRow {
	rows := make([]encodedRow, list.Len())
	w.add("[")
	for i := range rows {
		if i > 0 {
			w.add(",")
		}
		s.appendRow(w, list.Index(i), &rows[i])
	}
	w.add("]")
	return rows
}

func (s *rowShape) appendRow(w *writer, v reflect.Value, r *encodedRow) {
	r.from = int32(len(w.b))
	for i := range s.fields {
		f := &s.fields[i]
		value := v.Field(f.index)
		if s.inner != nil && i == len(s.fields)-1 {
			r.own = int32(len(w.b))
			w.add(f.name)
			r.rows = s.inner.appendRows(w, value)
			continue
		}
		from := len(w.b) + len(f.name)
		f.append(w, value)
		if n := s.clock[i]; n >= 0 {
			r.clocks[n] = clockIn(w.b, from)
		}
	}
	if s.inner == nil {
		r.own = int32(len(w.b))
	}
	w.b[r.from] = '{'
	w.add("}")
	r.to = int32(len(w.b))
}

// clockIn is the running time in the value that begins at from: the value itself, or the last member of a list's last element.
func clockIn(dst []byte, from int) extent {
	to := len(dst)
	if value := dst[from:]; value[0] == '[' {
		if len(value) == len("[]") {
			return extent{}
		}
		from += bytes.LastIndexByte(value, ':') + 1
		to -= len("}]")
	}
	return extent{int32(from), int32(to)}
}

// key is the value of a row's first member.
func (p *Parts) key(r *encodedRow) []byte {
	b := p.of(r.extent)
	b = b[bytes.IndexByte(b, ':')+1:]
	w := walk{body: b}
	w.skip()
	return b[:w.at]
}
