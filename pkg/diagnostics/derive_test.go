package diagnostics

import (
	"cmp"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"testing"
)

func TestBatchStatus(t *testing.T) {
	status := func(name, wanted string, s *story) {
		t.Helper()
		t.Run(name, func(t *testing.T) { want(t, "status", s.at(60).Status, wanted) })
	}
	status("nothing", "UNKNOWN", tell(t))
	status("known tier", "PENDING", tell(t).tier(0, 0, WordPending))
	status("draft", "DRAFT", tell(t).batch(0, WordDraft))
	status("queued", "PENDING", tell(t).batch(0, WordQueued))
	status("in progress", "PROCESSING", tell(t).batch(0, WordInProgress))
	status("a job", "PROCESSING", tell(t).batch(0, WordPending).job(1, "j", 0, WordPending))
	status("progress", "PROCESSING", tell(t).progress(1, 0, 1, 2))
	status("terminal absorbs", "FAILED", tell(t).batch(0, WordFailed).batch(9, WordProcessing))
	status("the later of two ends", "CANCELED", tell(t).batch(1, WordFailed).batch(2, WordCanceled))
	status("derived end", "COMPLETED",
		tell(t).batch(0, WordProcessing, tiers(2)).tier(1, 0, WordCompleted).tier(2, 1, WordCompleted))
	status("derived end with errors", "COMPLETED_WITH_ERRORS",
		tell(t).batch(0, WordProcessing, tiers(1)).tier(1, 0, WordCompleted, func(f *TierFacts) { f.Failed = some(int64(3)) }))
	status("completed by jobs alone is no derived end", "PROCESSING",
		tell(t).batch(0, WordProcessing, tiers(1)).job(1, "j", 0, WordSucceeded))
	status("a later attempt begins anew", "PENDING",
		tell(t).batch(0, WordProcessing).job(1, "j", 0, WordRunning).tier(2, 0, WordFailed).batch(3, WordFailed).batch(10, WordPending, batchAttempted(2)))
	status("a later attempt at work", "PROCESSING",
		tell(t).batch(3, WordFailed).batch(10, WordPending, batchAttempted(2)).job(11, "k", 0, WordRunning))
}

func TestTierStatus(t *testing.T) {
	status := func(name, wanted string, s *story) {
		t.Helper()
		t.Run(name, func(t *testing.T) { want(t, "status", s.at(60).Tiers[0].Status, wanted) })
	}
	status("pending by its job", "PENDING", tell(t).job(0, "j", 0, WordPending))
	status("pending becomes processing", "PROCESSING", tell(t).tier(0, 0, WordPending).job(0, "j", 0, WordRunning))
	status("all succeeded", "COMPLETED", tell(t).job(0, "j", 0, WordSucceeded).job(0, "k", 0, WordSucceeded))
	status("one failed, one live", "PROCESSING", tell(t).job(0, "j", 0, WordFailed).job(0, "k", 0, WordRunning,
		func(f *JobFacts) { f.Extractor = some("other") }))
	status("one failed", "FAILED", tell(t).job(0, "j", 0, WordFailed).job(0, "k", 0, WordSucceeded,
		func(f *JobFacts) { f.Extractor = some("other") }))
	status("superseded", "COMPLETED", tell(t).job(0, "j", 0, WordPending).job(5, "j", 0, WordFailed).job(4.5, "k", 0, WordSucceeded))
	status("submitted too early to supersede", "FAILED", tell(t).job(0, "j", 0, WordPending).job(5, "j", 0, WordFailed).job(3.9, "k", 0, WordSucceeded))
	status("stopped", "FAILED", tell(t).job(0, "j", 0, WordStopped))
	status("stopped in a canceled batch", "PROCESSING", tell(t).job(0, "j", 0, WordStopped).batch(1, WordCanceled))
	status("a higher attempt reopens", "PENDING", tell(t).tier(0, 0, WordCompleted).tier(1, 0, WordPending, inAttempt(2)))
	status("a late heartbeat doesn't", "COMPLETED", tell(t).tier(0, 0, WordCompleted).progress(5, 0, 3, 9))
}

