package api

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/headwayhq/headway/pkg/client"
	"github.com/headwayhq/headway/pkg/diagnostics"
	"github.com/headwayhq/headway/pkg/simulator"
)

// describedEvents is asyncapi.json, and a compiler of its schemas.
type describedEvents struct {
	doc      map[string]any
	compiler *jsonschema.Compiler
}

func newDescribedEvents(t *testing.T) *describedEvents {
	t.Helper()
	raw, err := jsonschema.UnmarshalJSON(bytes.NewReader(asyncAPI))
	if err != nil {
		t.Fatal(err)
	}
	d := &describedEvents{raw.(map[string]any), jsonschema.NewCompiler()}
	d.compiler.AssertFormat()
	if err := d.compiler.AddResource("asyncapi.json", raw); err != nil {
		t.Fatal(err)
	}
	return d
}

func (d *describedEvents) schema(t *testing.T, name string) *jsonschema.Schema {
	t.Helper()
	s, err := d.compiler.Compile("asyncapi.json#/components/schemas/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (d *describedEvents) data(name string) map[string]any {
	return d.doc["components"].(map[string]any)["schemas"].(map[string]any)[name].(map[string]any)
}

// titles are the schemas of data, by the type of the event.
var titles = map[string]string{
	diagnostics.TypeBatchV1: "Batch", diagnostics.TypeTierV1: "Tier", diagnostics.TypeJobV1: "Job",
	diagnostics.TypeCollectionV1: "Collection", diagnostics.TypeStageV1: "Stage", diagnostics.TypeHealthV1: "Health", diagnostics.TypeProofV1: "Proof",
	diagnostics.TypeEraseV1: "Erasure",
}

// Every channel has one message with a schema, an operation, and all parameters that occur in its address. Every reference can be
// resolved.
func TestAsyncAPIIsWhole(t *testing.T) {
	d := newDescribedEvents(t)
	if d.doc["asyncapi"] != "3.0.0" {
		t.Error(d.doc["asyncapi"])
	}
	used := map[string]bool{}
	for _, o := range d.doc["operations"].(map[string]any) {
		used[o.(map[string]any)["channel"].(map[string]any)["$ref"].(string)] = true
	}
	variable := regexp.MustCompile(`\{(\w+)\}`)
	for name, c := range d.doc["channels"].(map[string]any) {
		channel := c.(map[string]any)
		var inAddress []string
		for _, m := range variable.FindAllStringSubmatch(channel["address"].(string), -1) {
			inAddress = append(inAddress, m[1])
		}
		slices.Sort(inAddress)
		if parameters := slices.Sorted(maps.Keys(channel["parameters"].(map[string]any))); !slices.Equal(inAddress, parameters) {
			t.Errorf("%s: the address has %v, described are %v", name, inAddress, parameters)
		}
		if len(channel["messages"].(map[string]any)) != 1 || !used["#/channels/"+name] {
			t.Errorf("%s has %v, and is of an operation: %v", name, channel["messages"], used["#/channels/"+name])
		}
	}
	refs := 0
	var walk func(v any)
	walk = func(v any) {
		switch v := v.(type) {
		case map[string]any:
			if ref, ok := v["$ref"].(string); ok {
				refs++
				if found, _ := (&document{raw: d.doc}).at(strings.TrimPrefix(ref, "#")); found == nil {
					t.Errorf("nothing is at %s", ref)
				}
			}
			for _, e := range v {
				walk(e)
			}
		case []any:
			for _, e := range v {
				walk(e)
			}
		}
	}
	if walk(d.doc); refs < 40 {
		t.Errorf("only %d references", refs)
	}
}

// Every event that producers send belongs to exactly one described channel, and fits the channel's message.
func TestAsyncAPIDescribesWhatIsSent(t *testing.T) {
	d := newDescribedEvents(t)
	channels := map[*regexp.Regexp]string{} // to the schema of the message
	for _, c := range d.doc["channels"].(map[string]any) {
		channel := c.(map[string]any)
		address := regexp.MustCompile(`\\\{\w+\\\}`).ReplaceAllString(regexp.QuoteMeta(channel["address"].(string)), `[A-Za-z0-9_=-]+`)
		for _, m := range channel["messages"].(map[string]any) {
			message, _ := (&document{raw: d.doc}).at(strings.TrimPrefix(m.(map[string]any)["$ref"].(string), "#"))
			channels[regexp.MustCompile("^"+address+"$")] = strings.TrimPrefix(message["payload"].(map[string]any)["$ref"].(string), "#/components/schemas/")
		}
	}
	schemas, seen := map[string]*jsonschema.Schema{}, map[string]int{}
	for _, e := range simulator.Events(simulator.Config{Seed: 1, Batches: 40, Start: time.Now().Add(-24 * time.Hour), Dirty: simulator.RealisticDirt()}) {
		if e.Poison {
			continue
		}
		var on []string
		for pattern, schema := range channels {
			if pattern.MatchString(e.Subject) {
				on = append(on, schema)
			}
		}
		if len(on) != 1 {
			t.Fatalf("%s is on channels with %v", e.Subject, on)
		}
		if schemas[on[0]] == nil {
			schemas[on[0]] = d.schema(t, on[0])
		}
		seen[on[0]]++
		v, err := jsonschema.UnmarshalJSON(bytes.NewReader(e.Data))
		if err == nil {
			err = schemas[on[0]].Validate(v)
		}
		if err != nil {
			t.Fatalf("%s: %v\n%s", e.Subject, err, e.Data)
		}
	}
	if len(seen) < 4 {
		t.Errorf("events of few types: %v", seen)
	}
}

// Whatever a schema describes is what the decoder reads: it accepts an event with every field, and knows each; it refuses an event without
// a required field, and one with a value of another kind, as the schema does.
func TestAsyncAPIIsWhatTheDecoderReads(t *testing.T) {
	d := newDescribedEvents(t)
	for event, name := range titles {
		schema := d.schema(t, name+"Event")
		// try decodes and validates an event, and checks that both say the same.
		try := func(what string, data map[string]any, want bool) {
			subject := "headway.events.n.b." + kindOf(name, data)
			text, err := json.Marshal(map[string]any{
				"specversion": "1.0", "id": "1", "source": "s", "type": event, "subject": "b", "time": "2026-03-01T12:00:00Z", "data": data,
			})
			if err != nil {
				t.Fatal(err)
			}
			var decoder diagnostics.Decoder
			_, rejection := decoder.Decode(diagnostics.Message{Subject: subject, Data: text, Stored: time.Now()})
			v, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
			if err != nil {
				t.Fatal(err)
			}
			if invalid := schema.Validate(v); (invalid == nil) != want || (rejection == nil) != want {
				t.Errorf("%s, %s: the schema says %v, the decoder %v, and it is valid: %v\n%s", name, what, invalid, rejection, want, text)
			}
			if unknown := decoder.Unknown(); len(unknown) > 0 {
				t.Errorf("%s, %s: the decoder doesn't know %v", name, what, unknown)
			}
		}
		whole := func() map[string]any { return sample(d.data(name), "").(map[string]any) }
		try("with every field", whole(), true)
		variants(d.data(name), whole, try)
	}
}

// variants tries events that differ from a complete one in one field, at any depth.
func variants(schema map[string]any, whole func() map[string]any, try func(what string, data map[string]any, want bool)) {
	var each func(s map[string]any, path string, in func(root map[string]any) map[string]any)
	each = func(s map[string]any, path string, in func(root map[string]any) map[string]any) {
		required, _ := s["required"].([]any)
		for field, p := range s["properties"].(map[string]any) {
			property, must := p.(map[string]any), slices.Contains(required, any(field))
			change := func(what string, to any, want bool) {
				root := whole()
				if at := in(root); to == nil && what == "without" {
					delete(at, field)
				} else {
					at[field] = to
				}
				try(path+field+" "+what, root, want)
			}
			change("without", nil, !must)
			change("null", nil, !must)
			for kind, value := range map[string]any{"string": "\u00a0no word", "boolean": true, "number": -1.5, "array": []any{}, "object": map[string]any{}} {
				_, words := property["enum"]
				if slices.Contains(kindsOf(property), kind) && (!words || kind != "string") {
					continue
				}
				// What stands for a list that was too large is accepted when a stored wait is sent again, but no producer should send it.
				if kind == "object" && reflect.DeepEqual(property["items"], map[string]any{}) {
					continue
				}
				change("as another "+kind, value, false)
			}
			if inner := property; inner["properties"] != nil {
				each(inner, path+field+".", func(root map[string]any) map[string]any { return in(root)[field].(map[string]any) })
			} else if inner, _ := property["items"].(map[string]any); inner["properties"] != nil {
				each(inner, path+field+"[].", func(root map[string]any) map[string]any { return in(root)[field].([]any)[0].(map[string]any) })
			}
		}
	}
	each(schema, "", func(root map[string]any) map[string]any { return root })
}

// sample is a value with all fields of its schema.
func sample(s map[string]any, field string) any {
	if words, ok := s["enum"].([]any); ok {
		return words[len(words)-2]
	}
	switch kindsOf(s)[0] {
	case "object":
		out := map[string]any{}
		for name, p := range asMap(s["properties"]) {
			out[name] = sample(p.(map[string]any), name)
		}
		return out
	case "array":
		items := asMap(s["items"])
		if s["minItems"] != nil {
			return []any{1, 1}
		}
		if items["type"] == nil && items["properties"] == nil {
			return []any{"x"}
		}
		return []any{sample(items, field)}
	case "integer", "number":
		return 1
	case "boolean":
		return field != "settled" // a settled batch needs a terminal status
	}
	switch {
	case s["format"] == "date-time":
		return "2026-03-01T11:00:00Z"
	case field == "batch_id":
		return "b"
	case field == "namespace":
		return "n"
	}
	return "x"
}

func asMap(v any) map[string]any { m, _ := v.(map[string]any); return m }

func kindOf(name string, data map[string]any) string {
	switch name {
	case "Tier", "Stage":
		return strings.ToLower(name) + "." + fmt.Sprint(1)
	case "Job":
		return "job.x"
	case "Collection":
		return "collection.x"
	case "Proof":
		return "proof.x"
	case "Erasure":
		return "erase"
	}
	return strings.ToLower(name)
}

// Every field that the Go client can send is described.
func TestAsyncAPIHasTheClientsFields(t *testing.T) {
	d := newDescribedEvents(t)
	for name, of := range map[string]reflect.Type{
		"Batch": reflect.TypeFor[client.Batch](), "Tier": reflect.TypeFor[client.Tier](), "Job": reflect.TypeFor[client.Job](),
		"Collection": reflect.TypeFor[client.Collection](), "Stage": reflect.TypeFor[client.Stage](), "Proof": reflect.TypeFor[client.Proof](),
	} {
		hasFields(t, name, of, d.data(name))
	}
}

func hasFields(t *testing.T, path string, of reflect.Type, s map[string]any) {
	t.Helper()
	for i := range of.NumField() {
		name, _, _ := strings.Cut(of.Field(i).Tag.Get("json"), ",")
		property := asMap(asMap(s["properties"])[name])
		if property == nil {
			t.Errorf("%s.%s isn't described", path, name)
			continue
		}
		inner := of.Field(i).Type
		for inner.Kind() == reflect.Pointer || inner.Kind() == reflect.Slice {
			inner = inner.Elem()
		}
		if inner.Kind() == reflect.Struct && inner != reflect.TypeFor[time.Time]() {
			if items := asMap(property["items"]); items != nil {
				property = items
			}
			hasFields(t, path+"."+name, inner, property)
		}
	}
}
