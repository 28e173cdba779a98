package api

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/headwayhq/headway/pkg/diagnostics"
	"github.com/headwayhq/headway/pkg/eventlog"
	"github.com/headwayhq/headway/pkg/push"
	"github.com/headwayhq/headway/services/api/access"
)

// keptLog is a log with a real history behind it.
type keptLog struct {
	*eventLog

	of *archive
}

func (l keptLog) LastCheckpoint(ctx context.Context, ns, batch string) (*eventlog.Checkpoint, error) {
	return l.of.log.LastCheckpoint(ctx, ns, batch)
}

// newKept is a world whose finished batches are in a real history.
func newKept(t *testing.T, change ...func(*Options)) (*world, *archive) {
	t.Helper()
	a := newArchive(t)
	w := newWorld(t, append([]func(*Options){func(o *Options) { o.Finished, o.Log = a.present, keptLog{&eventLog{}, a} }}, change...)...)
	return w, a
}

func (w *world) runs(pipeline, query string) runsAnswer {
	w.t.Helper()
	var out runsAnswer
	if err := json.Unmarshal(w.status(w.get("/v1/pipelines/"+pipeline+"/runs?"+query), 200).Body.Bytes(), &out); err != nil {
		w.t.Fatal(err)
	}
	return out
}

func idsOf(runs []diagnostics.Run) (ids []string) {
	for i := range runs {
		ids = append(ids, runs[i].BatchID)
	}
	return ids
}

// The runs of a pipeline are those that go on, from Redis, and those that have ended, from the history.
func TestRunsOfAPipeline(t *testing.T) {
	t.Parallel()
	w, a := newKept(t)
	now := time.Now().UTC().Truncate(time.Second)
	var want []string
	say := func(batch, kind, data string, at time.Time) {
		w.shelf.sayAt(t, push.Key{Namespace: "default", Name: batch}, kind, data, at)
	}
	for i, batch := range []string{"new", "newer"} {
		say(batch, "batch", `{"status":"PROCESSING","pipeline":"media"}`, now.Add(time.Duration(i-10)*time.Minute))
	}
	say("recent", "batch", `{"status":"COMPLETED","pipeline":"media","completed_at":"`+now.Add(-time.Hour).Format(time.RFC3339)+`"}`, now.Add(-time.Hour))
	want = append(want, "newer", "new", "recent")
	for i := range 6 {
		id := fmt.Sprintf("old%d", i)
		a.ends("default", id, "COMPLETED", `,"pipeline":"media"`, now.Add(-time.Duration(2+40*i)*24*time.Hour))
		want = append(want, id)
	}
	a.ends("default", "text", "FAILED", `,"pipeline":"text"`, now.Add(-2*time.Hour))
	a.ends("other", "elsewhere", "COMPLETED", `,"pipeline":"media"`, now.Add(-2*time.Hour))
	say("none", "batch", `{"status":"PROCESSING"}`, now)

	all := w.runs("media", "")
	if !slices.Equal(idsOf(all.Runs), want) || all.Active != 2 || all.Next != nil || all.Pipeline != "media" || all.Incomplete {
		t.Errorf("all: %v, %d go on, next %v, %v", idsOf(all.Runs), all.Active, all.Next, all.Reasons)
	}
	for _, limit := range []int{1, 2, 3, 5, 100} {
		var got []string
		for next := ""; ; {
			page := w.runs("media", fmt.Sprintf("limit=%d&cursor=%s", limit, next))
			if len(page.Runs) > limit {
				t.Errorf("%d runs with limit %d", len(page.Runs), limit)
			}
			if got = append(got, idsOf(page.Runs)...); page.Next == nil || len(got) > 2*len(want) {
				break
			}
			next = *page.Next
		}
		expected := want
		if limit == 1 { // of those that go on, only the newest are shown
			expected = append([]string{"newer"}, want[2:]...)
		}
		if !slices.Equal(got, expected) {
			t.Errorf("limit %d: %v", limit, got)
		}
	}
	if got := w.runs("nobody", ""); len(got.Runs) != 0 || got.Next != nil {
		t.Errorf("of a pipeline that isn't there: %v", got)
	}
	if got := w.runs("media", "namespace=other"); !slices.Equal(idsOf(got.Runs), []string{"elsewhere"}) {
		t.Errorf("of another namespace: %v", idsOf(got.Runs))
	}
}

