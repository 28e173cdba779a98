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

var update = flag.Bool("update", false, "write openapi.json and asyncapi.json anew")

// The descriptions as the program has them. The files for reviews and generators beside them have the same text.
var openAPI, asyncAPI = unzipped(openAPIZipped), unzipped(asyncAPIZipped)

func TestOpenAPIIsUpToDate(t *testing.T) {
	got := generate(t)
	if *update {
		writeDescription(t, "openapi.json", got)
		return
	}
	if written, err := os.ReadFile("openapi.json"); err != nil || !bytes.Equal(got, written) || !bytes.Equal(got, openAPI) {
		t.Error("openapi.json isn't what follows from openapi.yaml, the types and the answers: go test ./services/api -run OpenAPI -update")
	}
}

// The program contains the compressed descriptions, and whoever makes a client reads the others.
func TestOpenAPIZippedIsTheSame(t *testing.T) {
	for name, zipped := range map[string][]byte{"openapi.json": openAPIZipped, "asyncapi.json": asyncAPIZipped} {
		plain, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if !*update && !bytes.Equal(plain, unzipped(zipped)) {
			t.Errorf("%s.gz isn't %s: go test ./services/api -run API -update", name, name)
		}
	}
}

// Every route except those of the page is described, and nothing else is.
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
			served = append(served, r.Method+" "+inBraces(r.Path))
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
	for path, text := range map[string][]byte{"/openapi.json": openAPI, "/asyncapi.json": asyncAPI} {
		if r := w.status(w.get(path), 200); !bytes.Equal(r.Body.Bytes(), text) {
			t.Errorf("%s: another document", path)
		}
		r := w.status(w.do(http.MethodGet, path, nil, "Accept-Encoding", "gzip"), 200)
		if r.Header().Get("Content-Encoding") != "gzip" || !bytes.Equal(unzipped(r.Body.Bytes()), text) {
			t.Errorf("%s: another document to who accepts gzip", path)
		}
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

// writeDescription writes a description twice: as it is, and compressed.
func writeDescription(t *testing.T, name string, text []byte) {
	t.Helper()
	var zipped bytes.Buffer
	w, _ := gzip.NewWriterLevel(&zipped, gzip.BestCompression)
	if _, err := w.Write(text); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	for file, content := range map[string][]byte{name: text, name + ".gz": zipped.Bytes()} {
		if err := os.WriteFile(file, content, 0o644); err != nil {
			t.Fatal(err)
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
		reflect.TypeFor[diagnostics.Snapshot](), reflect.TypeFor[diagnostics.Explanation](), reflect.TypeFor[diagnostics.Row](), reflect.TypeFor[diagnostics.Run](), reflect.TypeFor[Problem](),
		reflect.TypeFor[diagnostics.SnapshotChange](), reflect.TypeFor[Me](), reflect.TypeFor[AccessKey](), reflect.TypeFor[Ticket](), reflect.TypeFor[SignInOptions](), reflect.TypeFor[PublicToken](),
	} {
		s.schema(of)
	}
	s.part("Snapshot")
	s.part("Explanation")
	describeAccess(t, doc)
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
	out["finished"] = map[string]any{"page": example(w.get("/v1/batches/history?from=2026-02-28&to=2026-02-28").Body.Bytes())}
	out["runs"] = map[string]any{"page": example(w.get("/v1/pipelines/media/runs").Body.Bytes())}
	out["groups"] = map[string]any{"cause": example(w.get("/v1/batches/groups").Body.Bytes())}

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
	out["problems 401"], out["problems 403"], out["problems keys"] = accessProblems(t)
	out["problems 421"] = map[string]any{"misdirected_request": guarded(http.MethodGet, "evil.example")}
	moment := &pastReader{past: &past{most: 1_000_000}, at: noon}
	problems("404", map[string]*problemError{
		"not_found": notFound(time.Time{}), "events_gone": notFound(noon.Add(-30 * 24 * time.Hour)), "before_first_event": moment.before(noon.Add(time.Minute)),
	})
	problems("erased", map[string]*problemError{"erased": erasedProblem("nightly-42", noon)})
	problems("410", map[string]*problemError{"erased": erasedProblem("nightly-42", noon), "moment_gone": moment.tooLate(noon.Add(7*24*time.Hour), noon.Add(2*24*time.Hour), []diagnostics.TimelineEntry{
		{At: noon.Add(-time.Hour), Kind: "batch", Subject: "nightly-42", Change: "started"},
	})})
	problems("422", map[string]*problemError{"too_many_events": moment.tooMany()})
	problems("408", map[string]*problemError{"body_too_slow": asProblem((&intake{progress: 16 << 10, err: os.ErrDeadlineExceeded}).problem())})
	problems("413", map[string]*problemError{"payload_too_large": asProblem(&http.MaxBytesError{Limit: 16 << 20})})
	key, team := whose{ofPrincipal, "key", "4wZk2QeXb0Pm"}, ofThe("team-a")
	problems("429", map[string]*problemError{
		"requests_per_second": overRate(requestRate, key, &quota{requestRate: 500}, time.Second),
		"events_per_second":   overRate(eventRate, team, &quota{eventRate: 10_000}, 2*time.Second),
		"streams":             tooManyStreams(openStreams, team, 5_000), "waiting_streams": tooManyStreams(waitingStreams, key, 100),
		"body_bytes": tooMuch(team, 64<<20), "active_batches": tooManyBatches(activeBatches, "team-a", 200, 200),
	})
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
