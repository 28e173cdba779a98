package event

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"
	"unicode/utf16"
)

// encodeEvent writes an event as a producer would, with the standard library.
func encodeEvent(t *testing.T, e *Event) []byte {
	data := map[string]any{}
	raw := func(key string, v Opt[string]) {
		if v.Set {
			data[key] = json.RawMessage(v.V)
		}
	}
	switch e.Type {
	case TypeBatch:
		f := &e.BatchFacts
		encodeStatus(f.Status, data)
		data["attempt"], data["settled"] = f.Attempt, f.Settled
		encodeOpts(data, map[string]Opt[string]{"name": f.Name, "pipeline": f.Pipeline, "owner": f.Owner, "retry_of": f.RetryOf,
			"bucket_id": f.BucketID, "error": f.Error, "error_type": f.ErrorType})
		encodeOpts(data, map[string]Opt[int64]{"total_tiers": f.TotalTiers, "total_objects": f.TotalObj})
		encodeTimes(data, map[string]Opt[int64]{"created_at": f.CreatedAt, "submitted_at": f.SubmittedAt,
			"started_at": f.StartedAt, "completed_at": f.CompletedAt})
		raw("labels", f.LabelsJSON)
		plans := []any{}
		for _, p := range f.Tiers {
			collections := []any{}
			for _, c := range p.Collections {
				m := map[string]any{"collection_id": c.ID}
				encodeOpts(m, map[string]Opt[string]{"collection_name": c.Name})
				encodeOpts(m, map[string]Opt[int64]{"expected_documents": c.ExpectedDocs})
				collections = append(collections, m)
			}
			m := map[string]any{"tier_num": p.TierNum, "collections": collections}
			encodeOpts(m, map[string]Opt[bool]{"requires_gpu": p.RequiresGPU})
			encodeOpts(m, map[string]Opt[int64]{"total_documents": p.TotalDocs})
			plans = append(plans, m)
		}
		data["tiers"] = plans
	case TypeTier:
		f := &e.TierFacts
		encodeStatus(f.Status, data)
		data["tier_num"], data["attempt"], data["worker"] = f.TierNum, f.Attempt, f.Worker
		encodeOpts(data, map[string]Opt[string]{"task_id": f.TaskID, "error": f.Error, "error_type": f.ErrorType})
		encodeOpts(data, map[string]Opt[bool]{"requires_gpu": f.RequiresGPU})
		encodeOpts(data, map[string]Opt[int64]{"processed_documents": f.Processed, "total_documents": f.Total, "failed_documents": f.Failed})
		encodeTimes(data, map[string]Opt[int64]{"started_at": f.StartedAt, "completed_at": f.CompletedAt})
		counts := map[string]any{}
		encodeOpts(counts, map[string]Opt[int64]{"fetched": f.Counts[0], "after_filter": f.Counts[1], "missing_inputs": f.Counts[2],
			"submitted": f.Counts[3], "written": f.Counts[4]})
		data["counts"] = counts
		errors := []any{}
		for _, x := range f.Errors {
			m := map[string]any{"error_type": x.ErrorType, "message": x.Message, "component": x.Component, "stage": x.Stage,
				"affected_document_ids": append([]string{}, x.DocIDs...)}
			encodeOpts(m, map[string]Opt[string]{"recovery_suggestion": x.Suggestion})
			encodeOpts(m, map[string]Opt[int64]{"affected_count": x.Affected})
			errors = append(errors, m)
		}
		data["errors"] = errors
	case TypeJob:
		f := &e.JobFacts
		encodeStatus(f.Status, data)
		data["tier_num"], data["submission_id"] = f.TierNum, f.SubmissionID
		encodeOpts(data, map[string]Opt[int32]{"attempt": f.Attempt})
		encodeOpts(data, map[string]Opt[string]{"job_id": f.JobID, "extractor": f.Extractor, "message": f.Message, "error_type": f.ErrorType,
			"dashboard_url": f.DashboardURL, "cluster": f.Cluster, "run": f.Run, "session": f.Session})
		encodeOpts(data, map[string]Opt[int64]{"exit_code": f.ExitCode, "processed_documents": f.Processed, "total_documents": f.Total})
		encodeTimes(data, map[string]Opt[int64]{"submitted_at": f.SubmittedAt, "started_at": f.StartedAt, "ended_at": f.EndedAt})
		raw("collections", f.CollectionsJSON)
		raw("resources", f.ResourcesJSON)
		raw("submission_params", f.SubmissionParams)
		if w := f.Waiting.V; f.Waiting.Set && w.Kind == "" {
			data["waiting_on"] = nil
		} else if f.Waiting.Set {
			m := map[string]any{"kind": w.Kind}
			encodeTimes(m, map[string]Opt[int64]{"since": some(w.Since)})
			encodeOpts(m, map[string]Opt[int64]{"nodes_pending": w.NodesPending})
			encodeOpts(m, map[string]Opt[bool]{"infeasible": w.Infeasible})
			encodeOpts(m, map[string]Opt[string]{"detail": w.Detail, "code": w.Code})
			for key, v := range map[string]string{"demand": w.DemandJSON, "offered": w.OfferedJSON, "asked": w.AskedJSON, "holders": w.HoldersJSON, "fixes": w.FixesJSON} {
				if v != "" {
					m[key] = json.RawMessage(v)
				}
			}
			data["waiting_on"] = m
		}
	case TypeCollection:
		f := &e.CollectionFacts
		data["collection_id"] = f.ID
		encodeOpts(data, map[string]Opt[string]{"collection_name": f.Name})
		encodeOpts(data, map[string]Opt[int32]{"tier_num": f.TierNum})
		encodeOpts(data, map[string]Opt[int64]{"document_count": f.Documents, "expected_documents": f.ExpectedDocs})
	case TypeStage:
		f := &e.StageFacts
		data["tier_num"], data["attempt"], data["stage"], data["component"], data["worker"] = f.TierNum, f.Attempt, f.Stage, f.Component, f.Worker
		encodeOpts(data, map[string]Opt[int64]{"count": f.Count})
		encodeOpts(data, map[string]Opt[string]{"unit": f.Unit})
		encodeOpts(data, map[string]Opt[float64]{"total_ms": f.TotalMS, "max_ms": f.MaxMS})
		buckets := [][2]any{}
		for _, b := range f.Buckets {
			buckets = append(buckets, [2]any{b.UpperMS, b.Count})
		}
		data["buckets"] = buckets
	case TypeHealth:
		f := &e.HealthFacts
		data["ordinal"], data["from"], data["to"], data["revision"] = f.Ordinal, f.From, f.To, f.Revision
		data["namespace"], data["batch_id"], data["link"], data["blocked_reason"] = e.Namespace, e.Batch, f.Link, f.BlockedReason
		encodeOpts(data, map[string]Opt[float64]{"stuck_seconds": f.StuckSeconds})
		encodeTimes(data, map[string]Opt[int64]{"as_of": some(f.AsOf)})
		if f.EvidenceJSON != "" {
			data["evidence"] = json.RawMessage(f.EvidenceJSON)
		}
		if f.ChangedJSON != "" {
			data["changed"] = json.RawMessage(f.ChangedJSON)
		}
		encodeOpts(data, map[string]Opt[string]{"cause_from": f.CauseFrom, "cause_to": f.CauseTo})
		data["policy_hash"] = f.PolicyHash
	case TypeProof:
		f := &e.ProofFacts
		data["submission_id"], data["kind"], data["process"] = f.SubmissionID, f.Kind, f.Process
		encodeOpts(data, map[string]Opt[string]{"cluster": f.Cluster, "run": f.Run, "name": f.Name, "text": f.Text, "frame": f.Frame, "unavailable": f.Unavailable})
		encodeOpts(data, map[string]Opt[int64]{"looks": f.Looks})
		encodeTimes(data, map[string]Opt[int64]{"frame_since": f.FrameSince})
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(map[string]any{
		"id": e.ID, "source": e.Source, "time": moment(e.Time).Format(time.RFC3339Nano), "data": data,
		"type": map[Type]string{TypeBatch: TypeBatchV1, TypeTier: TypeTierV1, TypeJob: TypeJobV1, TypeCollection: TypeCollectionV1,
			TypeStage: TypeStageV1, TypeHealth: TypeHealthV1, TypeProof: TypeProofV1}[e.Type],
	}); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func encodeStatus(w Word, data map[string]any) {
	if w != WordNone {
		data["status"] = w.String()
	}
}

func encodeOpts[T any](data map[string]any, opts map[string]Opt[T]) {
	for key, o := range opts {
		if o.Set {
			data[key] = o.V
		}
	}
}

func encodeTimes(data map[string]any, opts map[string]Opt[int64]) {
	for key, o := range opts {
		if o.Set {
			data[key] = moment(o.V).Format(time.RFC3339Nano)
		}
	}
}

// FuzzDecode checks that nothing panics, that encoding/json accepts everything that we accept, and that an accepted event,
// encoded again and decoded with its own subject, is the same event.
func FuzzDecode(f *testing.F) {
	f.Add("headway.log.7.default.batch_42.tier.2", []byte(tierEvent))
	for kind, data := range map[string]string{
		"batch":                `{"status":"FAILED","settled":true,"labels":{"a":"\ud83d\ude00","b":1e21},"tiers":[{"tier_num":1,"collections":[{"collection_id":"c"}]}]}`,
		"tier":                 `{"tier_num":1,"errors":[{"error_type":"e","message":"m","affected_document_ids":["d"]}],"counts":{"written":1},"started_at":"2026-03-01T11:00:00.5+02:00"}`,
		"job":                  `{"tier_num":1,"submission_id":"j","status":"PENDING","collections":["b","a"],"resources":{"num_cpus":0.5},"submission_params":{"env_vars":{"b":1,"a=c":2}},"waiting_on":{"kind":"quota","since":"2026-03-01T11:00:00Z","demand":{"GPU":1},"code":"CAPACITY:QUOTA","asked":["ray"],"holders":[{"job":"x"}],"fixes":[]},"cluster":"c","run":"1"}`,
		"collection":           `{"collection_id":"c","document_count":1}`,
		"stage":                `{"tier_num":1,"stage":"s","total_ms":1e-7,"buckets":[[2,1],[1.5,3],[2,4]],"unit":"blocks"}`,
		"batch.health.changed": `{"ordinal":1,"batch_id":"b","namespace":"n","from":"ok","to":"stuck","revision":"r","as_of":"2026-03-01T11:00:00Z","evidence":{},"changed":["health","cause"],"cause_from":null,"cause_to":"PROGRAM:SILENT"}`,
		"job.proof":            `{"submission_id":"j","kind":"stack","process":"worker","name":"pid 7","text":"a\nb","frame":"train.py:88 barrier","frame_since":"2026-03-01T11:00:00Z","looks":3}`,
	} {
		f.Add("", []byte(strings.Replace(inEnvelope(kind, data), "{", `{"subject":"b",`, 1)))
	}
	f.Add("", []byte(`{"subject":"b","a":[[[1.5E+3,true,null]]],"\u0061":"\\"}`))
	f.Fuzz(func(t *testing.T, subject string, body []byte) {
		var d Decoder
		e, r := d.Decode(Message{Subject: subject, Namespace: "n", Data: body, Stored: storedAt})
		if (e == nil) == (r == nil) {
			t.Fatalf("both or neither: %v %v", e, r)
		}
		if r != nil {
			if r.Field == "" || r.Reason == "" {
				t.Fatalf("a refusal that says nothing: %+v", r)
			}
			return
		}
		if !json.Valid(body) {
			t.Fatalf("accepted what isn't JSON")
		}
		said, to := fmt.Sprintf("%+v", *e), e.Subject()
		again := encodeEvent(t, e)
		e, r = d.Decode(Message{Subject: to, Data: again, Stored: storedAt})
		if r != nil {
			t.Fatalf("%s on %s: %v", again, to, r)
		}
		if now := fmt.Sprintf("%+v", *e); now != said {
			t.Fatalf("decoded anew:\n%s\n%s", now, said)
		}
	})
}

// FuzzCanonical checks that canonical JSON has the same meaning as its source, and is its own canonical form.
func FuzzCanonical(f *testing.F) {
	for _, seed := range []string{
		`{"b":[1.0,-0,1e-7,1E21,123456789012345678901234567890],"a":"\u20ac\u0007\/\""}`, `{"😀":1,"":2,"a":3,"ab":4}`, `[]`, `{"a":{"c":[],"b":{}}}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		canon := func(text string) (string, *Rejection) {
			var s scanner
			s.reset(text, math.MaxInt64)
			s.canonical(false)
			if s.rej == nil {
				s.end()
			}
			return string(s.out), s.rej
		}
		first, r := canon(string(text))
		if r != nil {
			return
		}
		var a, b any
		if err := json.Unmarshal(text, &a); err != nil {
			t.Fatalf("accepted %q: %v", text, err)
		}
		if err := json.Unmarshal([]byte(first), &b); err != nil {
			t.Fatalf("%q: %v", first, err)
		}
		if x, y := fmt.Sprint(a), strings.ReplaceAll(fmt.Sprint(b), "-0", "0"); strings.ReplaceAll(x, "-0", "0") != y {
			t.Fatalf("%q means %s, not %s", first, y, x)
		}
		if second, _ := canon(first); second != first {
			t.Fatalf("%q became %q", first, second)
		}
	})
}

func TestCanonical(t *testing.T) {
	// The examples of RFC 8785, sections 3.2.2, 3.2.3 and appendix B.
	for in, out := range map[string]string{
		`{"numbers": [333333333.33333329, 1E30, 4.50, 2e-3, 0.000000000000000000000000001],
		"string": "\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/", "literals": [null, true, false]}`: `{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],"string":"€$\u000f\nA'B\"\\\\\"/"}`,
		`{"\u20ac":"Euro Sign","\r":"Carriage Return","\ufb33":"Hebrew Letter Dalet With Dagesh","1":"One","\ud83d\ude00":"Emoji: Grinning Face",
		"\u0080":"Control","\u00f6":"Latin Small Letter O With Diaeresis"}`: "{\"\\r\":\"Carriage Return\",\"1\":\"One\",\"\u0080\":\"Control\",\"ö\":\"Latin Small Letter O With Diaeresis\",\"€\":\"Euro Sign\",\"😀\":\"Emoji: Grinning Face\",\"\ufb33\":\"Hebrew Letter Dalet With Dagesh\"}",
		`[-0,-0.0,5e-324,-5e-324,1.7976931348623157e308,9007199254740992,-9007199254740992,295147905179352830000,999999999999999900000,1e21,9.999999999999997e-7,0.000001,333333333.3333332,9007199254740993]`: `[0,0,5e-324,-5e-324,1.7976931348623157e+308,9007199254740992,-9007199254740992,295147905179352830000,999999999999999900000,1e+21,9.999999999999997e-7,0.000001,333333333.3333332,9007199254740992]`,
	} {
		var s scanner
		s.reset(in, math.MaxInt64)
		if s.canonical(false); s.rej != nil || string(s.out) != out {
			t.Errorf("%v\n%s\n%s", s.rej, s.out, out)
		}
	}
}

func TestCompareUTF16(t *testing.T) {
	keys := []string{"", "a", "ab", "b", "é", "\u20ac", "\ud7ff", "\ue000", "\ufb33", "\uffff", "😀", "😁", "a😀", "a\uffff", "\U0010ffff", "é😀"}
	units := func(i int) string { return fmt.Sprintf("%04x", utf16.Encode([]rune(keys[i]))) }
	for i := range keys {
		for j := range keys {
			a, b := strings.Trim(units(i), "[]"), strings.Trim(units(j), "[]")
			if sgn, is := strings.Compare(a, b), compareUTF16(keys[i], keys[j]); sgn != is {
				t.Errorf("%q and %q: %d, want %d", keys[i], keys[j], is, sgn)
			}
		}
	}
}
