package event

import (
	"fmt"
	"strings"
	"testing"
)

// refused is an event that must be refused, with the field and a part of the reason that are reported.
type refused struct {
	kind, subject, data, field, reason string
}

func TestDecodeRefusesData(t *testing.T) {
	job := func(more string) string { return `{"tier_num":1,"submission_id":"j","status":"PENDING",` + more + `}` }
	health := func(more string) string {
		return `{"ordinal":1,"batch_id":"b","namespace":"n","from":"ok","to":"stuck","revision":"r","as_of":"2026-03-01T11:00:00Z",` + more + `}`
	}
	waiting := func(more string) string {
		return job(`"waiting_on":{"kind":"quota","since":"2026-03-01T11:00:00Z",` + more + `}`)
	}
	bad := "not an id"
	for _, c := range []refused{
		// required fields
		{"tier", "tier.1", `{}`, "data.tier_num", "is missing"},
		{"tier", "tier.1", `{"tier_num":null}`, "data.tier_num", "is missing"},
		{"tier", "tier.1", `{"tier_num":1,"errors":[{"message":"m"}]}`, "data.errors[0].error_type", "is missing"},
		{"tier", "tier.1", `{"tier_num":1,"errors":[{"error_type":"e","message":"m"},{"error_type":"e","message":null}]}`, "data.errors[1].message", "is missing"},
		{"batch", "batch", `{"tiers":[{"tier_num":0},{}]}`, "data.tiers[1].tier_num", "is missing"},
		{"batch", "batch", `{"tiers":[{"tier_num":0,"collections":[{}]}]}`, "data.tiers[0].collections[0].collection_id", "is missing"},
		{"job", "job.j", `{"submission_id":"j","status":"PENDING"}`, "data.tier_num", "is missing"},
		{"job", "job.j", `{"tier_num":1,"status":"PENDING"}`, "data.submission_id", "is missing"},
		{"job", "job.j", `{"tier_num":1,"submission_id":"j"}`, "data.status", "is missing"},
		{"job", "job.j", job(`"waiting_on":{"since":"2026-03-01T11:00:00Z"}`), "data.waiting_on.kind", "is missing"},
		{"job", "job.j", job(`"waiting_on":{"kind":"quota"}`), "data.waiting_on.since", "is missing"},
		{"collection", "collection.c", `{}`, "data.collection_id", "is missing"},
		{"stage", "stage.1", `{"stage":"s"}`, "data.tier_num", "is missing"},
		{"stage", "stage.1", `{"tier_num":1}`, "data.stage", "is missing"},
		{"batch.health.changed", "health", `{}`, "data.ordinal", "is missing"},
		{"batch.health.changed", "health", `{"ordinal":1}`, "data.batch_id", "is missing"},
		{"batch.health.changed", "health", `{"ordinal":1,"batch_id":"b","namespace":"n","from":"ok"}`, "data.to", "is missing"},
		{"batch.health.changed", "health", `{"ordinal":1,"batch_id":"b","namespace":"n","from":"ok","to":"ok"}`, "data.revision", "is missing"},
		{"batch.health.changed", "health", `{"ordinal":1,"batch_id":"b","namespace":"n","from":"ok","to":"ok","revision":"r"}`, "data.as_of", "is missing"},
		{"job.proof", "proof.j", `{"kind":"log","process":"driver","text":"x"}`, "data.submission_id", "is missing"},
		{"job.proof", "proof.j", `{"submission_id":"j","process":"driver","text":"x"}`, "data.kind", "is missing"},
		{"job.proof", "proof.j", `{"submission_id":"j","kind":"log","text":"x"}`, "data.process", "is missing"},
		{"job.proof", "proof.j", `{"submission_id":"j","kind":"photo","process":"driver","text":"x"}`, "data.kind", "not log or stack"},
		{"job.proof", "proof.j", `{"submission_id":"j","kind":"log","process":"cat","text":"x"}`, "data.process", "not driver or worker"},
		{"job.proof", "proof.k", `{"submission_id":"j","kind":"log","process":"driver","text":"x"}`, "data.submission_id", "the subject says"},
		// names with NUL
		{"batch", "batch", `{"name":"a\u0000b"}`, "data.name", "NUL"},
		{"batch", "batch", `{"pipeline":"a\u0000b"}`, "data.pipeline", "NUL"},
		{"batch", "batch", `{"owner":"\u0000"}`, "data.owner", "NUL"},
		{"batch", "batch", `{"bucket_id":"\u0000"}`, "data.bucket_id", "NUL"},
		{"batch", "batch", `{"tiers":[{"tier_num":0,"collections":[{"collection_id":"c","collection_name":"\u0000"}]}]}`, "data.tiers[0].collections[0].collection_name", "NUL"},
		{"collection", "collection.c", `{"collection_id":"c","collection_name":"a\u0000b"}`, "data.collection_name", "NUL"},
		{"tier", "tier.1", `{"tier_num":1,"task_id":"\u0000"}`, "data.task_id", "NUL"},
		{"tier", "tier.1", `{"tier_num":1,"worker":"\u0000"}`, "data.worker", "NUL"},
		{"tier", "tier.1", `{"tier_num":1,"error_type":"\u0000"}`, "data.error_type", "NUL"},
		{"tier", "tier.1", `{"tier_num":1,"errors":[{"error_type":"\u0000","message":"m"}]}`, "data.errors[0].error_type", "NUL"},
		{"tier", "tier.1", `{"tier_num":1,"errors":[{"error_type":"e","message":"m","component":"\u0000"}]}`, "data.errors[0].component", "NUL"},
		{"tier", "tier.1", `{"tier_num":1,"errors":[{"error_type":"e","message":"m","stage":"\u0000"}]}`, "data.errors[0].stage", "NUL"},
		{"tier", "tier.1", `{"tier_num":1,"errors":[{"error_type":"e","message":"m","affected_document_ids":["d","\u0000"]}]}`, "data.errors[0].affected_document_ids[1]", "NUL"},
		{"stage", "stage.1", `{"tier_num":1,"stage":"\u0000"}`, "data.stage", "NUL"},
		{"stage", "stage.1", `{"tier_num":1,"stage":"s","component":"\u0000"}`, "data.component", "NUL"},
		{"stage", "stage.1", `{"tier_num":1,"stage":"s","worker":"\u0000"}`, "data.worker", "NUL"},
		{"job", "job.j", job(`"extractor":"\u0000"`), "data.extractor", "NUL"},
		{"job", "job.j", job(`"cluster":"\u0000"`), "data.cluster", "NUL"},
		{"job", "job.j", job(`"session":"\u0000"`), "data.session", "NUL"},
		{"job", "job.j", job(`"error_type":"\u0000"`), "data.error_type", "NUL"},
		// numbers
		{"tier", "tier.1", `{"tier_num":10000}`, "data.tier_num", "at most 9999"},
		{"tier", "tier.1", `{"tier_num":-1}`, "data.tier_num", "negative"},
		{"tier", "tier.1", `{"tier_num":1.5}`, "data.tier_num", "must be an integer"},
		{"tier", "tier.1", `{"tier_num":1e-1}`, "data.tier_num", "must be an integer"},
		{"tier", "tier.1", `{"tier_num":"1"}`, "data.tier_num", "an integer, not a string"},
		{"tier", "tier.1", `{"tier_num":1,"attempt":0}`, "data.attempt", "at least 1"},
		{"tier", "tier.1", `{"tier_num":1,"attempt":10001}`, "data.attempt", "at most 10000"},
		{"tier", "tier.1", `{"tier_num":1,"processed_documents":-1}`, "data.processed_documents", "negative"},
		{"tier", "tier.1", `{"tier_num":1,"processed_documents":9007199254740993}`, "data.processed_documents", "2^53"},
		{"tier", "tier.1", `{"tier_num":1,"failed_documents":99999999999999999999999999}`, "data.failed_documents", "2^53"},
		{"tier", "tier.1", `{"tier_num":1,"total_documents":18446744073709551617}`, "data.total_documents", "2^53"},
		{"tier", "tier.1", `{"tier_num":1,"worker":"` + strings.Repeat("é", 129) + `"}`, "data.worker", "128"},
		{"tier", "tier.1", `{"tier_num":1,"worker":7}`, "data.worker", "string"},
		{"tier", "tier.1", `{"tier_num":1,"counts":{"written":-2}}`, "data.counts.written", "negative"},
		{"tier", "tier.1", `{"tier_num":1,"total_documents":NaN}`, "data.total_documents", "isn't valid JSON"},
		{"batch", "batch", `{"total_tiers":10001}`, "data.total_tiers", "at most 10000"},
		{"job", "job.j", job(`"exit_code":1.5`), "data.exit_code", "must be an integer"},
		{"job", "job.j", job(`"resources":{"num_gpus":-1}`), "data.resources.num_gpus", "negative"},
		{"job", "job.j", job(`"resources":{"memory_bytes":1.5}`), "data.resources.memory_bytes", "must be an integer"},
		{"job", "job.j", job(`"submission_params":{"a":[1,1e999]}`), "data.submission_params.a[1]", "too great"},
		{"stage", "stage.1", `{"tier_num":1,"stage":"s","total_ms":1e999}`, "data.total_ms", "finite"},
		{"stage", "stage.1", `{"tier_num":1,"stage":"s","max_ms":-0.5}`, "data.max_ms", "negative"},
		{"stage", "stage.1", `{"tier_num":1,"stage":"s","buckets":[[1,2],[-1,2]]}`, "data.buckets[1][0]", "negative"},
		{"stage", "stage.1", `{"tier_num":1,"stage":"s","buckets":[[1,2.5]]}`, "data.buckets[0][1]", "must be an integer"},
		{"stage", "stage.1", `{"tier_num":1,"stage":"s","buckets":[[1]]}`, "data.buckets[0]", "a pair"},
		{"stage", "stage.1", `{"tier_num":1,"stage":"s","buckets":[[1,2,3]]}`, "data.buckets[0]", "a pair"},
		{"stage", "stage.1", `{"tier_num":1,"stage":"s","buckets":[null]}`, "data.buckets[0]", "an array, not null"},
		{"batch.health.changed", "health", health(`"stuck_seconds":-1`), "data.stuck_seconds", "negative"},
		// types
		{"tier", "tier.1", `[]`, "data", "an object, not an array"},
		{"tier", "tier.1", `{"tier_num":1,"requires_gpu":"yes"}`, "data.requires_gpu", "a boolean, not a string"},
		{"tier", "tier.1", `{"tier_num":1,"status":1}`, "data.status", "a string, not a number"},
		{"tier", "tier.1", `{"tier_num":1,"errors":{}}`, "data.errors", "an array, not an object"},
		{"tier", "tier.1", `{"tier_num":1,"errors":[null]}`, "data.errors[0]", "an object, not null"},
		{"tier", "tier.1", `{"tier_num":1,"started_at":1772366400}`, "data.started_at", "a string, not a number"},
		{"batch", "batch", `{"labels":["a"]}`, "data.labels", "an object, not an array"},
		{"batch", "batch", `{"settled":1}`, "data.settled", "a boolean, not a number"},
		{"job", "job.j", job(`"submission_params":"x"`), "data.submission_params", "an object, not a string"},
		{"job", "job.j", job(`"collections":[1]`), "data.collections[0]", "a string, not a number"},
		{"job", "job.j", job(`"waiting_on":true`), "data.waiting_on", "an object, not a boolean"},
		{"job", "job.j", waiting(`"demand":[]`), "data.waiting_on.demand", "an object, not an array"},
		// words
		{"batch", "batch", `{"status":"RUNNING"}`, "data.status", `unknown status: "RUNNING"`},
		{"batch", "batch", `{"status":"proc"}`, "data.status", "unknown status"},
		{"tier", "tier.1", `{"tier_num":1,"status":"SUCCEEDED"}`, "data.status", "unknown status"},
		{"job", "job.j", `{"tier_num":1,"submission_id":"j","status":"COMPLETED"}`, "data.status", "unknown status"},
		{"job", "job.j", `{"tier_num":1,"submission_id":"j","status":""}`, "data.status", "unknown status"},
		{"batch", "batch", `{"settled":true}`, "data.settled", "terminal"},
		{"batch", "batch", `{"settled":true,"status":"PROCESSING"}`, "data.settled", "terminal"},
		{"job", "job.j", job(`"waiting_on":{"kind":"luck","since":"2026-03-01T11:00:00Z"}`), "data.waiting_on.kind", `is unknown: "luck"`},
		{"batch.health.changed", "health", `{"from":"well"}`, "data.from", "unknown health"},
		// ids, and whose they are
		{"job", "job.j", `{"tier_num":1,"submission_id":"a\u0001b","status":"PENDING"}`, "data.submission_id", bad},
		{"job", "job.j", `{"tier_num":1,"submission_id":"","status":"PENDING"}`, "data.submission_id", bad},
		{"job", "job.j", job(`"collections":["c",""]`), "data.collections[1]", bad},
		{"job", "job.j", job(`"job_id":"a\u007fb"`), "data.job_id", bad},
		{"batch", "batch", `{"retry_of":"a\tb"}`, "data.retry_of", bad},
		{"collection", "collection.c", `{"collection_id":"` + strings.Repeat("c", 129) + `"}`, "data.collection_id", bad},
		{"job", "job.j", `{"tier_num":1,"submission_id":"other","status":"PENDING"}`, "data.submission_id", `the subject says "j"`},
		{"collection", "collection.c", `{"collection_id":"d"}`, "data.collection_id", `the subject says "c"`},
		{"tier", "tier.1", `{"tier_num":2}`, "data.tier_num", "is 2, but the subject says 1"},
		{"tier", "tier.1.progress", `{"tier_num":2}`, "data.tier_num", "is 2, but the subject says 1"},
		{"stage", "stage.0", `{"tier_num":2,"stage":"s"}`, "data.tier_num", "is 2, but the subject says 0"},
		{"batch.health.changed", "health", strings.Replace(health(`"x":0`), `"n"`, `"m"`, 1), "data.namespace", `the subject says "n"`},
		{"batch.health.changed", "health", strings.Replace(health(`"x":0`), `"b"`, `"c"`, 1), "data.batch_id", `the subject says "b"`},
		{"tier", "job.j", `{"tier_num":1}`, "type", "the subject is that of a job event"},
		{"batch", "health", `{}`, "type", "the subject is that of a health event"},
		// times
		{"tier", "tier.1", `{"tier_num":1,"started_at":"1999-12-31T23:59:59.999999999Z"}`, "data.started_at", "before the year 2000"},
		{"tier", "tier.1", `{"tier_num":1,"started_at":"2026-03-01T12:05:00.000000001Z"}`, "data.started_at", "5 minutes after"},
		{"tier", "tier.1", `{"tier_num":1,"started_at":"9999-01-01T00:00:00Z"}`, "data.started_at", "5 minutes after"},
		{"tier", "tier.1", `{"tier_num":1,"started_at":"2026-03-01"}`, "data.started_at", "RFC 3339"},
		{"tier", "tier.1", `{"tier_num":1,"started_at":"2026-03-01T12:00:00"}`, "data.started_at", "RFC 3339"},
		{"tier", "tier.1", `{"tier_num":1,"started_at":"2026-02-29T12:00:00Z"}`, "data.started_at", "RFC 3339"},
		{"tier", "tier.1", `{"tier_num":1,"started_at":"2026-03-01T12:00:00.Z"}`, "data.started_at", "RFC 3339"},
		{"tier", "tier.1", `{"tier_num":1,"started_at":"2026-03-01 12:00:00Z"}`, "data.started_at", "RFC 3339"},
		{"tier", "tier.1", `{"tier_num":1,"started_at":"2026-03-01T24:00:00+0100"}`, "data.started_at", "RFC 3339"},
		{"job", "job.j", job(`"waiting_on":{"kind":"quota","since":"1970-01-01T00:00:00Z"}`), "data.waiting_on.since", "before the year 2000"},
		{"batch.health.changed", "health", strings.Replace(health(`"x":0`), "2026", "2027", 1), "data.as_of", "5 minutes after"},
		// JSON
		{"tier", "tier.1", `{"tier_num":1,"tier_num":1}`, "data.tier_num", "given twice"},
		{"tier", "tier.1", `{"tier_num":1,"tier\u005fnum":1}`, "data.tier_num", "given twice"},
		{"tier", "tier.1", `{"tier\u005fnum":1,"tier_num":1}`, "data.tier_num", "given twice"},
		{"tier", "tier.1", `{"tier_num":1,"x":{"a":1,"b":[{"c":1,"c":2}]}}`, "data.x.b[0].c", "given twice"},
		{"batch", "batch", `{"labels":{"a":"1","a":"1"}}`, "data.labels.a", "given twice"},
		{"job", "job.j", job(`"submission_params":{"runtime_env":{"env_vars":{"A":1,"A":2}}}`), "data.submission_params.runtime_env.env_vars.A", "given twice"},
		{"job", "job.j", waiting(`"demand":{"GPU":1,"GPU":2}`), "data.waiting_on.demand.GPU", "given twice"},
		{"job", "job.j", waiting(`"offered":{"GPU":{"x":0,"x":2}}`), "data.waiting_on.offered.GPU.x", "given twice"},
		{"tier", "tier.1", `{"tier_num":1,"x":` + keysTwice(50_000) + `}`, `data.x.k7`, "given twice"},
		{"tier", "tier.1", `{"tier_num":1,"error":"` + "\xff" + `"}`, "data.error", "UTF-8"},
		{"tier", "tier.1", `{"tier_num":1,"x":["é","` + "\xed\xa0\x80" + `"]}`, "data.x[1]", "UTF-8"},
		{"tier", "tier.1", `{"tier_num":1,"x":{"a` + "\xff" + `":1}}`, "data.x", "UTF-8"},
		{"tier", "tier.1", `{"tier_num":1,"x":{"a\z":1}}`, "data.x", "a bad escape"},
		{"tier", "tier.1", `{"tier_num":1,"x":{"\u0061":tru}}`, "data.x.a", "an unknown word"},
		{"tier", "tier.1", `{"tier_num":1,"x":{"` + "\xc3\xa9" + `":"` + "\xff" + `"}}`, `data.x["\u00e9"]`, "UTF-8"},
		{"tier", "tier.1", `{"tier_num":1,"error":"\ud800"}`, "data.error", "UTF-8"},
		{"tier", "tier.1", `{"tier_num":1,"error":"\ud800\u0041"}`, "data.error", "UTF-8"},
		{"tier", "tier.1", `{"tier_num":1,"error":"\x41"}`, "data.error", "isn't valid JSON: a bad escape"},
		{"tier", "tier.1", "{\"tier_num\":1,\"error\":\"a\nb\"}", "data.error", "control character"},
		{"tier", "tier.1", `{"tier_num":1,"x":01}`, "data.x", "malformed number"},
		{"tier", "tier.1", `{"tier_num":1,"x":1.}`, "data.x", "malformed number"},
		{"tier", "tier.1", `{"tier_num":1,"x":-}`, "data.x", "malformed number"},
		{"tier", "tier.1", `{"tier_num":1,"x":tru}`, "data.x", "an unknown word"},
		{"tier", "tier.1", `{"tier_num":1,"x":[1,]}`, "data.x", "a value is missing"},
		{"tier", "tier.1", `{"tier_num":1,}`, "data", "a key is missing"},
		{"tier", "tier.1", `{"tier_num":1 "x":2}`, "data", "a comma"},
		{"tier", "tier.1", `{"tier_num" 1}`, "data", "a colon"},
		{"tier", "tier.1", `{"tier_num":1,"a\nb":{"c":tru}}`, `data["a\nb"].c`, "an unknown word"},
		{"tier", "tier.1", `{"tier_num":1,"x":` + nested(32) + `}`, "data.x" + strings.Repeat("[0]", 31), "deeper than 32"},
		{"job", "job.j", job(`"submission_params":{"a":` + nested(31) + `}`), "data.submission_params.a" + strings.Repeat("[0]", 30), "deeper than 32"},
		// amounts
		{"tier", "tier.1", `{"tier_num":1,"x":"` + strings.Repeat("x", 768<<10) + `"}`, "data", "more than 786432"},
		{"batch", "batch", `{"labels":` + labels(33) + `}`, "data.labels", "more than 32"},
		{"batch", "batch", `{"tiers":` + list(10_001, `{"tier_num":1}`) + `}`, "data.tiers", "more than 10000 tiers"},
		{"batch", "batch", `{"tiers":[{"tier_num":1,"collections":` + list(6_000, `{"collection_id":"c"}`) + `},{"tier_num":2,"collections":` +
			list(4_001, `{"collection_id":"c"}`) + `}]}`, "data.tiers[1].collections", "collections in this event"},
		{"tier", "tier.1", `{"tier_num":1,"errors":` + list(101, `{"error_type":"","message":""}`) + `}`, "data.errors", "more than 100 errors"},
		{"tier", "tier.1", `{"tier_num":1,"errors":[{"error_type":"","message":"","affected_document_ids":` + list(1001, `"d"`) + `}]}`,
			"data.errors[0].affected_document_ids", "more than 1000"},
		{"stage", "stage.1", `{"tier_num":1,"stage":"s","buckets":` + list(257, `[1,1]`) + `}`, "data.buckets", "more than 256"},
		{"job", "job.j", job(`"collections":` + list(10_001, `"c"`)), "data.collections", "more than 10000"},
	} {
		refuse(t, onStream(c.subject, inEnvelope(c.kind, c.data)), c.field, c.reason)
		m := onStream(c.subject, c.data)
		m.Attribute = asHeaders(map[string]string{
			"type": "dev.headway." + c.kind + ".v1", "id": "e1", "source": "/p", "time": "2026-03-01T11:59:00Z",
		})
		refuse(t, m, c.field, c.reason)
	}
}

