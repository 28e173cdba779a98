package diagnostics

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// Fields of a public snapshot or row whose texts are from the producer's own names, or from a fixed set.
var publicTexts = []string{
	"BatchID", "BatchName", "Status", "View.ID", "View.LeftOut", "ETA.Confidence", "ETA.Method", "Tiers.Status", "Collections.CollectionID", "Collections.CollectionName", "Collections.Status",
	"Labels", "Tiers.SubmissionParams", // null
}

// What may be shown to everybody has no text in any other field, whatever is added to a snapshot.
func TestPublicSnapshotHasNoTexts(t *testing.T) {
	var s Snapshot
	filled(reflect.ValueOf(&s).Elem())
	s.Tiers[0].SubmissionParams, s.Labels = json.RawMessage(`{"x":"text"}`), json.RawMessage(`{"x":"text"}`)
	public := s.Public()
	texts(t, reflect.ValueOf(public), "")
	if public.OverallProgress != s.OverallProgress || len(public.Tiers) != 1 || public.Tiers[0].Progress != s.Tiers[0].Progress || public.ETA == nil {
		t.Errorf("too little is left: %+v", public)
	}
	body := public.AppendJSON(nil)
	var again Snapshot
	if err := json.Unmarshal(body, &again); err != nil || strings.Contains(string(body), `"x"`) {
		t.Errorf("%v: %s", err, body)
	}
}

func TestPublicRow(t *testing.T) {
	var r Row
	filled(reflect.ValueOf(&r).Elem())
	r.Labels, r.Health = json.RawMessage(`{"x":"text"}`), HealthStuck
	body, err := PublicRow(r.AppendJSON(nil))
	if err != nil {
		t.Fatal(err)
	}
	var public Row
	if err := json.Unmarshal(body, &public); err != nil {
		t.Fatal(err)
	}
	if public.BatchID != r.BatchID || public.OverallProgress != r.OverallProgress || public.Health != HealthStuck || public.Revision != r.Revision || len(public.Spark) != 1 || public.ETA == nil {
		t.Errorf("too little is left: %s", body)
	}
	public.Labels = nil
	texts(t, reflect.ValueOf(public), "")
	if _, err := PublicRow([]byte("{")); err == nil {
		t.Error("what can't be read is shown")
	}
}

// filled sets every field to something.
func filled(v reflect.Value) {
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				filled(v.Field(i))
			}
		}
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		filled(v.Elem())
	case reflect.Slice:
		if v.Type() == reflect.TypeFor[json.RawMessage]() {
			v.SetBytes([]byte(`"text"`))
			return
		}
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		filled(v.Index(0))
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
		filled(key)
		filled(value)
		v.SetMapIndex(key, value)
	case reflect.String:
		v.SetString("text")
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int64:
		v.SetInt(1)
	case reflect.Uint8, reflect.Uint64:
		v.SetUint(1)
	case reflect.Float64:
		v.SetFloat(1)
	}
}

// texts finds texts in fields that may have none.
func texts(t *testing.T, v reflect.Value, path string) {
	t.Helper()
	if slices.Contains(publicTexts, path) {
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			if f := v.Type().Field(i); f.IsExported() {
				texts(t, v.Field(i), strings.TrimPrefix(path+"."+f.Name, "."))
			}
		}
	case reflect.Pointer, reflect.Interface:
		if !v.IsNil() {
			texts(t, v.Elem(), path)
		}
	case reflect.Slice, reflect.Array:
		if v.Type() == reflect.TypeFor[json.RawMessage]() && v.Len() > 0 {
			t.Errorf("%s: %s", path, v.Bytes())
			return
		}
		for i := range v.Len() {
			texts(t, v.Index(i), path)
		}
	case reflect.Map:
		if v.Len() > 0 {
			t.Errorf("%s has entries", path)
		}
	case reflect.String:
		if v.Len() > 0 {
			t.Errorf("%s: %s", path, v)
		}
	}
}
