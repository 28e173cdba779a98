package view

import (
	"bytes"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"unsafe"

	"github.com/headwayhq/headway/pkg/diagnostics/internal/crdt"
	"github.com/headwayhq/headway/pkg/diagnostics/internal/event"
)

// fill sets everything below v to a value other than zero, with no two equal numbers. Each list gets two elements, and each
// register a value.
func fill(v reflect.Value, n *int64) {
	*n++
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			f := v.Field(i)
			if noState(v.Type().Field(i)) {
				continue
			}
			fill(reflect.NewAt(f.Type(), unsafe.Pointer(f.UnsafeAddr())).Elem(), n) // unexported ones too
		}
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem(), n)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		for i := range 2 {
			fill(v.Index(i), n)
		}
	case reflect.Array:
		for i := range v.Len() {
			fill(v.Index(i), n)
		}
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int32, reflect.Int64:
		v.SetInt(*n)
	case reflect.Uint64:
		v.SetUint(uint64(*n))
	case reflect.Uint8: // a status word, a health, the shift of a series
		v.SetUint(uint64(1 + *n%3))
	case reflect.Float64:
		v.SetFloat(float64(*n) + 0.5)
	case reflect.String:
		v.SetString(fmt.Sprintf("x%09d", *n))
	default:
		panic("nothing is known to fill a " + v.Type().String() + " with")
	}
}

// noState reports whether a field only serves a view in memory and isn't part of its state, or stands in place of all others.
func noState(f reflect.StructField) bool {
	return f.Type == reflect.TypeFor[room]() || f.Name == "fresh" || f.Name == "tracked" || f.Name == "derived" || f.Name == "Erased"
}

// full is a view without zero values.
func full(from int64) *View {
	v := &View{}
	fill(reflect.ValueOf(v).Elem(), &from)
	beyond(reflect.ValueOf(v).Elem())
	v.state.TiersCut = crdt.Cut[crdt.Number]{} // where tiers were cut, of none is kept what its attempts have
	for _, a := range v.state.Attempts {
		sortWords(a.Words)
	}
	for _, t := range v.state.Tiers {
		for _, a := range t.Attempts {
			sortWords(a.Words)
		}
	}
	for _, j := range v.state.Jobs {
		sortWords(j.Words)
		for i := range j.Phases {
			for k := range j.Phases[i].Marks { // each in a bucket of its own
				j.Phases[i].Marks[k].At += int64(k) << 40
			}
		}
	}
	return v
}

// beyond moves the cut-off points of bounded sets to where they exclude none of the entries.
func beyond(v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer:
		beyond(v.Elem())
	case reflect.Slice:
		for i := range v.Len() {
			beyond(v.Index(i))
		}
	case reflect.Struct:
		for i := range v.NumField() {
			name, f := v.Type().Field(i).Name, v.Field(i)
			f = reflect.NewAt(f.Type(), unsafe.Pointer(f.UnsafeAddr())).Elem()
			switch {
			case name == "WorkersMost":
				f.SetInt(12)
			case name == "Stamps", name == "DocsMost":
				f.SetInt(22) // an entry heavier than the bound allows would be removed
			case name == "CoarseBelow":
				f.SetInt(2)
			case strings.HasSuffix(name, "Floor"):
				f.SetInt(1)
			case strings.HasSuffix(name, "Cut"):
				last(f)
			default:
				beyond(f)
			}
		}
	}
}

// last changes a key into one that sorts after all others.
func last(v reflect.Value) {
	switch v.Kind() {
	case reflect.String:
		v.SetString("y")
	case reflect.Int32:
		v.SetInt(1_000_000)
		if v.Type() == reflect.TypeFor[int32]() { // of an attempt: the highest come first
			v.SetInt(1)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			last(v.Field(i))
		}
	}
}

// sortWords brings the status words into the order that reporting them would give: each once, the first report before the last.
func sortWords(words Words) {
	for i := range words {
		words[i].Word = event.WordDraft + event.Word(i)
	}
}

// A field that the walk forgets is zero after decoding and after joining, so this test finds it without knowing its name.
func TestWalkHasEveryField(t *testing.T) {
	v := full(1_000)
	back, err := Parse(v.Append(nil))
	if err != nil {
		t.Fatal(err)
	}
	if where := differ(reflect.ValueOf(v), reflect.ValueOf(back), "view"); where != "" {
		t.Errorf("written and read again, another is %s", where)
	}
	joined := NewView(v.Namespace, v.Batch)
	Join(joined, v)
	if where := differ(reflect.ValueOf(v), reflect.ValueOf(joined), "view"); where != "" {
		t.Errorf("joined into an empty view, another is %s", where)
	}
	clone := v.Clone()
	Join(clone, v)
	if where := differ(reflect.ValueOf(v), reflect.ValueOf(clone), "view"); where != "" {
		t.Errorf("cloned and joined with itself, another is %s", where)
	}
	Join(v, NewView(v.Namespace, v.Batch))
	if !bytes.Equal(v.Append(nil), back.Append(nil)) {
		t.Error("an empty view, joined into it, changed it")
	}
}

// differ returns the first place where two values differ.
func differ(a, b reflect.Value, path string) string {
	switch a.Kind() {
	case reflect.Pointer:
		return differ(a.Elem(), b.Elem(), path)
	case reflect.Struct:
		for i := range a.NumField() {
			if noState(a.Type().Field(i)) {
				continue
			}
			if where := differ(a.Field(i), b.Field(i), path+"."+a.Type().Field(i).Name); where != "" {
				return where
			}
		}
		return ""
	case reflect.Slice, reflect.Array:
		if a.Len() != b.Len() {
			return fmt.Sprintf("%s: %d and %d elements", path, a.Len(), b.Len())
		}
		for i := range a.Len() {
			if where := differ(a.Index(i), b.Index(i), fmt.Sprintf("%s[%d]", path, i)); where != "" {
				return where
			}
		}
		return ""
	}
	if fmt.Sprint(a) != fmt.Sprint(b) {
		return fmt.Sprintf("%s: %v and %v", path, a, b)
	}
	return ""
}