func refuse(t *testing.T, m Message, field, reason string) {
	t.Helper()
	e, r := new(Decoder).Decode(m)
	if r == nil || e != nil || r.Field != field || !strings.Contains(r.Reason, reason) {
		t.Errorf("%.120s (%s): %v, want %s: … %s …", m.Data, m.Subject, r, field, reason)
	}
}

func list(n int, of string) string {
	return "[" + strings.Repeat(of+",", n-1) + of + "]"
}

func nested(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) }

func labels(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `,"l%d":"v"`, i)
	}
	return "{" + b.String()[1:] + "}"
}

// keysTwice is an object with n keys, one of which occurs twice.
func keysTwice(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `"k%d":0,`, i)
	}
	return "{" + b.String() + `"k7":1}`
}

// Events are also refused for faults in the envelope around their data.
func TestDecodeRefusesEnvelopes(t *testing.T) {
	whole := inEnvelope("tier", `{"tier_num":1}`)
	with := func(old, new string) string {
		if !strings.Contains(whole, old) {
			t.Fatalf("no %q in the event", old)
		}
		return strings.Replace(whole, old, new, 1)
	}
	for _, c := range []struct{ body, field, reason string }{
		{"", "event", "ends too early"},
		{"null", "event", "an object, not null"},
		{"[" + whole + "]", "event", "an object, not an array"},
		{whole[:len(whole)-1], "event", "a comma or the end"},
		{whole + "{}", "event", "more follows"},
		{whole + "\x00", "event", "more follows"},
		{"\xef\xbb\xbf" + whole, "event", "isn't valid JSON"},
		{with(`"id":"e1",`, ""), "id", "is missing"},
		{with(`"id":"e1",`, `"id":"",`), "id", "is empty"},
		{with(`"id":"e1",`, `"id":null,`), "id", "is missing"},
		{with(`"id":"e1",`, `"id":7,`), "id", "a string, not a number"},
		{with(`"id":"e1",`, `"id":"a\u0000",`), "id", "control character"},
		{with(`"id":"e1",`, `"id":"a\r\nb",`), "id", "control character"},
		{with(`"id":"e1",`, `"id":"`+strings.Repeat("é", 513)+`",`), "id", "more than 512"},
		{with(`"id":"e1",`, `"id":"e1","id":"e1",`), "id", "given twice"},
		{with(`"source":"/p",`, ""), "source", "is missing"},
		{with(`"source":"/p",`, `"source":"",`), "source", "is empty"},
		{with(`"time":"2026-03-01T11:59:00Z",`, ""), "time", "is missing"},
		{with(`2026-03-01T11:59:00Z`, `yesterday`), "time", "RFC 3339"},
		{with(`2026-03-01T11:59:00Z`, `1999-12-31T23:59:59Z`), "time", "before the year 2000"},
		{with(`2026-03-01T11:59:00Z`, `2026-03-01T12:05:00.000000001Z`), "time", "5 minutes after"},
		{with(`2026-03-01T11:59:00Z`, `2026-03-01T11:06:00-01:00`), "time", "5 minutes after"},
		{with(`"type":"dev.headway.tier.v1",`, ""), "type", "is missing"},
		{with(`dev.headway.tier.v1`, ""), "type", "is empty"},
		{with(`dev.headway.tier.v1`, "com.example.tier"), "type", `is unknown: "com.example.tier"`},
		{with(`dev.headway.tier.v1`, "dev.headway.tier"), "type", `is unknown`},
		{with(`dev.headway.tier.v1`, "dev.headway.tier.v2"), "type", "is version 2 of dev.headway.tier, newer than version 1"},
		{with(`dev.headway.tier.v1`, "dev.headway.other.v2"), "type", "is unknown"},
		{with(`"specversion":"1.0"`, `"specversion":"2.0"`), "specversion", "must be 1.0"},
		{with(`"specversion":"1.0"`, `"subject":"c"`), "subject", "that of batch b"},
		{with(`"specversion":"1.0"`, `"subject":"a\u0000b"`), "subject", "not an id"},
		{with(`"data":{"tier_num":1}`, `"x":1`), "data", "is missing"},
		{with(`"data":{"tier_num":1}`, `"data":null`), "data", "is missing"},
		{with(`"data":{"tier_num":1}`, `"data_base64":"e30"`), "data_base64", "isn't base64"},
		{with(`"data":{"tier_num":1}`, `"x":{"a":0,"a":1}`), "x.a", "given twice"},
		{`{"data":{"tier_num":-1},` + with(`,"data":{"tier_num":1}`, "")[1:], "data.tier_num", "negative"},
		{`{"data":{"x":tru},` + with(`,"data":{"tier_num":1}`, "")[1:], "data.x", "isn't valid JSON"},
	} {
		refuse(t, onStream("tier.1", c.body), c.field, c.reason)
	}
	if _, r := new(Decoder).Decode(onStream("tier.1", with(`2026-03-01T11:59:00Z`, `2026-03-01T12:05:00Z`))); r != nil {
		t.Errorf("exactly 5 minutes after is allowed: %v", r)
	}
	m := onStream("tier.1", "")
	m.Attribute = asHeaders(map[string]string{"type": "dev.headway.tier.v1", "id": "e1", "source": "/p", "time": "2026-03-01T11:59:00Z"})
	refuse(t, m, "data", "is missing")
	m.Data = []byte(`{"tier_num":1}}`)
	refuse(t, m, "event", "more follows")
	m.Attribute = asHeaders(map[string]string{"type": "dev.headway.tier.v1", "id": "%ff", "source": "/p", "time": "2026-03-01T11:59:00Z"})
	refuse(t, m, "id", "UTF-8")
}

