package api

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// A generator of clients chooses a type of its language by type and format. Where they are missing it takes anything, or the smallest number.
func TestDescriptionsNameTypesAndFormats(t *testing.T) {
	for name, text := range map[string][]byte{"openapi.json": openAPI, "asyncapi.json": asyncAPI} {
		var doc any
		if err := json.Unmarshal(text, &doc); err != nil {
			t.Fatal(err)
		}
		seen := 0
		schemasIn(doc, "", func(path string, s map[string]any) {
			seen++
			if fault := vague(s); fault != "" {
				t.Errorf("%s%s: %s", name, path, fault)
			}
		})
		if seen < 90 {
			t.Errorf("%s: found only %d schemas", name, seen)
		}
	}
}

func TestVague(t *testing.T) {
	for text, want := range map[string]string{
		`{"type":"string","enum":["a"]}`:                    "",
		`{"type":["string","null"],"enum":["a",null]}`:      "",
		`{"type":"boolean","const":false}`:                  "",
		`{"type":"integer","format":"int64"}`:               "",
		`{"type":["number","null"],"format":"double"}`:      "",
		`{"enum":["a"]}`:                                    "a set of values without type",
		`{"const":"1.0"}`:                                   "a set of values without type",
		`{"type":"string","enum":["a",null]}`:               "null is a value, but not a type",
		`{"type":"integer"}`:                                "a number without format",
		`{"type":["number","null"]}`:                        "a number without format",
		`{"type":"integer","format":"double"}`:              "a number without format",
		`{"type":"object","properties":{"enum":{"x":[1]}}}`: "",
	} {
		var s map[string]any
		if err := json.Unmarshal([]byte(text), &s); err != nil {
			t.Fatal(err)
		}
		if got := vague(s); got != want {
			t.Errorf("%s: %q, want %q", text, got, want)
		}
	}
}

// vague returns what a generator would have to guess about a schema.
func vague(s map[string]any) string {
	kinds := kindsOf(s)
	values, words := s["enum"].([]any)
	_, constant := s["const"]
	format, _ := s["format"].(string)
	switch {
	case (words || constant) && len(kinds) == 0:
		return "a set of values without type"
	case slices.Contains(values, nil) && !slices.Contains(kinds, "null"):
		return "null is a value, but not a type"
	case slices.Contains(kinds, "integer") && format != "int32" && format != "int64",
		slices.Contains(kinds, "number") && format != "double":
		return "a number without format"
	}
	return ""
}

func kindsOf(s map[string]any) []string {
	var kinds []string
	switch kind := s["type"].(type) {
	case string:
		kinds = append(kinds, kind)
	case []any:
		for _, k := range kind {
			kinds = append(kinds, fmt.Sprint(k))
		}
	}
	return kinds
}

// schemasIn visits every schema of a description, which is under one of the keys that have schemas. Examples aren't schemas, and
// may have any key.
func schemasIn(v any, path string, visit func(path string, s map[string]any)) {
	switch v := v.(type) {
	case map[string]any:
		if last := path[strings.LastIndexByte(path, '/')+1:]; last == "example" || last == "examples" || last == "default" {
			return
		}
		if isSchema(path) {
			visit(path, v)
		}
		for key, e := range v {
			schemasIn(e, path+"/"+escape(key), visit)
		}
	case []any:
		for i, e := range v {
			schemasIn(e, fmt.Sprintf("%s/%d", path, i), visit)
		}
	}
}

func isSchema(path string) bool {
	parts := strings.Split(path, "/")
	last := parts[len(parts)-1]
	before := ""
	if len(parts) > 1 {
		before = parts[len(parts)-2]
	}
	switch before {
	case "properties", "schemas", "patternProperties", "anyOf", "oneOf", "allOf", "prefixItems":
		return true
	}
	return slices.Contains([]string{"schema", "items", "additionalProperties", "propertyNames", "payload", "headers"}, last) && before != "components"
}
