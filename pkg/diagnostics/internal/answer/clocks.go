package answer

import (
	"hash/crc32"
	"reflect"
	"strings"
)

// clocks are the running times in an answer, as paths of names; [] stands for each element. Between two moments of Next nothing
// else in an answer changes.
var clocks = []string{
	"duration_seconds", "stuck_seconds", "view.as_of", "view.lag_seconds",
	"tiers.[].duration_seconds", "tiers.[].queue_seconds", "tiers.[].jobs.[].duration_seconds", "tiers.[].jobs.[].queue_seconds",
	"tiers.[].jobs.[].phases.[].duration_seconds",
}

// place is a node of the tree of clocks; without children it is a clock.
type place map[string]place

var clockTree = func() place {
	root := place{}
	for _, path := range clocks {
		at := root
		for name := range strings.SplitSeq(path, ".") {
			if at[name] == nil {
				at[name] = place{}
			}
			at = at[name]
		}
	}
	return root
}()

// clockFields are the same by the type in which they are. No type with a running time is anywhere else in a snapshot.
var clockFields = func() map[reflect.Type]map[string]bool {
	out := map[reflect.Type]map[string]bool{}
	for _, path := range clocks {
		at, last := reflect.TypeFor[Snapshot](), path
		if i := strings.LastIndexByte(path, '.'); i >= 0 {
			for name := range strings.SplitSeq(path[:i], ".") {
				at = within(at, name)
			}
			last = path[i+1:]
		}
		if out[at] == nil {
			out[at] = map[string]bool{}
		}
		out[at][last] = true
	}
	return out
}()

// within is the type of a member of t, or of its elements.
func within(t reflect.Type, name string) reflect.Type {
	if name == "[]" {
		return t.Elem()
	}
	for i := range t.NumField() {
		if of, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ","); of == name {
			return t.Field(i).Type
		}
	}
	panic("diagnostics: no member " + name + " in " + t.String())
}

// Hash identifies what an answer says, except its running times. body is an answer as AppendJSON writes it, or some of its fields.
func Hash(body []byte) uint64 {
	w := walk{body: body}
	w.value(clockTree)
	w.flush(len(body))
	return w.out.value()
}

// checksum has 64 bits: two of 32 bits with different polynomials, for which processors have instructions.
type checksum struct{ a, b uint32 }

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func (s *checksum) add(b []byte) {
	s.a, s.b = crc32.Update(s.a, crc32.IEEETable, b), crc32.Update(s.b, castagnoli, b)
}

func (s *checksum) value() uint64 { return uint64(s.a)<<32 | uint64(s.b) }

// walk goes through JSON without white space, and adds up everything but the clocks.
type walk struct {
	body []byte
	at   int
	from int // what follows isn't added yet
	out  checksum
}

func (w *walk) flush(to int) {
	w.out.add(w.body[w.from:to])
	w.from = to
}

// value passes a value whose place in the tree is p, nil if it has no clocks in it.
func (w *walk) value(p place) {
	switch {
	case p == nil || w.at >= len(w.body):
		w.skip()
	case w.body[w.at] == '{':
		w.members(func() place {
			from := w.at + 1
			w.text()
			w.at++ // the colon
			return p[string(w.body[from:w.at-2])]
		})
	case w.body[w.at] == '[':
		w.members(func() place { return p["[]"] })
	default:
		w.skip()
	}
}

// members passes an object or array. of reads a name and returns the place of the value that follows.
func (w *walk) members(of func() place) {
	for w.at++; w.at < len(w.body) && w.body[w.at] != '}' && w.body[w.at] != ']'; {
		if w.body[w.at] == ',' {
			w.at++
			continue
		}
		if p := of(); p != nil && len(p) == 0 {
			w.flush(w.at)
			w.skip()
			w.from = w.at
		} else {
			w.value(p)
		}
	}
	w.at++
}

// text passes a string.
func (w *walk) text() {
	for w.at++; w.at < len(w.body) && w.body[w.at] != '"'; w.at++ {
		if w.body[w.at] == '\\' {
			w.at++
		}
	}
	w.at++
}

// skip passes a value.
func (w *walk) skip() {
	for depth := 0; w.at < len(w.body); {
		switch w.body[w.at] {
		case '"':
			w.text()
			if depth == 0 {
				return
			}
			continue
		case '{', '[':
			depth++
		case '}', ']':
			if depth == 0 {
				return // the end of what the value stands in
			}
			if depth--; depth == 0 {
				w.at++
				return
			}
		case ',':
			if depth == 0 {
				return
			}
		}
		w.at++
	}
}
