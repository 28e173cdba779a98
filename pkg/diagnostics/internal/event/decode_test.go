package event

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// storedAt is when the stream stored the events of these tests.
var storedAt = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// inEnvelope wraps data into an event in structured mode.
func inEnvelope(kind, data string) string {
	return `{"specversion":"1.0","id":"e1","source":"/p","type":"dev.headway.` + kind +
		`.v1","time":"2026-03-01T11:59:00Z","data":` + data + `}`
}

// onStream is an event in the form in which the stream delivers it.
func onStream(kind, body string) Message {
	return Message{Subject: "headway.log.3.n.b." + kind, Data: []byte(body), Stored: storedAt}
}

// asHeaders gives the attributes of binary mode.
func asHeaders(attributes map[string]string) func(string) string {
	return func(name string) string { return attributes[name] }
}

// accepted decodes an event that must be valid in three forms: as it is, in binary mode, and over HTTP.
func accepted(t *testing.T, kind, subject, data string) *Event {
	t.Helper()
	var d Decoder
	e, r := d.Decode(onStream(subject, inEnvelope(kind, data)))
	if r != nil {
		t.Fatalf("refused: %v", r)
	}
	said := fmt.Sprintf("%+v", *e)
	attributes := map[string]string{
		"type": "dev.headway." + kind + ".v1", "id": "e1", "source": "/p", "time": "2026-03-01T11:59:00Z",
		"specversion": "1.0", "subject": "b", "content-type": "application/json",
	}
	for _, m := range []Message{
		{Subject: "headway.events.n.b." + subject, Attribute: asHeaders(attributes), Data: []byte(data), Stored: storedAt},
		{Namespace: "n", Attribute: asHeaders(attributes), Data: []byte(data), Stored: storedAt},
		{Namespace: "n", Data: []byte(strings.Replace(inEnvelope(kind, data), "{", `{"subject":"b",`, 1)), Stored: storedAt},
	} {
		var other Decoder
		got, r := other.Decode(m)
		if r != nil {
			t.Fatalf("refused with subject %q: %v", m.Subject, r)
		}
		if now := fmt.Sprintf("%+v", *got); now != said {
			t.Errorf("the same event differs with subject %q:\n%s\n%s", m.Subject, now, said)
		}
		if m.Subject == "" {
			if got := got.Subject(); got != "headway.events.n.b."+subject {
				t.Errorf("subject %q, want kind %q", got, subject)
			}
		}
	}
	return e
}

func ns(text string) int64 {
	t, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		panic(err)
	}
	return t.UnixNano()
}

