package client

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/headwayhq/headway/pkg/diagnostics"
)

// everyType has one event of each type with every field set, and events made by the short constructors.
func everyType() []Event {
	at := time.Now().Add(-time.Minute)
	jobID := "01000000"
	return []Event{
		{Batch: "b", Time: at, Data: &Batch{
			Status: "PROCESSING", Attempt: 2, Name: "name", Pipeline: "p", Owner: "o", Labels: map[string]string{"k": "v"},
			RetryOf: "a", BucketID: "bkt", TotalTiers: 2, TotalObj: new(int64(7)), CreatedAt: &at, SubmittedAt: &at, StartedAt: &at,
			CompletedAt: &at, Error: "e", ErrorType: "runtime", Tiers: []TierPlan{{
				TierNum: 1, RequiresGPU: new(false), TotalDocs: new(int64(3)), Collections: []CollectionPlan{{ID: "c", Name: "n", Expected: new(int64(3))}},
			}},
		}},
		{Batch: "b", Time: at, Data: &Tier{
			TierNum: 1, Attempt: 2, Status: "FAILED", TaskID: "t", RequiresGPU: new(true), StartedAt: &at, CompletedAt: &at,
			Processed: new(int64(0)), Total: new(int64(3)), Failed: new(int64(1)), Error: "e", ErrorType: "resource",
			Errors: []DocumentError{{ErrorType: "validation", Message: "m", Component: "c", Stage: "s", Affected: 1, Documents: []string{"d"}, Suggestion: "do"}},
			Counts: map[string]int64{"fetched": 3, "written": 2},
		}},
		{Batch: "b", Time: at, Data: &Tier{TierNum: 1, TaskID: "t"}},
		{Batch: "b", Time: at, Data: &Tier{TierNum: 1, Counts: map[string]int64{"fetched": 1}}},
		{Batch: "b", Time: at, Data: &Job{
			TierNum: 1, Attempt: 2, SubmissionID: "raysubmit_1", JobID: jobID, Extractor: "x", Collections: []string{"c"}, Status: "PENDING",
			SubmittedAt: &at, StartedAt: &at, EndedAt: &at, Message: "m", ErrorType: "RUNTIME_ENV_SETUP_FAILURE", ExitCode: new(-9),
			DashboardURL: "http://ray:8265/", Resources: map[string]any{"num_cpus": 1.5, "num_gpus": 1, "memory_bytes": 1 << 30},
			Params: map[string]any{"entrypoint": "python -m x"}, Cluster: "c", Run: "1", Session: "s", Processed: new(int64(0)), Total: new(int64(9)),
			WaitingOn: &WaitingOn{
				Kind: "resources", Since: at, Demand: map[string]any{"GPU": 1}, Offered: map[string]any{"GPU": 0},
				NodesPending: new(int64(0)), Infeasible: new(true), Detail: "d",
				Code: "CAPACITY:IN_USE", Asked: []any{"ray"}, Holders: []any{"j2"}, Fixes: []any{"wait"},
			},
		}},
		{Batch: "b", Time: at, Data: &Job{SubmissionID: "j", Status: "PENDING", WaitingOn: &WaitingOn{}}},
		{Batch: "b", Time: at, Data: &Collection{ID: "c", Name: "n", TierNum: new(0), Documents: new(int64(0)), Expected: new(int64(5))}},
		{Batch: "b", Time: at, Data: &Stage{
			TierNum: 1, Attempt: 2, Stage: "embed", Component: "c", Worker: "w", Unit: "blocks", Count: 10, TotalMS: 100, MaxMS: 40, Buckets: [][2]float64{{10, 6}, {100, 4}},
		}},
		BatchStatus("b", "PROCESSING"), TierStatus("b", 0, "PROCESSING"), TierProgress("b", 0, 1, 2),
		JobStatus("b", 0, "j", "RUNNING"), CollectionCount("b", "c", 4), StageTimes("b", 0, "s", "w", 3, time.Second),
	}
}

