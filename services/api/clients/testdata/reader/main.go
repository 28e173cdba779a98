// The command reader reads every golden answer with generated types, and compares what they write with what was read. Nothing may be
// lost, and nothing that a later version of the API may add may be refused.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"

	"reader/gen"
)

type told struct{ Answer, Explain any }

func main() {
	files, err := filepath.Glob(filepath.Join(os.Args[1], "*.golden.json"))
	if err != nil || len(files) == 0 {
		fail("no golden answers in %s: %v", os.Args[1], err)
	}
	n := 0
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			fail("%v", err)
		}
		var all []told
		if err := json.Unmarshal(text, &all); err != nil {
			fail("%s: %v", file, err)
		}
		for i, t := range all {
			check[gen.Snapshot](fmt.Sprintf("%s, answer %d", file, i), t.Answer)
			check[gen.Explanation](fmt.Sprintf("%s, explanation %d", file, i), t.Explain)
			n += 2
		}
	}
	fmt.Printf("%d answers read\n", n)
}

func check[T any](where string, written any) {
	again, err := through[T](written)
	if err != nil {
		fail("%s: %v", where, err)
	}
	if want, got := said(written), said(again); !reflect.DeepEqual(want, got) {
		fail("%s: read as something else:\n%v\n%v", where, want, got)
	}
	if _, err := through[T](later(written)); err != nil {
		fail("%s, as a later version might say it: %v", where, err)
	}
}

// through reads a value as T, and gives what T writes.
func through[T any](v any) (again any, err error) {
	text, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	var read T
	if err := json.Unmarshal(text, &read); err != nil {
		return nil, err
	}
	if text, err = json.Marshal(read); err != nil {
		return nil, err
	}
	return again, json.Unmarshal(text, &again)
}

// said is a value without members that are null, which some generated types leave out when they write.
func said(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := map[string]any{}
		for name, e := range v {
			if e != nil {
				out[name] = said(e)
			}
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, e := range v {
			out[i] = said(e)
		}
		return out
	}
	return v
}

// later adds a field to every object of ours, and puts a new word where the description says that there may be some.
func later(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := map[string]any{"added_later": map[string]any{"a": 1}}
		for name, e := range v {
			if name == "params" { // a map of texts
				out[name] = e
				continue
			}
			out[name] = later(e)
			if _, text := e.(string); text && (name == "kind" || name == "code" || name == "type" || name == "failure_category") {
				out[name] = "added_later"
			}
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, e := range v {
			out[i] = later(e)
		}
		return out
	}
	return v
}

func fail(format string, args ...any) {
	fmt.Fprintf(os.Stderr, format+"\n", args...)
	os.Exit(1)
}