func TestDecodeBatch(t *testing.T) {
	e := accepted(t, "batch", "batch", `{"status":"IN_PROGRESS","attempt":2,"settled":false,"name":"näme","pipeline":"p",
		"owner":"o\n","labels":{"z":"1","a":-2.50,"\ud83d\ude00":null},"retry_of":"b0","bucket_id":"bkt.1","total_tiers":10000,
		"total_objects":9007199254740992,"created_at":"2026-03-01T13:00:00.5+02:00","submitted_at":"2026-03-01T11:00:01z",
		"started_at":"2026-03-01t11:00:02.123456789123Z","completed_at":null,"error":"e","error_type":"runtime","unknown":{"a":[1e400]},
		"tiers":[{"tier_num":0,"requires_gpu":true,"total_documents":5,"collections":[{"collection_id":"c1","collection_name":"C",
		"expected_documents":4},{"collection_id":"c2"}]},{"tier_num":9999,"requires_gpu":null}]}`)
	f := e.BatchFacts
	want(t, "type", e.Type, TypeBatch)
	want(t, "time", e.Time, ns("2026-03-01T11:59:00Z"))
	want(t, "stamp", e.Source+e.ID, "/pe1")
	want(t, "whose", e.Namespace+e.Batch, "nb")
	want(t, "status", f.Status, WordInProgress)
	want(t, "attempt", f.Attempt, 2)
	want(t, "name", f.Name, some("näme"))
	want(t, "owner", f.Owner, some("o\n"))
	want(t, "labels", f.LabelsJSON, some(`{"a":-2.5,"z":"1","😀":null}`))
	want(t, "retry_of", f.RetryOf, some("b0"))
	want(t, "bucket", f.BucketID, some("bkt.1"))
	want(t, "total_tiers", f.TotalTiers, some[int64](10000))
	want(t, "total_objects", f.TotalObj, some[int64](1<<53))
	want(t, "created_at", f.CreatedAt, some(ns("2026-03-01T11:00:00.5Z")))
	want(t, "submitted_at", f.SubmittedAt, some(ns("2026-03-01T11:00:01Z")))
	want(t, "started_at", f.StartedAt, some(ns("2026-03-01T11:00:02.123456789Z")))
	want(t, "completed_at", f.CompletedAt, Opt[int64]{})
	want(t, "tiers", fmt.Sprintf("%+v", f.Tiers),
		`[{TierNum:0 RequiresGPU:{V:true Set:true} TotalDocs:{V:5 Set:true} Collections:[`+
			`{ID:c1 Name:{V:C Set:true} ExpectedDocs:{V:4 Set:true}} {ID:c2 Name:{V: Set:false} ExpectedDocs:{V:0 Set:false}}]} `+
			`{TierNum:9999 RequiresGPU:{V:false Set:false} TotalDocs:{V:0 Set:false} Collections:[]}]`)

	odd := accepted(t, "batch", "batch", `{"name":"a\u001b[2J\u0001b","error":"x\u0000y"}`).BatchFacts
	want(t, "control characters", odd.Name.V+odd.Error.V, "a\x1b[2J\x01bx\x00y")
	settled := accepted(t, "batch", "batch", `{"settled":true,"status":"COMPLETED_WITH_ERRORS"}`)
	want(t, "settled", settled.BatchFacts.Settled, true)
	want(t, "attempt by default", settled.BatchFacts.Attempt, 1)
	for _, w := range strings.Fields("DRAFT PENDING QUEUED PROCESSING IN_PROGRESS COMPLETED COMPLETED_WITH_ERRORS FAILED CANCELED SKIPPED") {
		want(t, "word", accepted(t, "batch", "batch", `{"status":"`+w+`"}`).BatchFacts.Status.String(), w)
	}
}

func TestDecodeTier(t *testing.T) {
	long := strings.Repeat("é", 5000)
	e := accepted(t, "tier", "tier.3", `{"tier_num":3,"attempt":10000,"status":"FAILED","task_id":"t","worker":"w1","requires_gpu":false,
		"started_at":"2026-03-01T11:00:00Z","completed_at":"2026-03-01T11:10:00Z","processed_documents":5,"total_documents":-0,
		"failed_documents":1,"error":"`+long+`","error_type":"network","errors":[{"error_type":"runtime","message":"`+long+`",
		"component":"c","stage":"s","affected_count":2,"affected_document_ids":["d2","d1"],"recovery_suggestion":"again"},
		{"error_type":"x","message":""}],"counts":{"fetched":1,"after_filter":2,"missing_inputs":3,"submitted":4,"written":5,"more":6}}`)
	f := e.TierFacts
	want(t, "tier", f.TierNum, 3)
	want(t, "attempt", f.Attempt, 10000)
	want(t, "status", f.Status, WordFailed)
	want(t, "worker", f.Worker, "w1")
	want(t, "longest worker", accepted(t, "tier", "tier.0", `{"tier_num":0,"worker":"`+strings.Repeat("é", 128)+`"}`).TierFacts.Worker, strings.Repeat("é", 128))
	want(t, "no worker", accepted(t, "tier", "tier.0", `{"tier_num":0,"worker":null}`).TierFacts.Worker, "")
	want(t, "gpu", f.RequiresGPU, Opt[bool]{false, true})
	want(t, "total", f.Total, some[int64](0))
	want(t, "error is cut", f.Error, some(strings.Repeat("é", 4000)))
	want(t, "message is cut", f.Errors[0].Message, strings.Repeat("é", 500))
	want(t, "documents", fmt.Sprint(f.Errors[0].DocIDs), "[d2 d1]")
	want(t, "affected", f.Errors[0].Affected, some[int64](2))
	want(t, "suggestion", f.Errors[0].Suggestion, some("again"))
	want(t, "errors", len(f.Errors), 2)
	for i, c := range f.Counts {
		want(t, "count", c, some(int64(i+1)))
	}
	accepted(t, "tier", "tier.0.progress", `{"tier_num":0,"processed_documents":0}`)
	accepted(t, "tier", "tier.0.progress", `{"tier_num":0,"counts":{"written":1}}`)
	accepted(t, "tier", "tier.0", `{"tier_num":0,"total_documents":7}`)
	for _, w := range strings.Fields("PENDING QUEUED DRAFT PROCESSING IN_PROGRESS COMPLETED FAILED") {
		want(t, "word", accepted(t, "tier", "tier.1", `{"tier_num":1,"status":"`+w+`"}`).TierFacts.Status.String(), w)
	}
}