// The field names are those of docs/events.md: the core reads every value that was set.
func TestFieldsArrive(t *testing.T) {
	c := &Client{o: Options{Namespace: "n", Source: "s"}}
	c.decoders.New = func() any { return new(diagnostics.Decoder) }
	decode := func(i int) *diagnostics.Event {
		t.Helper()
		subject, data, err := c.encode(everyType()[i])
		if err != nil {
			t.Fatal(err)
		}
		var d diagnostics.Decoder
		e, rejection := d.Decode(diagnostics.Message{Subject: subject, Data: data})
		if rejection != nil {
			t.Fatal(rejection)
		}
		return e
	}
	absent := func(what string, v any) {
		t.Helper()
		text, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		var fields any
		if err := json.Unmarshal(text, &fields); err != nil {
			t.Fatal(err)
		}
		unset(t, what, fields)
	}
	batch := decode(0).BatchFacts
	absent("batch", batch)
	absent("tier", func() diagnostics.TierFacts {
		f := decode(1).TierFacts
		f.Counts[diagnostics.CountAfterFilter] = f.Counts[diagnostics.CountFetched] // given: fetched and written
		f.Counts[diagnostics.CountMissingInputs] = f.Counts[diagnostics.CountFetched]
		f.Counts[diagnostics.CountSubmitted] = f.Counts[diagnostics.CountWritten]
		return f
	}())
	absent("job", decode(4).JobFacts)
	absent("collection", decode(6).CollectionFacts)
	absent("stage", decode(7).StageFacts)

	if w := decode(5).JobFacts.Waiting; !w.Set || w.V.Kind != "" {
		t.Errorf("waits for nothing: %+v", w)
	}
	if w := decode(11).JobFacts.Waiting; w.Set {
		t.Errorf("says nothing of waiting: %+v", w)
	}
	if p := decode(1).TierFacts.Processed; !p.Set || p.V != 0 {
		t.Errorf("a zero that was given: %+v", p)
	}
}

// unset names every Opt that no value was read into.
func unset(t *testing.T, path string, v any) {
	t.Helper()
	switch v := v.(type) {
	case map[string]any:
		if set, ok := v["Set"].(bool); ok && !set {
			t.Errorf("%s didn't arrive", path)
		}
		for k, inner := range v {
			unset(t, path+"."+k, inner)
		}
	case []any:
		for _, inner := range v {
			unset(t, path+"[]", inner)
		}
	}
}

// Two events made from the same facts have the same id. A different fact gives a different id.
func TestDerivedID(t *testing.T) {
	c := &Client{o: Options{Namespace: "default", Source: "go-client"}}
	c.decoders.New = func() any { return new(diagnostics.Decoder) }
	at := time.Now()
	base := TierProgress("b", 0, 5, 10)
	base.Time = at
	_, first, err := c.encode(base)
	if err != nil {
		t.Fatal(err)
	}
	same := TierProgress("b", 0, 5, 10)
	same.Time = at.In(time.FixedZone("elsewhere", 3600))
	if _, again, _ := c.encode(same); string(again) != string(first) {
		t.Errorf("the same facts:\n%s\n%s", first, again)
	}
	seen := map[string]bool{idOf(t, first): true}
	for _, e := range []Event{
		{Batch: "b", Time: at.Add(1), Data: base.Data}, {Batch: "c", Time: at, Data: base.Data},
		{Batch: "b", Time: at, Data: TierProgress("b", 0, 6, 10).Data}, {Batch: "b", Time: at, Data: TierProgress("b", 1, 5, 10).Data},
		{Batch: "b", Time: at, ID: "mine", Data: base.Data},
	} {
		_, data, err := c.encode(e)
		if err != nil {
			t.Fatal(err)
		}
		id := idOf(t, data)
		if seen[id] || e.ID != "" && id != e.ID {
			t.Errorf("%+v has the id %s", e, id)
		}
		seen[id] = true
	}
}

func idOf(t *testing.T, data []byte) string {
	t.Helper()
	var d diagnostics.Decoder
	e, rejection := d.Decode(diagnostics.Message{Namespace: "n", Data: data})
	if rejection != nil {
		t.Fatal(rejection)
	}
	return strings.Clone(e.ID)
}

// Ids of other systems are passed unchanged: the client encodes them for the subject.
func TestForeignIDs(t *testing.T) {
	c := &Client{o: Options{Namespace: "n", Source: "s"}}
	c.decoders.New = func() any { return new(diagnostics.Decoder) }
	for _, e := range []Event{
		JobStatus("manual__2026-11-27T00:00:00+00:00", 0, "a/b", "RUNNING"), CollectionCount("manual__2026-11-27T00:00:00+00:00", "a/b", 3),
	} {
		subject, _, err := c.encode(e)
		if err != nil || !strings.HasPrefix(subject, "headway.events.n.manual__2026-11-27T00=3A00=3A00=2B00=3A00.") || !strings.HasSuffix(subject, ".a=2Fb") {
			t.Errorf("%s, %v", subject, err)
		}
	}
	if _, _, err := c.encode(BatchStatus("a\nb", "PROCESSING")); err == nil {
		t.Error("an id with a line feed was taken")
	}
}