func TestDecodeRefusesSubjects(t *testing.T) {
	body := []byte(inEnvelope("tier", `{"tier_num":1}`))
	long := strings.Repeat("x", 129)
	for _, c := range []struct{ subject, reason string }{
		{"headway.events.n.b", "kind that is unknown"},
		{"headway.events.n", "batch that is not an id"},
		{"headway.events..b.tier.1", "namespace that is not one"},
		{"headway.events.n.*.tier.1", "batch that is not an id"},
		{"headway.events.n." + long + ".tier.1", "batch that is not an id"},
		{"headway.events.n.b.tier", "malformed"},
		{"headway.events.n.b.tier.01", "malformed"},
		{"headway.events.n.b.tier.-1", "malformed"},
		{"headway.events.n.b.tier.10000", "malformed"},
		{"headway.events.n.b.tier.1.done", "malformed"},
		{"headway.events.n.b.tier.1.progress.progress", "malformed"},
		{"headway.events.n.b.stage.1.progress", "malformed"},
		{"headway.events.n.b.job.a.b", "malformed"},
		{"headway.events.n.b.collection.", "malformed"},
		{"headway.events.n.b.batch.x", "kind that is unknown"},
		{"headway.events.n.b.luck", "kind that is unknown"},
		{"headway.log.x.n.b.tier.1", "none of ours"},
		{"headway.log.1", "not one"},
		{"other.n.b.tier.1", "none of ours"},
	} {
		refuse(t, Message{Subject: c.subject, Data: body, Stored: storedAt}, "subject", c.reason)
	}
	refuse(t, Message{Data: body, Stored: storedAt}, "namespace", "not an id")
	refuse(t, Message{Namespace: "a.b", Data: body, Stored: storedAt}, "namespace", "not an id")
	refuse(t, Message{Namespace: "n", Data: body, Stored: storedAt}, "subject", "is missing")
}