func TestDecodeJob(t *testing.T) {
	e := accepted(t, "job", "job.raysubmit_1", `{"tier_num":1,"attempt":3,"submission_id":"raysubmit_1","job_id":"02000000","extractor":"x",
		"collections":["c2","c1","c2"],"status":"PENDING","submitted_at":"2026-03-01T11:00:00Z","exit_code":-9,"message":"m",
		"dashboard_url":"https://r/1","resources":{"num_gpus":1,"memory_bytes":1024,"num_cpus":0.50,"other":1},
		"submission_params":{"priority":-1e3,"runtime_env":{"pip":["b","a"],"env_vars":{"TOKEN":"secret","A":"secret"}},
		"more":[{"env_vars":["B=secret","A"]},{"env_vars":"A=secret"}]},"cluster":"k","session":"s","processed_documents":1,
		"total_documents":2,"waiting_on":{"kind":"resources","since":"2026-03-01T11:01:00Z","demand":{"GPU":1,"CPU":4.0},
		"offered":{"CPU":8},"nodes_pending":1,"infeasible":true,"detail":"d"}}`)
	f := e.JobFacts
	want(t, "attempt", f.Attempt, some[int32](3))
	want(t, "collections", f.CollectionsJSON, some(`["c1","c2"]`))
	want(t, "exit code", f.ExitCode, some[int64](-9))
	want(t, "resources", f.ResourcesJSON, some(`{"memory_bytes":1024,"num_cpus":0.5,"num_gpus":1}`))
	want(t, "parameters", f.SubmissionParams, some(
		`{"more":[{"env_vars":["A","B"]},{"env_vars":[]}],"priority":-1000,"runtime_env":{"env_vars":["A","TOKEN"],"pip":["b","a"]}}`))
	want(t, "waiting", f.Waiting, some(Waiting{
		Kind: "resources", Since: ns("2026-03-01T11:01:00Z"), DemandJSON: `{"CPU":4,"GPU":1}`, OfferedJSON: `{"CPU":8}`,
		NodesPending: some[int64](1), Infeasible: some(true), Detail: some("d"),
	}))
	least := `{"tier_num":1,"submission_id":"j","status":"RUNNING"`
	want(t, "nothing said of waiting", accepted(t, "job", "job.j", least+`}`).JobFacts.Waiting, Opt[Waiting]{})
	want(t, "waits for nothing", accepted(t, "job", "job.j", least+`,"waiting_on":null}`).JobFacts.Waiting, some(Waiting{}))
	for _, w := range strings.Fields("PENDING RUNNING SUCCEEDED FAILED STOPPED") {
		e := accepted(t, "job", "job.j", `{"tier_num":1,"submission_id":"j","status":"`+w+`"}`)
		want(t, "word", e.JobFacts.Status.String(), w)
	}
}