// A run says what the answer about its batch says.
func TestRunsSayWhatTheBatchSays(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	k := push.Key{Namespace: "default", Name: "b"}
	begin := time.Now().UTC().Truncate(time.Second).Add(-time.Hour)
	at := func(m int) time.Time { return begin.Add(time.Duration(m) * time.Minute) }
	say := func(m int, kind, data string) { w.shelf.sayAt(t, k, kind, data, at(m)) }
	say(0, "batch", `{"status":"PROCESSING","pipeline":"a/b ü","total_tiers":2}`)
	say(1, "job", `{"tier_num":0,"submission_id":"j","status":"PENDING","waiting_on":{"kind":"node_launch","since":"`+at(1).Format(time.RFC3339)+`"}}`)
	say(9, "job", `{"tier_num":0,"submission_id":"j","status":"RUNNING","started_at":"`+at(9).Format(time.RFC3339)+`"}`)
	say(20, "tier", `{"tier_num":0,"status":"FAILED","error":"lost connection","error_type":"network","processed_documents":7,"failed_documents":3}`)
	say(21, "batch", `{"status":"FAILED"}`)

	all := w.runs("a%2Fb%20%C3%BC", "").Runs
	if len(all) != 1 {
		t.Fatalf("%d runs", len(all))
	}
	run := all[0]
	var s diagnostics.Snapshot
	if err := json.Unmarshal(w.status(w.get("/v1/analytics/performance/batches/b/diagnostics"), 200).Body.Bytes(), &s); err != nil {
		t.Fatal(err)
	}
	if run.Status != "FAILED" || *run.DurationSeconds != *s.DurationSeconds || run.QueueSeconds != s.PerformanceSummary.QueueSeconds || run.FailedTierCount != 1 || run.FailedDocuments != 3 || len(run.Tiers) != 1 {
		t.Errorf("%+v", run)
	}
	if run.Cause == nil || run.Sentence == nil || *run.Cause != string(s.Cause.Code) || *run.Sentence != s.Cause.Sentence {
		t.Errorf("cause %v %v, want %+v", run.Cause, run.Sentence, s.Cause)
	}
	tier, of := run.Tiers[0], s.Tiers[0]
	if tier.Status != of.Status || *tier.DurationSeconds != *of.DurationSeconds || *tier.QueueSeconds != *of.QueueSeconds || *tier.Cause != string(of.Cause.Code) || *tier.QueueSeconds != 480 {
		t.Errorf("%+v, want %+v", tier, of)
	}
	if want := []diagnostics.RunWait{{Phase: "node_launch", Seconds: 480}}; !slices.Equal(tier.Waits, want) {
		t.Errorf("waited %+v, want %+v", tier.Waits, want)
	}
}

func TestRunsAreBounded(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	k := push.Key{Namespace: "default", Name: "wide"}
	w.shelf.sayAt(t, k, "batch", `{"status":"PROCESSING","pipeline":"p","total_tiers":150}`, noon)
	for n := range 150 {
		w.shelf.sayAt(t, k, "tier", fmt.Sprintf(`{"tier_num":%d,"status":"PROCESSING"}`, n), noon.Add(time.Second))
	}
	run := w.runs("p", "").Runs[0]
	if len(run.Tiers) != runTiers || run.Tiers[runTiers-1].TierNum != runTiers-1 || run.TotalTiers != 150 {
		t.Errorf("%d tiers of %d", len(run.Tiers), run.TotalTiers)
	}
	for query, field := range map[string]string{
		"limit=0": "limit", "limit=101": "limit", "limit=x": "limit", "cursor=AAAA": "cursor", "lmit=3": "lmit",
	} {
		r := w.status(w.get("/v1/pipelines/p/runs?"+query), 400)
		if !strings.Contains(r.Body.String(), `"detail":"`+field+": ") {
			t.Errorf("%s: %s", query, r.Body)
		}
	}
	for _, batch := range []string{"x", "y"} {
		w.shelf.sayAt(t, push.Key{Namespace: "default", Name: batch}, "batch", `{"status":"COMPLETED","pipeline":"p"}`, time.Now())
	}
	next := w.runs("p", "limit=1").Next
	if r := w.status(w.get("/v1/pipelines/q/runs?cursor="+*next), 400); !strings.Contains(r.Body.String(), `"detail":"cursor: `) {
		t.Errorf("the cursor of another pipeline: %s", r.Body)
	}
}

// While a partition is being rebuilt, its runs are left out, and the answer says so.
func TestRunsWhileViewsAreRebuilt(t *testing.T) {
	t.Parallel()
	w, a := newKept(t)
	a.ends("default", "old", "COMPLETED", `,"pipeline":"p"`, time.Now().Add(-24*time.Hour))
	w.shelf.say(t, push.Key{Namespace: "default", Name: "here"}, "batch", `{"status":"PROCESSING","pipeline":"p"}`)
	if got := idsOf(w.runs("p", "").Runs); !slices.Equal(got, []string{"here", "old"}) {
		t.Fatal(got)
	}
	w.shelf.moved(push.Key{Namespace: "default", Name: "old"}, func(f *fence) { f.complete = false })
	if _, err := w.svc.source.refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	got := w.runs("p", "")
	if !slices.Equal(idsOf(got.Runs), []string{"here"}) || !got.Incomplete || got.Reasons[0].Type != "views_rebuilding" {
		t.Errorf("%v, %+v", idsOf(got.Runs), got.Reasons)
	}
}

// Each run costs its reader as much as reading its batch.
func TestRunsAreCharged(t *testing.T) {
	t.Parallel()
	k := newKeyed(t, nil, func(o *Options) { o.Limits.Principal = map[string]LimitSet{"requests_per_second": "1"} })
	for i := range 20 {
		k.shelf.say(t, push.Key{Namespace: "team-a", Name: fmt.Sprint("b", i)}, "batch", `{"status":"PROCESSING","pipeline":"p"}`)
	}
	reader := as(k.key(access.Wanted{Name: "r", Namespaces: []string{"team-a"}, Roles: []string{"reader"}}, "reader"))
	k.status(k.get("/v1/pipelines/p/runs", reader...), http.StatusOK)
	k.status(k.get("/v1/pipelines/p/runs", reader...), http.StatusTooManyRequests)
	writer := as(k.key(access.Wanted{Name: "w", Namespaces: []string{"team-a"}, Roles: []string{"writer"}}, "writer"))
	k.status(k.get("/v1/pipelines/p/runs", writer...), http.StatusForbidden)
}