func TestProgress(t *testing.T) {
	s := tell(t).batch(0, WordProcessing, tiers(4)).progress(1, 0, 241, 5)
	tier := s.at(2).Tiers[0]
	want(t, "clamped", tier.Progress, Progress{ProcessedDocuments: 5, TotalDocuments: 5, Percentage: 99.99})
	want(t, "insights", len(s.at(2).Insights), 1)
	want(t, "overall", s.at(2).OverallProgress, 25)

	s = tell(t).progress(1, 0, 1, 3)
	want(t, "two decimals", s.at(2).Tiers[0].Progress.Percentage, 33.33)
	s.progress(2, 0, 2, 3)
	want(t, "half up", s.at(2).Tiers[0].Progress.Percentage, 66.67)

	s = tell(t).job(1, "j", 0, WordRunning, docs(3, 10)).job(1, "k", 0, WordRunning, docs(4, 10))
	want(t, "sum of jobs", s.at(2).Tiers[0].Progress, Progress{ProcessedDocuments: 7, TotalDocuments: 20, Percentage: 35})
	s = tell(t).job(1, "j", 0, WordRunning, docs(3, 10)).job(1, "k", 0, WordRunning)
	want(t, "total unknown", s.at(2).Tiers[0].Progress, Progress{ProcessedDocuments: 3, TotalDocuments: 0, Percentage: 0})
}

func TestAttempts(t *testing.T) {
	s := tell(t).batch(0, WordProcessing).progress(1, 0, 90, 100).
		tier(10, 0, WordProcessing, inAttempt(2), func(f *TierFacts) { f.Processed = some(int64(5)) })
	got := s.at(11).Tiers[0]
	want(t, "attempt", got.Attempt, 2)
	want(t, "processed", got.Progress.ProcessedDocuments, 5)

	// A job without an attempt belongs to the highest attempt that was reported up to 60 s after the job's submission.
	s = tell(t).tier(1, 0, WordProcessing).tier(10, 0, WordProcessing, inAttempt(2)).
		job(9, "late", 0, WordRunning).job(8.9, "early", 0, WordRunning)
	jobs := s.at(11).Tiers[0].Jobs
	if len(jobs) != 1 || jobs[0].RayJobID != "late" {
		t.Errorf("jobs of attempt 2: %+v", jobs)
	}
	// An attempt that only jobs mention can be the highest one, too.
	s = tell(t).tier(1, 0, WordFailed).job(2, "j", 0, WordRunning, func(f *JobFacts) { f.Attempt = some(int32(3)) })
	want(t, "attempt", s.at(3).Tiers[0].Attempt, 3)
	want(t, "status", s.at(3).Tiers[0].Status, "PROCESSING")
}

func TestTimes(t *testing.T) {
	s := tell(t).job(1, "j", 0, WordPending).job(3, "j", 0, WordRunning).job(9, "j", 0, WordSucceeded)
	got := s.at(20)
	want(t, "tier start", *got.Tiers[0].StartedAt, moment(minute(3)))
	want(t, "tier end", *got.Tiers[0].CompletedAt, moment(minute(9)))
	want(t, "queue", *got.Tiers[0].QueueSeconds, 120)
	want(t, "batch start", *got.StartedAt, moment(minute(3)))
	if got.CreatedAt != nil || got.CompletedAt != nil {
		t.Error("created_at has no fallback, and there is no end")
	}
	s.batch(2, WordPending).batch(12, WordCompleted)
	want(t, "submitted", *s.at(20).SubmittedAt, moment(minute(2)))
	want(t, "end", *s.at(20).CompletedAt, moment(minute(12)))
	want(t, "duration", *s.at(20).DurationSeconds, 9*60)
}

func TestCurrentTier(t *testing.T) {
	s := tell(t).batch(0, WordProcessing, tiers(5)).tier(1, 0, WordCompleted).tier(2, 1, WordProcessing).tier(2, 2, WordProcessing)
	want(t, "current", s.at(3).CurrentTier, 1)
	want(t, "total", s.at(3).TotalTiers, 5)
	s.tier(4, 7, WordPending)
	want(t, "total", s.at(5).TotalTiers, 8)
	s = tell(t).tier(1, 0, WordCompleted).tier(2, 3, WordFailed)
	want(t, "current", s.at(3).CurrentTier, 3)
}

func TestCollections(t *testing.T) {
	in := func(n int32, docs int64) Event {
		return Event{Type: TypeCollection, CollectionFacts: CollectionFacts{ID: string(rune('a' + n)), TierNum: some(n), Documents: some(docs)}}
	}
	s := tell(t).tier(1, 0, WordCompleted).tier(1, 1, WordProcessing).tier(1, 2, WordPending).
		add(2, in(0, 5)).add(2, in(1, 0)).add(2, in(2, 0)).add(2, in(3, 1))
	var got []string
	for _, c := range s.at(3).Collections {
		got = append(got, c.CollectionID+" "+c.Status)
	}
	for i, w := range []string{"a ready", "b processing", "c empty", "d processing"} {
		want(t, "collection", got[i], w)
	}
}