func TestDecodeCollectionStageHealth(t *testing.T) {
	c := accepted(t, "collection", "collection.c-1", `{"collection_id":"c-1","collection_name":"C","tier_num":2,"document_count":3,"expected_documents":4}`)
	want(t, "collection", c.CollectionFacts, CollectionFacts{"c-1", some("C"), some[int32](2), some[int64](3), some[int64](4)})

	s := accepted(t, "stage", "stage.2", `{"tier_num":2,"stage":"read","component":"c","worker":"w","unit":"blocks","count":9,"total_ms":12.5,"max_ms":3e0,
		"buckets":[[10,2],[2.5,1],[10,5]]}`)
	want(t, "stage", fmt.Sprintf("%+v", s.StageFacts), `{TierNum:2 Attempt:1 Stage:read Component:c Worker:w Unit:{V:blocks Set:true} Count:{V:9 Set:true} `+
		`TotalMS:{V:12.5 Set:true} MaxMS:{V:3 Set:true} Buckets:[{UpperMS:2.5 Count:1} {UpperMS:10 Count:5}]}`)

	p := accepted(t, "job.proof", "proof.j=2F1", `{"submission_id":"j/1","cluster":"c","run":"1","kind":"stack","process":"worker","name":"pid 7","text":"`+strings.Repeat("é", 9_000)+`",
		"frame":"train.py:88 barrier","frame_since":"2026-03-01T11:00:00Z","looks":3}`)
	want(t, "proof", p.ProofFacts, ProofFacts{SubmissionID: "j=2F1", Cluster: some("c"), Run: some("1"), Kind: ProofStack, Process: ProcessWorker, Name: some("pid 7"),
		Text: some(strings.Repeat("é", 8_192)), Frame: some("train.py:88 barrier"), FrameSince: some(ns("2026-03-01T11:00:00Z")), Looks: some[int64](3)})
	want(t, "subject", p.Subject(), "headway.events.n.b.proof.j=2F1")

	h := accepted(t, "batch.health.changed", "health", `{"ordinal":0,"batch_id":"b","namespace":"n","from":"ok","to":"stuck",
		"blocked_reason":"ray_job_pending: …","stuck_seconds":1.5,"evidence":{"b":1,"a":[]},"revision":"x-1-2","as_of":"2026-03-01T11:59:00Z","link":"/v1"}`)
	want(t, "health", h.HealthFacts, HealthFacts{
		Ordinal: 0, From: HealthOK, To: HealthStuck, BlockedReason: "ray_job_pending: …", StuckSeconds: some(1.5), EvidenceJSON: `{"a":[],"b":1}`,
		Revision: "x-1-2", AsOf: ns("2026-03-01T11:59:00Z"), Link: "/v1",
	})
	h = accepted(t, "batch.health.changed", "health", `{"ordinal":0,"batch_id":"b","namespace":"n","from":"ok","to":"stuck","revision":"x-1-2",
		"as_of":"2026-03-01T11:59:00Z","changed":["health","cause","health"],"cause_from":null,"cause_to":"IMAGE:PULL_FAILED","policy_hash":"0a1b"}`)
	want(t, "health", h.HealthFacts, HealthFacts{
		From: HealthOK, To: HealthStuck, Revision: "x-1-2", AsOf: ns("2026-03-01T11:59:00Z"), ChangedJSON: `["cause","health"]`,
		CauseFrom: some(""), CauseTo: some("IMAGE:PULL_FAILED"), PolicyHash: "0a1b",
	})
}

func TestDecodeForgetsTheEventBefore(t *testing.T) {
	var d Decoder
	full := inEnvelope("batch", `{"name":"x","settled":true,"status":"FAILED","tiers":[{"tier_num":1,"total_documents":3,"collections":[{"collection_id":"c","expected_documents":2}]}]}`)
	plain := inEnvelope("batch", `{"tiers":[{"tier_num":1,"collections":[{"collection_id":"c"}]}]}`)
	first, _ := new(Decoder).Decode(onStream("batch", plain))
	for _, before := range []string{full, full[:len(full)-3], "", inEnvelope("tier", `{"tier_num":1}`)} {
		d.Decode(onStream("batch", before))
		again, r := d.Decode(onStream("batch", plain))
		if r != nil {
			t.Fatal(r)
		}
		if a, b := fmt.Sprintf("%+v", *first), fmt.Sprintf("%+v", *again); a != b {
			t.Errorf("after %q:\n%s\n%s", before, b, a)
		}
	}
}

