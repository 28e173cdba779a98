package api

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// Every answer that a test gets is held against the served document: its status, its headers, its content
// type and its body.

type document struct {
	compiler *jsonschema.Compiler
	raw      map[string]any
	paths    map[*regexp.Regexp]map[string]string // to the operation's pointer
	mu       sync.Mutex
	compiled map[string]*jsonschema.Schema
}

var described = sync.OnceValue(func() *document {
	raw, err := jsonschema.UnmarshalJSON(bytes.NewReader(openAPI))
	if err != nil {
		panic(err)
	}
	schemasIn(raw, "", strict)
	d := &document{compiler: jsonschema.NewCompiler(), raw: raw.(map[string]any), paths: map[*regexp.Regexp]map[string]string{}, compiled: map[string]*jsonschema.Schema{}}
	d.compiler.AssertFormat()
	if err := d.compiler.AddResource("openapi.json", raw); err != nil {
		panic(err)
	}
	for path, item := range d.raw["paths"].(map[string]any) {
		pattern := regexp.MustCompile("^" + regexp.MustCompile(`\\\{[a-z_]+\\\}`).ReplaceAllString(regexp.QuoteMeta(path), `[^/]+`) + "$")
		d.paths[pattern] = map[string]string{}
		for method := range item.(map[string]any) {
			d.paths[pattern][strings.ToUpper(method)] = "/paths/" + escape(path) + "/" + method
		}
	}
	return d
})

// strict refuses what clients have to tolerate, but this version doesn't say: fields that aren't described, and other words of an open enum.
func strict(path string, s map[string]any) {
	if kinds, _ := s["anyOf"].([]any); len(kinds) > 1 {
		if known, _ := kinds[0].(map[string]any); known["enum"] != nil {
			s["anyOf"] = slices.DeleteFunc(kinds, func(kind any) bool { return reflect.DeepEqual(kind, map[string]any{"type": "string"}) })
		}
	}
	if s["properties"] != nil && !strings.HasSuffix(path, "/CloudEvent") {
		s["additionalProperties"] = false
	}
}

func escape(s string) string {
	return strings.ReplaceAll(strings.ReplaceAll(s, "~", "~0"), "/", "~1")
}

// at follows a pointer, and a reference that it leads to.
func (d *document) at(pointer string) (map[string]any, string) {
	v := any(d.raw)
	for part := range strings.SplitSeq(strings.TrimPrefix(pointer, "/"), "/") {
		m, ok := v.(map[string]any)
		if !ok {
			return nil, pointer
		}
		v = m[strings.ReplaceAll(strings.ReplaceAll(part, "~1", "/"), "~0", "~")]
	}
	m, _ := v.(map[string]any)
	if ref, ok := m["$ref"].(string); ok {
		return d.at(strings.TrimPrefix(ref, "#"))
	}
	return m, pointer
}

func (d *document) schema(t testing.TB, pointer string) *jsonschema.Schema {
	t.Helper()
	d.mu.Lock()
	defer d.mu.Unlock()
	if s := d.compiled[pointer]; s != nil {
		return s
	}
	s, err := d.compiler.Compile("openapi.json#" + strings.ReplaceAll(pointer, "{", "%7B"))
	if err != nil {
		t.Fatalf("%s: %v", pointer, err)
	}
	d.compiled[pointer] = s
	return s
}

func (d *document) valid(t testing.TB, pointer string, body []byte) {
	t.Helper()
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(body))
	if err == nil {
		err = d.schema(t, pointer).Validate(v)
	}
	if err != nil {
		t.Errorf("%s: %v\n%s", pointer, err, body)
	}
}

// ofPage reports whether a path is of the dashboard, which is for people: no part of what is described.
func ofPage(path string) bool {
	return path == "/" || strings.HasPrefix(path, "/batches/") || strings.HasPrefix(path, "/pipelines/") || strings.HasPrefix(path, "/assets/")
}

// conforms checks an answer to a request, which may have asked for a part only; not while the document
// itself is being written.
func conforms(t testing.TB, method, path string, part bool, r *httptest.ResponseRecorder, body []byte) {
	t.Helper()
	if *update {
		return
	}
	d := described()
	operation := ""
	for pattern, methods := range d.paths {
		if has := methods[strings.Replace(method, http.MethodHead, http.MethodGet, 1)]; has != "" && pattern.MatchString(path) {
			operation = has
		}
	}
	if operation == "" { // no such route, or not with this method
		switch {
		case method == http.MethodOptions && r.Code == http.StatusNoContent:
		case ofPage(path):
		case r.Code < 400:
			t.Errorf("%s %s isn't described, and answered %d", method, path, r.Code)
		case len(body) > 0:
			d.valid(t, "/components/schemas/Problem", body)
		}
		return
	}
	response, pointer := d.at(operation + "/responses/" + strconv.Itoa(r.Code))
	if response == nil {
		t.Errorf("%s %s: the status %d isn't described", method, path, r.Code)
		return
	}
	headers, _ := response["headers"].(map[string]any)
	for name := range headers {
		if r.Header().Get(name) == "" {
			t.Errorf("%s %s: %d without %s", method, path, r.Code, name)
		}
	}
	content, _ := response["content"].(map[string]any)
	kind, _, _ := strings.Cut(r.Header().Get("Content-Type"), ";")
	if _, there := content[kind]; !there && (kind != "" || len(content) > 0) {
		t.Errorf("%s %s: %d as %q isn't described", method, path, r.Code, kind)
		return
	}
	if len(body) > 0 && strings.HasSuffix(kind, "json") {
		pointer += "/content/" + escape(kind) + "/schema"
		if whole, _ := d.at(pointer); whole["anyOf"] != nil && !part {
			pointer += "/anyOf/0"
		}
		d.valid(t, pointer, body)
	}
}

// conformsEvent checks the data of a server-sent event. A patch says nothing by itself: what comes of it is
// checked where it is applied, and so is what comes of rows.
func conformsEvent(t testing.TB, path, name, data string) {
	t.Helper()
	schema := "Snapshot"
	if name == "problem" {
		described().valid(t, "/components/schemas/Problem", []byte(data))
		return
	}
	if name == "update-patch" || name == "health-patch" {
		return
	}
	if strings.HasSuffix(name, "-rows") {
		schema = "SnapshotChange"
	}
	if strings.HasPrefix(path, "/v1/batches") {
		schema = map[string]string{"snapshot": "BatchList", "update": "Row", "counts": "Counts", "removed": "RemovedBatch"}[name]
	}
	if path == "/v1/health-events" {
		schema = map[string]string{"health": "HealthEvent", "position": "HealthPosition"}[name]
	}
	if schema == "" {
		t.Errorf("%s: an event %s isn't described", path, name)
		return
	}
	described().valid(t, "/components/schemas/"+schema, []byte(data))
}