func TestRowJSON(t *testing.T) {
	s := tell(t).batch(0, WordProcessing).job(1, "j\"\n", 0, WordRunning, docs(1, 3)).batch(2, WordFailed)
	r := NewRow(s.announced(minute(3)).view(), moment(minute(3)), s.policy)
	reason, pipeline := "a\"b", "p"
	r.BlockedReason, r.Pipeline = &reason, &pipeline
	r.Spark = []int64{3, 0, 7}
	r.ETA = &RowETA{P50: moment(minute(9)), P90: moment(minute(10))}
	for _, row := range []Row{r, {Spark: []int64{}}} {
		byHand := row.AppendJSON(nil)
		std, err := json.Marshal(&row)
		if err != nil {
			t.Fatal(err)
		}
		var a, b map[string]any
		if err := json.Unmarshal(byHand, &a); err != nil {
			t.Fatalf("%s: %v", byHand, err)
		}
		_ = json.Unmarshal(std, &b)
		if !reflect.DeepEqual(a, b) {
			t.Errorf("by hand %s\nstandard %s", byHand, std)
		}
	}
}

func TestEncoderReuse(t *testing.T) {
	a, _ := commonView()
	b := tell(t).job(1, "j", 0, WordRunning).view()
	var e Encoder
	for range 3 {
		for _, v := range []*View{a, b} {
			if string(e.Append(nil, v)) != string(v.Append(nil)) {
				t.Fatal("a reused encoder writes other bytes")
			}
		}
	}
}

// A derivation may be used concurrently: the API renders from it for each reader.
func TestDerivedIsShared(t *testing.T) {
	v, _ := commonView()
	alone := Render(v, heard(v), DefaultPolicy(), Meta{})
	wanted := string(alone.AppendJSON(nil))
	at, d := heard(v), Derive(v)
	var askers sync.WaitGroup
	for range 8 {
		askers.Go(func() {
			d.Row(at, DefaultPolicy())
			got := d.Render(at, DefaultPolicy(), Meta{})
			if string(got.AppendJSON(nil)) != wanted {
				t.Error("another answer than alone")
			}
		})
	}
	askers.Wait()
}

// Some sources name a job's cluster and run. What the others report of the same submission id is joined to it.
func TestLivesOfASubmission(t *testing.T) {
	in := func(cluster, run string) func(*JobFacts) {
		return func(f *JobFacts) {
			f.Cluster, f.Run = Opt[string]{V: cluster, Set: true}, Opt[string]{V: run, Set: run != ""}
		}
	}
	lives := func(name string, s *story, wanted ...string) {
		t.Helper()
		t.Run(name, func(t *testing.T) {
			t.Helper()
			got := []string{}
			for _, j := range s.at(60).Tiers[0].Jobs {
				got = append(got, fmt.Sprint(*cmp.Or(j.Cluster, new(string)), " ", j.Status, " ", j.SubmittedAt.Format("04:05")))
			}
			want(t, "jobs", strings.Join(got, ", "), strings.Join(wanted, ", "))
		})
	}
	lives("the only one", tell(t).job(0, "j", 0, WordPending).job(1, "j", 0, WordRunning, in("a", "1")), "a RUNNING 00:00")
	lives("a cluster without a run", tell(t).job(0, "j", 0, WordPending, in("a", "")).job(1, "j", 0, WordRunning, in("a", "1")), "a RUNNING 00:00")
	lives("on two clusters", tell(t).job(0, "j", 0, WordPending).job(0.1, "j", 0, WordPending, in("a", "1")).job(2, "j", 0, WordPending, in("b", "2")).job(3, "j", 0, WordRunning, in("b", "2")),
		"a PENDING 00:00", "b RUNNING 02:00")
	lives("used again", tell(t).job(0, "j", 0, WordPending).job(0.1, "j", 0, WordRunning, in("a", "1")).job(5, "j", 0, WordFailed, in("a", "1")).
		job(5.1, "j", 0, WordFailed).job(6, "j", 0, WordPending).job(6.5, "j", 0, WordRunning, in("a", "2")), "a FAILED 00:00", "a RUNNING 06:00")
	lives("used again, and the first end was said by one source only", tell(t).job(0, "j", 0, WordRunning, in("a", "1")).job(4, "j", 0, WordFailed).
		job(6, "j", 0, WordRunning, in("a", "2")), "a FAILED 00:00", "a RUNNING 06:00")
	lives("nobody names one", tell(t).job(0, "j", 0, WordPending).job(1, "j", 0, WordRunning), " RUNNING 00:00")
}