func TestDecodeModes(t *testing.T) {
	late := `{"data":{"tier_num":1,"status":"PENDING"},"type":"dev.headway.tier.v1","id":"e1","source":"/p","time":"2026-03-01T11:59:00Z"}`
	e, r := new(Decoder).Decode(onStream("tier.1", late))
	if r != nil || e.TierFacts.Status != WordPending {
		t.Errorf("data before type: %v", r)
	}
	m := onStream("tier.1", late)
	m.Attribute = asHeaders(map[string]string{"type": "dev.headway.job.v1", "content-type": "Application/CloudEvents+JSON; charset=utf-8"})
	if e, r := new(Decoder).Decode(m); r != nil || e.Type != TypeTier {
		t.Errorf("the content type of structured mode is what decides: %v", r)
	}
	m = onStream("tier.1", `{"tier_num":1}`)
	m.Attribute = asHeaders(map[string]string{"type": "dev.headway.tier.v1", "id": "a%20b%C3%A9%zz", "source": "/p", "time": "2026-03-01T11:59:00Z"})
	e, r = new(Decoder).Decode(m)
	if r != nil {
		t.Fatal(r)
	}
	want(t, "percent-encoded id", e.ID, "a bé%zz")
}

func TestValidID(t *testing.T) {
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-"
	for c := range 256 {
		id := string([]byte{byte(c)})
		want(t, fmt.Sprintf("%q", id), ValidID(id), strings.Contains(letters, id))
	}
	want(t, "none", ValidID(""), false)
	want(t, "128", ValidID(strings.Repeat("a", 128)), true)
	want(t, "129", ValidID(strings.Repeat("a", 129)), false)
}

func TestParseTimeAgreesWithTheStandardLibrary(t *testing.T) {
	for day := time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC); day.Year() < 9999; day = day.AddDate(0, 0, 13) {
		at := day.Add(time.Duration(day.Unix()&0xffff) * 1_000_000_007).In(time.FixedZone("", int(day.Unix()>>9%1400)*60))
		text := at.Format(time.RFC3339Nano)
		sec, nsec, ok := parseTime(text)
		if parsed, err := time.Parse(time.RFC3339Nano, text); err != nil || !ok || sec != parsed.Unix() || nsec != int64(parsed.Nanosecond()) {
			t.Fatalf("%s: %d.%09d %v, want %d (%v)", text, sec, nsec, ok, parsed.Unix(), err)
		}
	}
}

func TestDecodeForgetsOfEveryType(t *testing.T) {
	for _, c := range []struct{ kind, subject, full, least string }{
		{"tier", "tier.1", `{"tier_num":1,"attempt":2,"status":"FAILED","error":"e","errors":[{"error_type":"a","message":"m","stage":"s","affected_document_ids":["d"]}],"counts":{"written":1}}`,
			`{"tier_num":1,"errors":[{"error_type":"a","message":"m"}]}`},
		{"job", "job.j", `{"tier_num":1,"submission_id":"j","status":"FAILED","attempt":2,"exit_code":1,"waiting_on":{"kind":"quota","since":"2026-03-01T11:00:00Z"}}`,
			`{"tier_num":1,"submission_id":"j","status":"PENDING"}`},
		{"collection", "collection.c", `{"collection_id":"c","tier_num":1,"document_count":4}`, `{"collection_id":"c"}`},
		{"stage", "stage.1", `{"tier_num":1,"stage":"s","worker":"w","count":1,"buckets":[[1,1]]}`, `{"tier_num":1,"stage":"s"}`},
		{"batch.health.changed", "health", `{"ordinal":1,"batch_id":"b","namespace":"n","from":"ok","to":"stuck","revision":"r","as_of":"2026-03-01T11:00:00Z","link":"l","stuck_seconds":1}`,
			`{"ordinal":1,"batch_id":"b","namespace":"n","from":"ok","to":"stuck","revision":"r","as_of":"2026-03-01T11:00:00Z"}`},
	} {
		var used, fresh Decoder
		used.Decode(onStream(c.subject, inEnvelope(c.kind, c.full)))
		again, r := used.Decode(onStream(c.subject, inEnvelope(c.kind, c.least)))
		first, no := fresh.Decode(onStream(c.subject, inEnvelope(c.kind, c.least)))
		if r != nil || no != nil {
			t.Fatal(r, no)
		}
		want(t, c.kind, fmt.Sprintf("%+v", *again), fmt.Sprintf("%+v", *first))
	}
}
