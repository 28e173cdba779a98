package api

import (
	"bytes"
	"encoding/json"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// asyncapi.json is made of asyncapi.yaml and of the tables of docs/events.md. What it says is held against the decoder in
// asyncapi_events_test.go.

func TestAsyncAPIIsUpToDate(t *testing.T) {
	got := generateAsync(t)
	if *update {
		writeDescription(t, "asyncapi.json", got)
		return
	}
	if !bytes.Equal(got, asyncAPI) {
		t.Error("asyncapi.json isn't what follows from asyncapi.yaml and docs/events.md: go test ./services/api -run AsyncAPI -update")
	}
}

func generateAsync(t *testing.T) []byte {
	t.Helper()
	source, err := os.ReadFile("asyncapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var doc map[string]any
	if err := yaml.Unmarshal(source, &doc); err != nil {
		t.Fatal(err)
	}
	components := doc["components"].(map[string]any)
	schemas, messages := components["schemas"].(map[string]any), components["messages"].(map[string]any)
	for _, table := range eventTables(t) {
		name := strings.ToUpper(table.kind[:1]) + table.kind[1:]
		schemas[name] = table.schema
		schemas[name+"Event"] = map[string]any{"allOf": []any{
			map[string]any{"$ref": "#/components/schemas/CloudEvent"},
			map[string]any{"type": "object", "properties": map[string]any{
				"type": map[string]any{"type": "string", "const": table.event}, "data": map[string]any{"$ref": "#/components/schemas/" + name},
			}},
		}}
		messages[table.kind] = map[string]any{
			"name": table.event, "title": name, "contentType": "application/cloudevents+json",
			"payload": map[string]any{"$ref": "#/components/schemas/" + name + "Event"},
		}
	}
	out, err := json.MarshalIndent(doc, "", "") // as openapi.json
	if err != nil {
		t.Fatal(err)
	}
	return append(out, '\n')
}

// eventTable is the schema of the data of one type of events, from its table.
type eventTable struct {
	kind, event string
	schema      map[string]any
}

var (
	eventHeading = regexp.MustCompile("^### (\\w+): `(.*)`$")
	eventRow     = regexp.MustCompile(`^\| (.+?) \| (.*?) ?\| ?(.*?) ?\|$`)
	eventField   = regexp.MustCompile("`([a-z0-9_.\\[\\]]+)`(\\*?)")
	eventWord    = regexp.MustCompile("`(\\w+)`")
)

func eventTables(t *testing.T) []*eventTable {
	t.Helper()
	page, err := os.ReadFile("../../docs/events.md")
	if err != nil {
		t.Fatal(err)
	}
	var tables []*eventTable
	for line := range strings.Lines(string(page)) {
		line = strings.TrimSuffix(line, "\n")
		if h := eventHeading.FindStringSubmatch(line); h != nil {
			tables = append(tables, &eventTable{strings.ToLower(h[1]), h[2], map[string]any{"type": "object", "properties": map[string]any{}}})
		}
		if strings.HasPrefix(line, "## ") && len(tables) > 0 {
			break
		}
		r := eventRow.FindStringSubmatch(line)
		if r == nil || len(tables) == 0 || !strings.HasPrefix(r[1], "`") {
			continue
		}
		for _, f := range eventField.FindAllStringSubmatch(r[1], -1) {
			kind := fieldKind(t, r[2], r[3])
			if f[2] == "" {
				kind = nullable(kind)
			}
			if text := remark(r[2], r[3]); text != "" {
				kind["description"] = text
			}
			put(tables[len(tables)-1].schema, f[1], f[2] == "*", kind)
		}
	}
	if len(tables) != 8 {
		t.Fatalf("docs/events.md has %d tables of event types, not 8", len(tables))
	}
	return tables
}

// fieldKind translates what a table says of a field's type. Words are those that the third column lists up to a semicolon.
func fieldKind(t *testing.T, kind, text string) map[string]any {
	t.Helper()
	id := map[string]any{"type": "string", "minLength": 1, "maxLength": 384}
	list := func(of map[string]any) map[string]any { return map[string]any{"type": "array", "items": of} }
	whole := func(from, to int64) map[string]any {
		return map[string]any{"type": "integer", "format": "int64", "minimum": from, "maximum": to}
	}
	amount := map[string]any{"type": "number", "format": "double", "minimum": 0}
	switch kind {
	case "text", "key text", "text or null":
		return map[string]any{"type": "string"}
	case "up to 8,192 characters":
		return map[string]any{"type": "string"} // more is cut off
	case "up to 128 characters":
		return map[string]any{"type": "string", "maxLength": 128}
	case "id", "batch id":
		return id
	case "word":
		words, _, _ := strings.Cut(text, ";")
		var all []any
		for _, w := range eventWord.FindAllStringSubmatch(words, -1) {
			all = append(all, w[1])
		}
		return enum(all...)
	case "time":
		return map[string]any{"type": "string", "format": "date-time"}
	case "boolean":
		return map[string]any{"type": "boolean"}
	case "count":
		return whole(0, 1<<53)
	case "integer":
		return whole(-1<<53, 1<<53)
	case "1–10,000":
		return whole(1, 10_000)
	case "0–10,000":
		return whole(0, 10_000)
	case "0–9,999":
		return whole(0, 9_999)
	case "number, at least 0":
		return amount
	case "object":
		return map[string]any{"type": "object"}
	case "fields":
		return map[string]any{"type": "object", "properties": map[string]any{}}
	case "list":
		return list(map[string]any{})
	case "list of ids":
		return list(id)
	case "list of key text", "list of words":
		return list(map[string]any{"type": "string"})
	case "list of `[upper_ms, count]`":
		return list(map[string]any{"type": "array", "items": amount, "minItems": 2, "maxItems": 2})
	}
	t.Fatalf("docs/events.md: %q is no type that this test knows", kind)
	return nil
}

// remark is what a table says of a field, as plain text and without the words that are its enum.
func remark(kind, text string) string {
	if kind == "word" {
		_, text, _ = strings.Cut(text, "; ")
	}
	return strings.NewReplacer("`", "", "[", "", "](causes.md)", "").Replace(text)
}

func nullable(s map[string]any) map[string]any {
	s = maps.Clone(s)
	s["type"] = []any{s["type"], "null"}
	if words, ok := s["enum"].([]any); ok {
		s["enum"] = append(slices.Clone(words), nil)
	}
	return s
}

// put sets the property with a path such as tiers[].collections[].collection_id, and makes the lists and objects above it.
func put(s map[string]any, path string, required bool, kind map[string]any) {
	first, rest, deep := strings.Cut(path, ".")
	name, listed := strings.CutSuffix(first, "[]")
	if s["properties"] == nil {
		s["type"], s["properties"] = "object", map[string]any{}
	}
	properties := s["properties"].(map[string]any)
	if !deep {
		properties[name] = kind
		if required {
			all, _ := s["required"].([]any)
			s["required"] = append(all, name)
		}
		return
	}
	inner, there := properties[name].(map[string]any)
	if !there {
		inner = nullable(map[string]any{"type": "object", "properties": map[string]any{}})
		if listed {
			inner = nullable(map[string]any{"type": "array", "items": map[string]any{}})
		}
		properties[name] = inner
	}
	if listed {
		inner = inner["items"].(map[string]any)
	}
	put(inner, rest, required, kind)
}
