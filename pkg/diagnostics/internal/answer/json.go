package answer

import (
	"bytes"
	"encoding"
	"encoding/json"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/headwayhq/headway/pkg/diagnostics/internal/event"
)

// AppendJSON appends the snapshot as one line of JSON.
func (s *Snapshot) AppendJSON(dst []byte) []byte { return appendJSON(dst, s) }

// Whole is what AppendJSON writes, in as many bytes as it needs, with its Hash.
func (s *Snapshot) Whole() (body []byte, hash uint64) {
	w := borrow()
	defer w.giveBack()
	v := reflect.ValueOf(s)
	encoderOf(v.Type())(w, v)
	return w.whole()
}

// appendJSON encodes the types of answers as encoding/json does, in a third of the time: that looks through all that a
// MarshalJSON returns once more, which here is every time and every piece of raw JSON, and copies the whole at the end.
// Texts are written as in rows, so '<' stays '<'. v is a pointer to a struct.
func appendJSON(dst []byte, v any) []byte {
	r := reflect.ValueOf(v)
	w := writer{b: dst}
	encoderOf(r.Type())(&w, r)
	return w.b
}

// writer has what was encoded so far, and where in it the running times of a snapshot are.
type writer struct {
	b      []byte
	clocks []extent
}

func (w *writer) add(text string) { w.b = append(w.b, text...) }

// clock notes a running time that begins at from and ends here.
func (w *writer) clock(from int) { w.clocks = append(w.clocks, extent{int32(from), int32(len(w.b))}) }

// whole is what was encoded, and its Hash.
func (w *writer) whole() ([]byte, uint64) {
	var h checksum
	from := int32(0)
	for _, c := range w.clocks {
		h.add(w.b[from:c.from])
		from = c.to
	}
	h.add(w.b[from:])
	return bytes.Clone(w.b), h.value()
}

// writers are reused, because the size of an answer is known only at its end.
var writers = sync.Pool{New: func() any { return new(writer) }}

func borrow() *writer { return writers.Get().(*writer) }

func (w *writer) giveBack() {
	const most = 64 << 10 // few answers are larger
	if cap(w.b) <= most {
		w.b, w.clocks = w.b[:0], w.clocks[:0]
		writers.Put(w)
	}
}

// encoder appends a value of the type that it was made for.
type encoder func(w *writer, v reflect.Value)

var encoders sync.Map // encoded → encoder

// encoded is what an encoder is for. Texts are for people, unless they are exact.
type encoded struct {
	t     reflect.Type
	exact bool
}

func encoderOf(t reflect.Type) encoder { return encoded{t, false}.encoder() }

func (x encoded) encoder() encoder {
	if e, ok := encoders.Load(x); ok {
		return e.(encoder)
	}
	e := makeEncoder(x.t, x.exact) // no type of an answer contains itself
	encoders.Store(x, e)
	return e
}

var (
	typeTime = reflect.TypeFor[time.Time]()
	typeRaw  = reflect.TypeFor[json.RawMessage]()
	typeText = reflect.TypeFor[encoding.TextMarshaler]()
)

func makeEncoder(t reflect.Type, exact bool) encoder {
	switch {
	case t == typeTime:
		return func(w *writer, v reflect.Value) {
			w.b = appendTime(w.b, v.Addr().Interface().(*time.Time)) // Addr, because Interface would copy it to the heap
		}
	case t == typeRaw:
		return func(w *writer, v reflect.Value) {
			if v.IsNil() {
				w.add("null")
				return
			}
			w.b = appendRaw(w.b, v.Bytes())
		}
	case t.Kind() != reflect.Pointer && t.Implements(typeText):
		return func(w *writer, v reflect.Value) {
			text, err := v.Interface().(encoding.TextMarshaler).MarshalText()
			if err != nil {
				panic("diagnostics: " + err.Error())
			}
			w.b = event.AppendString(w.b, string(text))
		}
	}
	switch t.Kind() {
	case reflect.Bool:
		return func(w *writer, v reflect.Value) { w.b = strconv.AppendBool(w.b, v.Bool()) }
	case reflect.Int, reflect.Int32, reflect.Int64:
		return func(w *writer, v reflect.Value) { w.b = strconv.AppendInt(w.b, v.Int(), 10) }
	case reflect.Uint32, reflect.Uint64:
		return func(w *writer, v reflect.Value) { w.b = strconv.AppendUint(w.b, v.Uint(), 10) }
	case reflect.Float64:
		return func(w *writer, v reflect.Value) { w.b = appendFloat(w.b, v.Float()) }
	case reflect.String:
		if exact {
			return func(w *writer, v reflect.Value) { w.b = event.AppendString(w.b, v.String()) }
		}
		return func(w *writer, v reflect.Value) { w.b = appendText(w.b, v.String()) }
	case reflect.Pointer:
		of := encoded{t.Elem(), exact}.encoder()
		return func(w *writer, v reflect.Value) {
			if v.IsNil() {
				w.add("null")
				return
			}
			of(w, v.Elem())
		}
	case reflect.Slice, reflect.Array:
		return listEncoder(t, exact)
	case reflect.Map:
		return mapEncoder(t)
	case reflect.Struct:
		return structEncoder(t)
	}
	panic("diagnostics: no encoder for " + t.String())
}

