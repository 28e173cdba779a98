package api

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"net/http"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/headwayhq/headway/pkg/diagnostics"
)

// openapi.json and openapi.json.gz are made of openapi.yaml, of the Go types with their comments, and of answers that the code
// really gives.

var openAPI = openAPIText()

func zipped(text []byte) []byte {
	var b bytes.Buffer
	z, _ := gzip.NewWriterLevel(&b, gzip.BestCompression)
	_, _ = z.Write(text) // a buffer takes everything
	_ = z.Close()
	return b.Bytes()
}

var update = flag.Bool("update", false, "write openapi.json anew")

func TestOpenAPIIsUpToDate(t *testing.T) {
	got := generate(t)
	if *update {
		if err := os.WriteFile("openapi.json", got, 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile("openapi.json.gz", zipped(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if written, err := os.ReadFile("openapi.json"); err != nil || !bytes.Equal(got, written) || !bytes.Equal(got, openAPI) {
		t.Error("openapi.json isn't what follows from openapi.yaml, the types and the answers: go test ./services/api -run OpenAPI -update")
	}
}

// Each route is described, but those of the page, and nothing else is.
func TestOpenAPIRoutes(t *testing.T) {
	var doc struct {
		Paths map[string]map[string]json.RawMessage
	}
	if err := json.Unmarshal(openAPI, &doc); err != nil {
		t.Fatal(err)
	}
	var described, served []string
	for path, item := range doc.Paths {
		for method := range item {
			if method != "parameters" {
				described = append(described, strings.ToUpper(method)+" "+path)
			}
		}
	}
	for _, r := range newWorld(t).svc.echo.Routes() {
		if r.Method != http.MethodHead && !ofPage(r.Path) {
			served = append(served, r.Method+" "+strings.ReplaceAll(r.Path, ":batch_id", "{batch_id}"))
		}
	}
	slices.Sort(described)
	slices.Sort(served)
	if !slices.Equal(described, served) {
		t.Errorf("described %v\nserved %v", described, served)
	}
}

func TestOpenAPIIsServed(t *testing.T) {
	w := newWorld(t)
	r := w.status(w.get("/openapi.json"), 200)
	if !bytes.Equal(r.Body.Bytes(), openAPI) {
		t.Error("another document")
	}
	page := w.status(w.get("/docs"), 200)
	policy := page.Header().Get("Content-Security-Policy")
	if !strings.Contains(policy, "default-src 'none'") || strings.Contains(policy, "unsafe") || strings.Count(policy, "sha256-") != 2 {
		t.Error(policy)
	}
	for _, outside := range []string{"http://", "https://", "src=", "@import", "url("} {
		if strings.Contains(page.Body.String(), outside) {
			t.Errorf("the page asks for something outside: %s", outside)
		}
	}
}

func generate(t *testing.T) []byte {
	t.Helper()
	source, err := os.ReadFile("openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var doc map[string]any
	if err := yaml.Unmarshal(source, &doc); err != nil {
		t.Fatal(err)
	}
	s := schemas{out: doc["components"].(map[string]any)["schemas"].(map[string]any), comments: comments(t, "../../pkg/diagnostics/internal/event", "../../pkg/diagnostics/internal/cause", "../../pkg/diagnostics/internal/judge", "../../pkg/diagnostics/internal/answer", ".")}
	for _, of := range []reflect.Type{
		reflect.TypeFor[diagnostics.Snapshot](), reflect.TypeFor[diagnostics.Explanation](), reflect.TypeFor[diagnostics.Row](), reflect.TypeFor[Problem](),
	} {
		s.schema(of)
	}
	s.part("Snapshot")
	s.part("Explanation")
	examples := examples(t)
	doc = fill(t, doc, func(word string) any {
		switch {
		case word == "go:Snapshot":
			return fieldsOf[diagnostics.Snapshot]()
		case word == "go:Explanation":
			return fieldsOf[diagnostics.Explanation]()
		case word == "go:CauseCodes":
			return diagnostics.CauseCodes()
		case strings.HasPrefix(word, "go:"):
			e, known := examples[strings.TrimPrefix(word, "go:")]
			if !known {
				t.Fatalf("no examples %s", word)
			}
			return e
		}
		return word
	}).(map[string]any)
	out, err := json.MarshalIndent(doc, "", "") // one member a line for reviews; indentation would make the program 60 KB larger
	if err != nil {
		t.Fatal(err)
	}
	return append(out, '\n')
}

func fill(t *testing.T, v any, word func(string) any) any {
	t.Helper()
	switch v := v.(type) {
	case map[string]any:
		for k, e := range v {
			v[k] = fill(t, e, word)
		}
	case []any:
		for i, e := range v {
			v[i] = fill(t, e, word)
		}
	case string:
		return word(v)
	}
	return v
}

// schemas are made by reflection, and nullable where the Go type is. They allow other fields, because a later version of the API may
// add some; strict closes them for our own tests.
type schemas struct {
	out      map[string]any
	comments map[string]string
}

// words are the fields whose values are of a few words.
var fieldWords = map[string]any{
	"Snapshot.status": map[string]any{"$ref": "#/components/schemas/Status"}, "Row.status": map[string]any{"$ref": "#/components/schemas/Status"},
	"Explanation.status":                  map[string]any{"$ref": "#/components/schemas/Status"},
	"TierDiagnostic.status":               enum("PENDING", "PROCESSING", "COMPLETED", "FAILED", "SKIPPED", "CANCELED"),
	"TierDiagnostic.ray_job_status":       enum("PENDING", "RUNNING", "SUCCEEDED", "FAILED", "STOPPED", nil),
	"JobDiagnostic.status":                enum("PENDING", "RUNNING", "SUCCEEDED", "FAILED", "STOPPED"),
	"CollectionDiagnostic.status":         enum("ready", "processing", "empty"),
	"Insight.type":                        openEnum("bottleneck", "optimization", "warning"),
	"Insight.severity":                    enum("info", "warning", "critical"),
	"ETA.confidence":                      enum("low", "medium", "high"),
	"Action.kind":                         openEnum("open", "logs", "stop", "retry", "resubmit", "resize"),
	"TimelineEntry.kind":                  openEnum("batch", "tier", "job", "health"),
	"Snapshot.failure_category":           openEnum("infrastructure", "timeout", "orphaned", "pipeline", nil),
	"WaitingOn.kind":                      openEnum("resources", "runtime_env", "node_launch", "image_pull", "quota"),
	"Case.finding":                        enum("moving", "waiting", "stuck"),
	"Snapshot.labels":                     objectOrNull,
	"Row.labels":                          objectOrNull,
	"TierDiagnostic.submission_params":    objectOrNull,
	"JobDiagnostic.resources":             objectOrNull,
	"Cause.code":                          causeCode,
	"Row.cause":                           anyOf(causeCode, map[string]any{"type": "null"}),
	"Change.cause":                        anyOf(causeCode, map[string]any{"type": "null"}),
	"Cause.demand":                        map[string]any{"description": "what is asked for, as its source says it"},
	"Cause.offered":                       map[string]any{"description": "what is there, as its source says it"},
	"Cause.holders":                       listOf("who holds what is waited for"),
	"Cause.fixes":                         listOf("what would help"),
	"Cause.asked":                         listOf("what was asked, and what answered"),
	"Message.params":                      map[string]any{"type": "object", "additionalProperties": map[string]any{"type": "string"}},
	"Cause.certainty":                     enum("known", "inferred", "unknown"),
	"Cause.who_acts":                      enum("pipeline", "platform", "orchestrator", "producer", "nobody", nil),
	"Cause.waiting_helps":                 enum("yes", "perhaps", "no", nil),
	"Subject.kind":                        openEnum("batch", "tier", "job", "collection", "source"),
	"WaitingOn.demand":                    map[string]any{"description": "what is asked for, as the cluster says it"},
	"WaitingOn.offered":                   map[string]any{"description": "what is there, as the cluster says it"},
	"Problem.success":                     map[string]any{"type": "boolean", "const": false},
	"ProblemError.details":                map[string]any{"type": "object"},
	"Snapshot.overall_progress":           percentage,
	"Progress.percentage":                 percentage,
	"Snapshot.failed_documents_sample":    map[string]any{"type": "array", "maxItems": 10, "items": map[string]any{"type": "string"}},
	"Snapshot.insights":                   map[string]any{"type": "array", "maxItems": 10, "items": map[string]any{"$ref": "#/components/schemas/Insight"}},
	"Snapshot.tiers":                      map[string]any{"type": "array", "items": map[string]any{"$ref": "#/components/schemas/TierDiagnostic"}},
	"PerformanceSummary.bottlenecks":      map[string]any{"type": "array", "items": map[string]any{"type": "string"}},
	"HealthEvidence.signal":               map[string]any{"type": "string"},
	"ErrorDiagnostic.recovery_suggestion": map[string]any{"type": []any{"string", "null"}},
}

var causeCode = map[string]any{"$ref": "#/components/schemas/CauseCode"}

// listOf describes a list of whatever its source says: texts, objects.
func listOf(what string) map[string]any {
	return map[string]any{"type": "array", "items": map[string]any{}, "description": what}
}

var percentage = map[string]any{"type": "number", "format": "double", "minimum": 0, "maximum": 100}

// enum is one of these words, or null where the last one is nil. No word is added to it within v1.
func enum(words ...any) map[string]any {
	if last := len(words) - 1; words[last] == nil {
		return anyOf(enum(words[:last]...), map[string]any{"type": "null"})
	}
	return map[string]any{"type": "string", "enum": words}
}

// openEnum is an enum to which a later version may add words.
func openEnum(words ...any) map[string]any {
	if last := len(words) - 1; words[last] == nil {
		return anyOf(enum(words[:last]...), map[string]any{"type": "string"}, map[string]any{"type": "null"})
	}
	return anyOf(enum(words...), map[string]any{"type": "string"})
}

func anyOf(kinds ...any) map[string]any { return map[string]any{"anyOf": kinds} }

var objectOrNull = map[string]any{"type": []any{"object", "null"}}

func (s *schemas) schema(t reflect.Type) map[string]any {
	switch {
	case t == reflect.TypeFor[time.Time]():
		return map[string]any{"type": "string", "format": "date-time"}
	case t == reflect.TypeFor[diagnostics.Health]():
		return map[string]any{"$ref": "#/components/schemas/Health"}
	case t == reflect.TypeFor[json.RawMessage]():
		return map[string]any{}
	}
	switch t.Kind() {
	case reflect.Pointer:
		inner := s.schema(t.Elem())
		if kind, plain := inner["type"].(string); plain {
			inner["type"] = []any{kind, "null"}
			return inner
		}
		return anyOf(inner, map[string]any{"type": "null"})
	case reflect.Slice:
		return map[string]any{"type": "array", "items": s.schema(t.Elem())}
	case reflect.Array:
		return map[string]any{"type": "array", "items": s.schema(t.Elem()), "minItems": t.Len(), "maxItems": t.Len()}
	case reflect.String:
		return map[string]any{"type": "string"}
	case reflect.Bool:
		return map[string]any{"type": "boolean"}
	case reflect.Int, reflect.Int64, reflect.Uint64:
		return map[string]any{"type": "integer", "format": "int64"}
	case reflect.Float64:
		return map[string]any{"type": "number", "format": "double"}
	case reflect.Map:
		return map[string]any{"type": "object"}
	case reflect.Struct:
		s.object(t)
		return map[string]any{"$ref": "#/components/schemas/" + t.Name()}
	}
	panic("no schema for " + t.String())
}

// part describes what fields= leaves of a type: some of its fields, each as in the whole.
func (s *schemas) part(name string) {
	s.out[name+"Part"] = map[string]any{
		"type": "object", "description": "The fields of " + name + " that `fields` asks for.", "minProperties": 1,
		"properties": s.out[name].(map[string]any)["properties"],
	}
}

func (s *schemas) object(t reflect.Type) {
	if s.out[t.Name()] != nil {
		return
	}
	properties, required := map[string]any{}, []any{}
	o := map[string]any{"type": "object", "properties": properties}
	s.out[t.Name()] = o
	if text := s.comments[t.Name()]; text != "" {
		o["description"] = text
	}
	for i := range t.NumField() {
		f := t.Field(i)
		name, options, tagged := strings.Cut(f.Tag.Get("json"), ",")
		if !f.IsExported() || name == "" && !tagged {
			continue
		}
		p, known := fieldWords[t.Name()+"."+name].(map[string]any)
		if !known {
			p = s.schema(f.Type)
		} else {
			s.schema(f.Type) // for the types in it
		}
		if text := s.comments[t.Name()+"."+f.Name]; text != "" {
			p = maps.Clone(p) // fields share it
			p["description"] = text
		}
		properties[name] = p
		if !strings.Contains(options, "omitempty") {
			required = append(required, name)
		}
	}
	o["required"] = required
}

// comments are those of the types and of their fields.
func comments(t *testing.T, folders ...string) map[string]string {
	t.Helper()
	out := map[string]string{}
	for _, folder := range folders {
		files, err := os.ReadDir(folder)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			if !strings.HasSuffix(f.Name(), ".go") || strings.HasSuffix(f.Name(), "_test.go") {
				continue
			}
			parsed, err := parser.ParseFile(token.NewFileSet(), folder+"/"+f.Name(), nil, parser.ParseComments)
			if err != nil {
				t.Fatal(err)
			}
			for _, d := range parsed.Decls {
				if g, ok := d.(*ast.GenDecl); ok {
					commentsOf(g, out)
				}
			}
		}
	}
	return out
}

func commentsOf(g *ast.GenDecl, out map[string]string) {
	one := func(c *ast.CommentGroup) string { return strings.Join(strings.Fields(c.Text()), " ") }
	for _, spec := range g.Specs {
		named, ok := spec.(*ast.TypeSpec)
		if !ok {
			continue
		}
		out[named.Name.Name] = one(g.Doc)
		s, ok := named.Type.(*ast.StructType)
		if !ok {
			continue
		}
		for _, f := range s.Fields.List {
			for _, name := range f.Names {
				out[named.Name.Name+"."+name.Name] = strings.TrimSpace(one(f.Doc) + " " + one(f.Comment))
			}
		}
	}
}

// examples are answers of the code: stories' for snapshots, requests' for lists and problems.
func examples(t *testing.T) map[string]any {
	t.Helper()
	out := map[string]any{}
	snapshots, explanations := map[string]any{}, map[string]any{}
	for name, from := range map[string]struct {
		file string
		at   int
	}{
		"ok": {"03-healthy-run", 2}, "scaling": {"04-gpu-node-in-time", 0}, "stuck": {"07-infeasible-at-the-entrypoint", 1},
		"degraded": {"19-failed-tier", 0}, "completed": {"43-stage-dominates", 1}, "completed_with_errors": {"29-completed-with-errors", 0},
	} {
		text, err := os.ReadFile("../../pkg/diagnostics/testdata/stories/" + from.file + ".golden.json")
		if err != nil {
			t.Fatal(err)
		}
		var told []struct{ Answer, Explain json.RawMessage }
		if err := json.Unmarshal(text, &told); err != nil {
			t.Fatal(err)
		}
		snapshots[name], explanations[name] = example(told[from.at].Answer), example(told[from.at].Explain)
	}
	out["snapshots"], out["explanations"] = snapshots, explanations

	w := newWorld(t)
	noon := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for _, f := range w.shelf.fence {
		f.asOf = noon.Add(time.Minute)
	}
	w.shelf.sayAt(t, listKey("nightly-42"), "batch", `{"status":"PROCESSING","name":"Nightly","pipeline":"media","labels":{"team":"search"}}`, noon)
	w.shelf.sayAt(t, listKey("nightly-41"), "batch", `{"status":"COMPLETED"}`, noon.Add(-24*time.Hour))
	out["lists"] = map[string]any{"page": example(w.get("/v1/batches").Body.Bytes())}

	problems := func(name string, all map[string]*problemError) {
		e := map[string]any{}
		for kind, p := range all {
			body, err := json.Marshal(p.p)
			if err != nil {
				t.Fatal(err)
			}
			e[kind] = example(body)
		}
		out["problems "+name] = e
	}
	const posted = `[{"specversion":"1.0","id":"1","source":"s","type":"dev.headway.tier.v1","subject":"b","time":"2026-03-01T12:00:00Z","data":{"tier_num":-1}}]`
	refused := w.do(http.MethodPost, "/v1/events", strings.NewReader(posted), "Content-Type", batchType)
	out["problems events"] = map[string]any{
		"invalid_events": example(refused.Body.Bytes()),
		"bad_body":       example(w.do(http.MethodPost, "/v1/events", strings.NewReader("{}"), "Content-Type", batchType).Body.Bytes()),
	}
	out["problems 400"] = map[string]any{
		"validation_error": example(w.get("/v1/batches?limit=0").Body.Bytes()), "unknown_parameter": example(w.get("/v1/batches?satus=FAILED").Body.Bytes()),
	}
	out["problems 415"] = map[string]any{"unsupported_media_type": example(w.do(http.MethodPost, "/v1/events", strings.NewReader("{}")).Body.Bytes())}
	problems("404", map[string]*problemError{"not_found": notFound(time.Time{}), "events_gone": notFound(noon.Add(-30 * 24 * time.Hour))})
	problems("408", map[string]*problemError{"body_too_slow": asProblem((&intake{progress: 16 << 10, err: os.ErrDeadlineExceeded}).problem())})
	problems("413", map[string]*problemError{"payload_too_large": asProblem(&http.MaxBytesError{Limit: 16 << 20})})
	problems("429", map[string]*problemError{"too_many_streams": tooMany("streams"), "too_many_waiting_streams": tooMany("waiting_streams"), "too_many_requests": tooMuch()})
	problems("500", map[string]*problemError{"internal_error": asProblem(os.ErrInvalid)})
	problems("503", map[string]*problemError{
		"views_rebuilding": notReady(), "views_stale": stale(45 * time.Second), "unavailable": unavailable(nil),
		"backend_timeout":  unavailable(&waitedError{"Redis", storeWithin, nil}),
		"not_acknowledged": notAcknowledged(&waitedError{"NATS", storeWithin, nil}),
	})
	return out
}

func example(value []byte) map[string]any {
	var v any
	d := json.NewDecoder(bytes.NewReader(value))
	d.UseNumber()
	if err := d.Decode(&v); err != nil {
		panic(fmt.Sprintf("%v: %s", err, value))
	}
	return map[string]any{"value": v}
}
