package event

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// Unknown fields are reported in every form and order of an event, and the report doesn't carry over to the next event.
func TestDecodeNamesUnknownFields(t *testing.T) {
	for _, c := range []struct{ kind, subject, data, unknown string }{
		{"tier", "tier.1", `{"tier_num":1,"processed_documents":5}`, ""},
		{"tier", "tier.1", `{"tier_num":1,"processed_document":5}`, "data.processed_document"},
		{"tier", "tier.1", `{"tier_num":1,"a":{"b":[1,{"c":2}]},"counts":{"read":1},"errors":[{"error_type":"e","message":"m"},
			{"error_type":"e","message":"m","kind":1}]}`, "data.a data.counts.read data.errors[].kind"},
		{"batch", "batch", `{"tiers":[{"tier_num":0,"x":1},{"tier_num":1,"x":{},"collections":[{"collection_id":"c","n":1}]}]}`,
			"data.tiers[].x data.tiers[].collections[].n"},
		{"batch", "batch", `{"labels":{"any":"thing"}}`, ""},
		{"job", "job.j", `{"tier_num":1,"submission_id":"j","status":"PENDING","resources":{"cpus":1},"submission_params":{"any":{"thing":1}},
			"waiting_on":{"kind":"quota","since":"2026-03-01T11:00:00Z","why":"x","demand":{"GPU":1},"offered":{"CPU":1}}}`,
			"data.resources.cpus data.waiting_on.why"},
		{"collection", "collection.c", `{"collection_id":"c","documents":1}`, "data.documents"},
		{"stage", "stage.1", `{"tier_num":1,"stage":"s","a\u002db":1,"":2,"\u001b[2J":3,"` + strings.Repeat("k", 200) + `":4}`,
			`data.a-b data[""] data["\x1b[2J"] data["` + strings.Repeat("k", 64) + `"]`},
		{"batch.health.changed", "health", `{"ordinal":1,"batch_id":"b","namespace":"n","from":"ok","to":"ok","revision":"r",
			"as_of":"2026-03-01T11:00:00Z","evidence":{"any":1},"urgency":1}`, "data.urgency"},
	} {
		var d Decoder
		late := strings.Replace(inEnvelope(c.kind, "{}"), `"data":{}`, `"later":1`, 1)
		for _, body := range []string{inEnvelope(c.kind, c.data), strings.Replace(late, "{", `{"data":`+c.data+",", 1)} {
			if _, r := d.Decode(onStream(c.subject, body)); r != nil {
				t.Fatalf("refused %s: %v", body, r)
			}
			want(t, c.data, strings.Join(d.Unknown(), " "), c.unknown)
		}
		if _, r := d.Decode(tierMessage()); r != nil || d.Unknown() != nil {
			t.Errorf("after %s the next event has the unknown fields %q (refused: %v)", c.data, d.Unknown(), r)
		}
	}
}

func TestDecodeBoundsUnknownFields(t *testing.T) {
	var many strings.Builder
	for i := range 1000 {
		fmt.Fprintf(&many, `,"x%d":0`, i)
	}
	var d Decoder
	if _, r := d.Decode(onStream("tier.1", inEnvelope("tier", `{"tier_num":1`+many.String()+`}`))); r != nil {
		t.Fatal(r)
	}
	want(t, "names", fmt.Sprint(len(d.Unknown()))+d.Unknown()[15], "16data.x15")
	if _, r := d.Decode(onStream("tier.1", inEnvelope("tier", `{"x":0}`))); r == nil || d.Unknown() != nil {
		t.Errorf("refused: %v, with the unknown fields %q", r, d.Unknown())
	}
}

func TestHint(t *testing.T) {
	for _, c := range []struct {
		kind          Type
		unknown, hint string
	}{
		{TypeTier, "data.processed_document", "processed_document isn't a field; processed_documents?"},
		{TypeTier, "data.processedDocuments", "processedDocuments isn't a field; processed_documents?"},
		{TypeTier, "data.counts.writen", "counts.writen isn't a field; written?"},
		{TypeBatch, "data.tiers[].require_gpu", "tiers[].require_gpu isn't a field; requires_gpu?"},
		{TypeBatch, "data.tiers[].collections[].colection_id", "tiers[].collections[].colection_id isn't a field; collection_id?"},
		{TypeHealth, "data.form", "form isn't a field; from?"},
		{TypeHealth, "data.at", "at isn't a field"},                        // too short for a guess
		{TypeBatch, "data.progress", "progress isn't a field"},             // far from all
		{TypeBatch, "data.submission_idd", "submission_idd isn't a field"}, // a job has it
		{TypeUnknown, "data.stauts", "stauts isn't a field"},
		{TypeTier, `data["\x1b"]`, `data["\x1b"] isn't a field`},
	} {
		want(t, c.unknown, Hint(c.kind, c.unknown), c.hint)
	}
}

// The table of fields lists exactly the keys in the decoder's switch statements; this test reads them from the source.
func TestFieldsAreThoseRead(t *testing.T) {
	objects := map[string]string{
		"batchFacts": "batch", "tierPlan": "batch.tiers[]", "collectionPlan": "batch.tiers[].collections[]",
		"tierFacts": "tier", "counts": "tier.counts", "errorFact": "tier.errors[]",
		"jobFacts": "job", "resources": "job.resources", "waitingOn": "job.waiting_on",
		"collectionFacts": "collection", "stageFacts": "stage", "healthFacts": "health", "proofFacts": "proof",
	}
	read := map[string]string{}
	for _, file := range []string{"decode_facts.go", "decode_job.go", "decode_proof.go"} {
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, decl := range parsed.Decls {
			f, ok := decl.(*ast.FuncDecl)
			if !ok {
				continue
			}
			if fields, unknown := casesOfKey(f); unknown {
				object, ok := objects[f.Name.Name]
				if !ok {
					t.Errorf("%s reads an object that the table of fields doesn't know", f.Name.Name)
				}
				read[object] = strings.Join(fields, " ")
			}
		}
	}
	if !maps.Equal(read, dataFields) {
		for _, object := range slices.Sorted(maps.Keys(read)) {
			want(t, object, dataFields[object], read[object])
		}
		want(t, "objects", len(dataFields), len(read))
	}
}

// casesOfKey returns the keys in a function's switch, and whether the function reports unknown ones.
func casesOfKey(f *ast.FuncDecl) (fields []string, unknown bool) {
	ast.Inspect(f, func(n ast.Node) bool {
		clause, ok := n.(*ast.CaseClause)
		if !ok {
			return true
		}
		for _, e := range clause.List {
			if literal, ok := e.(*ast.BasicLit); ok && literal.Kind == token.STRING {
				if text, err := strconv.Unquote(literal.Value); err == nil {
					fields = append(fields, text)
				}
			}
		}
		for _, s := range clause.Body {
			if e, ok := s.(*ast.ExprStmt); ok && clause.List == nil {
				call, _ := e.X.(*ast.CallExpr)
				selector, _ := call.Fun.(*ast.SelectorExpr)
				unknown = unknown || selector != nil && selector.Sel.Name == "unknown"
			}
		}
		return true
	})
	return fields, unknown
}
