package diagnostics

import "testing"

func TestTierNameCountsAsPeopleDo(t *testing.T) {
	for _, c := range []struct {
		n, total int
		status   string
		want     string
	}{
		{1, 3, "PROCESSING", "tier 2 of 3"},
		{2, 3, "COMPLETED", "tier 3 of 3"},
		{1, 3, "COMPLETED", "tier 3 of 3"}, // the last one was skipped
		{1, 3, "FAILED", "tier 2 of 3"},
		{4, 3, "", "tier 5 of 5"}, // more tiers than were announced
	} {
		if got := TierName(c.n, c.total, c.status); got != c.want {
			t.Errorf("%+v: %q", c, got)
		}
	}
}

// Two batches have the same trouble if their rows have the same cause and the same words, whatever their jobs are called.
func TestAlikeHasNoNamesAndTimes(t *testing.T) {
	waits := func(job, demand string, after float64) Row {
		s := tell(t).batch(0, WordProcessing).job(after, job, 0, WordPending, func(f *JobFacts) {
			f.Waiting = some(Waiting{Kind: "resources", Since: minute(after), DemandJSON: demand, Code: some("PLACEMENT:TOO_LARGE")})
		})
		return NewRow(s.view(), moment(minute(30)), s.policy)
	}
	a, b, c := waits("one", `{"GPU":8}`, 1), waits("two", `{"GPU":8}`, 3), waits("three", `{"GPU":4}`, 1)
	for _, r := range []Row{a, b, c} {
		if r.Alike == nil || r.Sentence == nil || r.Cause == nil {
			t.Fatalf("%+v", r)
		}
	}
	want(t, "alike", *a.Alike, "a job asks for more than any node has, needs 8 GPUs")
	want(t, "of another job", *b.Alike, *a.Alike)
	want(t, "of another demand", *c.Alike, "a job asks for more than any node has, needs 4 GPUs")
	if *a.Sentence == *b.Sentence {
		t.Errorf("the sentence %q names no job", *a.Sentence)
	}
}

// A failed batch has its cause in the list.
func TestRowOfAFailureHasItsSentence(t *testing.T) {
	s := tell(t).batch(0, WordProcessing).job(1, "j", 0, WordFailed, func(f *JobFacts) {
		f.ErrorType, f.Message = some("OutOfMemoryError"), some("CUDA out of memory")
	}).batch(2, WordFailed)
	r := NewRow(s.view(), moment(minute(30)), s.policy)
	if r.Sentence == nil || r.Alike == nil {
		t.Fatalf("%+v", r)
	}
	want(t, "sentence", *r.Sentence, "tier 1 of 1 failed (j: CUDA out of memory)")
	want(t, "alike", *r.Alike, "a tier failed (OutOfMemoryError)")
}

// A job of which no end was said doesn't go on counting when its batch is over, unless it is known to run on.
func TestJobOfAnEndedBatchStopsCounting(t *testing.T) {
	ended := tell(t).batch(0, WordProcessing).job(1, "j", 0, WordRunning).batch(5, WordCompleted)
	if got := *ended.at(60).Tiers[0].Jobs[0].DurationSeconds; got != 240 {
		t.Errorf("%v s, want 240", got)
	}
	waiting := tell(t).batch(0, WordProcessing).job(1, "j", 0, WordPending).batch(5, WordCanceled)
	if got := *waiting.at(60).Tiers[0].Jobs[0].QueueSeconds; got != 240 {
		t.Errorf("queued %v s, want 240", got)
	}
	on := tell(t).batch(0, WordProcessing).job(1, "j", 0, WordRunning).batch(5, WordCompleted).job(30, "j", 0, WordRunning)
	if got := *on.at(60).Tiers[0].Jobs[0].DurationSeconds; got != 59*60 {
		t.Errorf("%v s, want %v: it runs on", got, 59*60)
	}
}
