package answer

import (
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

// appendJSON encodes the types of answers as encoding/json does, in a third of the time: that looks through all that a
// MarshalJSON returns once more, which here is every time and every piece of raw JSON, and copies the whole at the end.
// Texts are written as in rows, so '<' stays '<'. v is a pointer to a struct.
func appendJSON(dst []byte, v any) []byte {
	r := reflect.ValueOf(v)
	return encoderOf(r.Type())(dst, r)
}

// encoder appends a value of the type that it was made for.
type encoder func(dst []byte, v reflect.Value) []byte

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
		return func(dst []byte, v reflect.Value) []byte {
			return appendTime(dst, v.Addr().Interface().(*time.Time)) // Addr, because Interface would copy it to the heap
		}
	case t == typeRaw:
		return func(dst []byte, v reflect.Value) []byte {
			if v.IsNil() {
				return append(dst, "null"...)
			}
			return appendRaw(dst, v.Bytes())
		}
	case t.Kind() != reflect.Pointer && t.Implements(typeText):
		return func(dst []byte, v reflect.Value) []byte {
			text, err := v.Interface().(encoding.TextMarshaler).MarshalText()
			if err != nil {
				panic("diagnostics: " + err.Error())
			}
			return event.AppendString(dst, string(text))
		}
	}
	switch t.Kind() {
	case reflect.Bool:
		return func(dst []byte, v reflect.Value) []byte { return strconv.AppendBool(dst, v.Bool()) }
	case reflect.Int, reflect.Int32, reflect.Int64:
		return func(dst []byte, v reflect.Value) []byte { return strconv.AppendInt(dst, v.Int(), 10) }
	case reflect.Uint32, reflect.Uint64:
		return func(dst []byte, v reflect.Value) []byte { return strconv.AppendUint(dst, v.Uint(), 10) }
	case reflect.Float64:
		return func(dst []byte, v reflect.Value) []byte { return appendFloat(dst, v.Float()) }
	case reflect.String:
		if exact {
			return func(dst []byte, v reflect.Value) []byte { return event.AppendString(dst, v.String()) }
		}
		return func(dst []byte, v reflect.Value) []byte { return appendText(dst, v.String()) }
	case reflect.Pointer:
		of := encoded{t.Elem(), exact}.encoder()
		return func(dst []byte, v reflect.Value) []byte {
			if v.IsNil() {
				return append(dst, "null"...)
			}
			return of(dst, v.Elem())
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
	return func(dst []byte, v reflect.Value) []byte {
		if t.Kind() == reflect.Slice && v.IsNil() {
			return append(dst, "null"...)
		}
		dst = append(dst, '[')
		for i := range v.Len() {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = of(dst, v.Index(i))
		}
		return append(dst, ']')
	}
}

// mapEncoder encodes a map of texts, in the order of its keys.
func mapEncoder(t reflect.Type) encoder {
	if t != reflect.TypeFor[map[string]string]() {
		panic("diagnostics: no encoder for " + t.String())
	}
	return func(dst []byte, v reflect.Value) []byte {
		if v.IsNil() {
			return append(dst, "null"...)
		}
		m := v.Interface().(map[string]string)
		var few [8]string
		keys := few[:0]
		for k := range m {
			keys = append(keys, k)
		}
		slices.Sort(keys)
		dst = append(dst, '{')
		for i, k := range keys {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = append(appendText(dst, k), ':')
			dst = appendText(dst, m[k])
		}
		return append(dst, '}')
	}
}

// field is a member of an object.
type field struct {
	index int
	name  string // with quotes, colon and the comma before it
	omit  bool   // when it is empty
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
		fields = append(fields, field{i, `,"` + name + `":`, options != "", encoded{f.Type, exactNames[name]}.encoder()})
	}
	return fields
}

// absent reports whether a member is left out.
func (f *field) absent(value reflect.Value) bool {
	return f.omit && (value.IsZero() || value.Kind() == reflect.Slice && value.Len() == 0)
}

func structEncoder(t reflect.Type) encoder {
	fields := structFields(t)
	return func(dst []byte, v reflect.Value) []byte {
		begin := len(dst)
		for i := range fields {
			f := &fields[i]
			value := v.Field(f.index)
			if f.absent(value) {
				continue
			}
			dst = f.of(append(dst, f.name...), value)
		}
		if len(dst) == begin {
			return append(dst, "{}"...)
		}
		dst[begin] = '{' // in the place of the first comma
		return append(dst, '}')
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