func listEncoder(t reflect.Type, exact bool) encoder {
	of := encoded{t.Elem(), exact}.encoder()
	return func(w *writer, v reflect.Value) {
		if t.Kind() == reflect.Slice && v.IsNil() {
			w.add("null")
			return
		}
		w.add("[")
		for i := range v.Len() {
			if i > 0 {
				w.add(",")
			}
			of(w, v.Index(i))
		}
		w.add("]")
	}
}

// mapEncoder encodes a map of texts, in the order of its keys.
func mapEncoder(t reflect.Type) encoder {
	if t != reflect.TypeFor[map[string]string]() {
		panic("diagnostics: no encoder for " + t.String())
	}
	return func(w *writer, v reflect.Value) {
		if v.IsNil() {
			w.add("null")
			return
		}
		m := v.Interface().(map[string]string)
		var few [8]string
		keys := few[:0]
		for k := range m {
			keys = append(keys, k)
		}
		slices.Sort(keys)
		w.add("{")
		for i, k := range keys {
			if i > 0 {
				w.add(",")
			}
			w.b = append(appendText(w.b, k), ':')
			w.b = appendText(w.b, m[k])
		}
		w.add("}")
	}
}

// field is a member of an object.
type field struct {
	index int
	name  string // with quotes, colon and the comma before it
	omit  bool   // when it is empty
	clock bool   // it is a running time
	of    encoder
}

// exactNames are the members with ids, by which a reader asks for something. They have no control characters.
var exactNames = map[string]bool{
	"id": true, "batch_id": true, "retry_of": true, "collection_id": true, "ray_job_id": true, "job_id": true, "task_id": true,
}

// structFields lists the members of a struct's object.
func structFields(t reflect.Type) []field {
	var fields []field
	for i := range t.NumField() {
		f := t.Field(i)
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		if !f.IsExported() || name == "-" {
			continue
		}
		if f.Anonymous || name == "" || options != "" && options != "omitempty" {
			panic("diagnostics: no encoder for the field " + t.String() + "." + f.Name)
		}
		fields = append(fields, field{i, `,"` + name + `":`, options != "", clockFields[t][name], encoded{f.Type, exactNames[name]}.encoder()})
	}
	return fields
}

// absent reports whether a member is left out.
func (f *field) absent(value reflect.Value) bool {
	return f.omit && (value.IsZero() || value.Kind() == reflect.Slice && value.Len() == 0)
}

func structEncoder(t reflect.Type) encoder {
	fields := structFields(t)
	return func(w *writer, v reflect.Value) {
		begin := len(w.b)
		for i := range fields {
			f := &fields[i]
			if value := v.Field(f.index); !f.absent(value) {
				f.append(w, value)
			}
		}
		if len(w.b) == begin {
			w.add("{}")
			return
		}
		w.b[begin] = '{' // in the place of the first comma
		w.add("}")
	}
}

// append appends a member with its name.
func (f *field) append(w *writer, value reflect.Value) {
	w.add(f.name)
	from := len(w.b)
	f.of(w, value)
	if f.clock {
		w.clock(from)
	}
}

// appendFloat writes what encoding/json writes: ECMAScript's notation of a number.
func appendFloat(dst []byte, f float64) []byte {
	if a := max(f, -f); a != 0 && (a < 1e-6 || a >= 1e21) {
		b, err := json.Marshal(f)
		if err != nil {
			panic("diagnostics: " + err.Error())
		}
		return append(dst, b...)
	}
	return strconv.AppendFloat(dst, f, 'f', -1, 64)
}