// Values exactly at the limits are accepted.
func TestDecodeLimits(t *testing.T) {
	for _, c := range []struct{ kind, subject, data string }{
		{"batch", "batch", `{"labels":` + labels(32) + `}`},
		{"batch", "batch", `{"tiers":` + list(10_000, `{"tier_num":9999}`) + `}`},
		{"batch", "batch", `{"tiers":[{"tier_num":1,"collections":` + list(10_000, `{"collection_id":"c"}`) + `}]}`},
		{"tier", "tier.1", `{"tier_num":1,"errors":` + list(100, `{"error_type":"","message":""}`) + `}`},
		{"tier", "tier.1", `{"tier_num":1,"errors":[{"error_type":"","message":"","affected_document_ids":` + list(1000, `"d"`) + `}]}`},
		{"tier", "tier.1", `{"tier_num":1,"x":` + nested(31) + `}`},
		{"tier", "tier.1", `{"tier_num":1,"x":"` + strings.Repeat("x", 768<<10-21) + `"}`},
		{"tier", "tier.1", `{"tier_num":1,"\\xahyy":1,"\\\\xahyy":2}`}, // the second means what the first is written as, and has its hash
		{"stage", "stage.1", `{"tier_num":1,"stage":"","buckets":` + list(256, `[1,1]`) + `}`},
		{"job", "job.j", `{"tier_num":1,"submission_id":"j","status":"PENDING","collections":` + list(10_000, `"c"`) +
			`,"submission_params":{"a":` + nested(30) + `}}`},
	} {
		if _, r := new(Decoder).Decode(onStream(c.subject, inEnvelope(c.kind, c.data))); r != nil {
			t.Errorf("%.60s: %v", c.data, r)
		}
	}
}
