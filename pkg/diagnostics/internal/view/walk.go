package view

import "github.com/headwayhq/headway/pkg/diagnostics/internal/event"

// The one walk over the fields of a view. Writing, reading, joining and, by way of these, cloning and comparing all come
// from it: a field that stands here is in all of them, and one that doesn't is in none, which a test notices.
//
// Each step has the field of a view and that of the other view that is joined into it. The order of the steps is that of
// the encoding: a change of it raises FoldVersion.

func (w *walker) view(v, o *View) {
	w.key(&v.Namespace)
	w.key(&v.Batch)
	w.state(&v.state, &o.state)
}

func (w *walker) state(s, o *State) {
	w.span(&s.First, &s.Last, o.First, o.Last)
	w.max(&s.LastWork, o.LastWork)
	w.max(&s.LastStored, o.LastStored)
	w.or(&s.StatusSaid, o.StatusSaid)
	w.or(&s.WaitingSaid, o.WaitingSaid)
	w.or(&s.JobsTruncated, o.JobsTruncated)
	w.or(&s.CollectionsTruncated, o.CollectionsTruncated)
	w.or(&s.SourcesTruncated, o.SourcesTruncated)
	register(w, &s.Settled, &o.Settled)
	register(w, &s.Name, &o.Name)
	register(w, &s.Pipeline, &o.Pipeline)
	register(w, &s.Owner, &o.Owner)
	register(w, &s.Labels, &o.Labels)
	register(w, &s.RetryOf, &o.RetryOf)
	register(w, &s.BucketID, &o.BucketID)
	register(w, &s.TotalTiers, &o.TotalTiers)
	register(w, &s.TotalObj, &o.TotalObj)
	w.earliest(&s.Created, &o.Created)
	list(w, &s.Attempts, o.Attempts, func(e *BatchAttempt) (*BatchAttempt, bool) { return s.attempt(e.Num) }, (*walker).batchAttempt)
	list(w, &s.Tiers, o.Tiers, func(e *Tier) (*Tier, bool) { return s.tier(e.Num) }, (*walker).tier)
	list(w, &s.Jobs, o.Jobs, func(e *Job) (*Job, bool) { return s.job(e.JobKey) }, (*walker).job)
	list(w, &s.Collections, o.Collections, func(e *Collection) (*Collection, bool) { return s.collection(e.ID) }, (*walker).collection)
	list(w, &s.Announcements, o.Announcements, func(e *Announcement) (*Announcement, bool) { return s.announcement(e.Ordinal) }, (*walker).announcement)
	list(w, &s.Sources, o.Sources, func(e *SourceClock) (*SourceClock, bool) { return s.source(e.Name) }, (*walker).source)
	w.refused(&s.Refused, &o.Refused)
}

func (w *walker) batchAttempt(a, o *BatchAttempt) {
	w.key32(&a.Num)
	w.span(&a.First, &a.Last, o.First, o.Last)
	w.words(&a.Words, o.Words)
	w.earliest(&a.Submitted, &o.Submitted)
	w.earliest(&a.Started, &o.Started)
	register(w, &a.Completed, &o.Completed)
	register(w, &a.Err, &o.Err)
	register(w, &a.ErrType, &o.ErrType)
}

func (w *walker) tier(t, o *Tier) {
	w.key32(&t.Num)
	w.max(&t.LastStored, o.LastStored)
	register(w, &t.PlanGPU, &o.PlanGPU)
	register(w, &t.PlanTotal, &o.PlanTotal)
	list(w, &t.Attempts, o.Attempts, func(e *TierAttempt) (*TierAttempt, bool) { return t.attempt(e.Num) }, (*walker).tierAttempt)
}

func (w *walker) tierAttempt(a, o *TierAttempt) {
	w.key32(&a.Num)
	w.span(&a.First, &a.Last, o.First, o.Last)
	w.words(&a.Words, o.Words)
	w.earliest(&a.Started, &o.Started)
	register(w, &a.Completed, &o.Completed)
	register(w, &a.TaskID, &o.TaskID)
	register(w, &a.GPU, &o.GPU)
	register(w, &a.Total, &o.Total)
	w.tally(&a.Whole, &o.Whole, maxSeriesPoints)
	list(w, &a.Workers, o.Workers, func(e *WorkerTally) (*WorkerTally, bool) { return a.worker(e.Key) }, func(w *walker, e, o *WorkerTally) {
		w.key(&e.Key)
		w.tally(&e.Tally, &o.Tally, workerPoints(len(a.Workers)))
	})
	register(w, &a.Err, &o.Err)
	register(w, &a.ErrType, &o.ErrType)
	w.or(&a.WorkersTruncated, o.WorkersTruncated)
	w.or(&a.ErrorsTruncated, o.ErrorsTruncated)
	w.or(&a.StagesTruncated, o.StagesTruncated)
	list(w, &a.Errors, o.Errors, func(e *ErrorState) (*ErrorState, bool) { return a.errorAt(e.Key) }, func(w *walker, e, o *ErrorState) {
		w.errorState(e, o, &a.ErrorsTruncated)
	})
	list(w, &a.Stages, o.Stages, func(e *StageState) (*StageState, bool) { return a.stageAt(e.Key) }, (*walker).stageState)
}

func (w *walker) tally(t, o *Tally, points int) {
	w.counter(&t.Processed, &o.Processed)
	w.counter(&t.Failed, &o.Failed)
	for i := range t.Counts {
		w.counter(&t.Counts[i], &o.Counts[i])
	}
	w.series(&t.Series, &o.Series, points)
}

func (w *walker) errorState(e, o *ErrorState, truncated *bool) {
	w.key(&e.Key.ErrType)
	w.key(&e.Key.Component)
	w.key(&e.Key.Stage)
	w.key(&e.Key.Message)
	w.max(&e.Affected, o.Affected)
	list(w, &e.Workers, o.Workers, func(x *ErrorWorker) (*ErrorWorker, bool) { return e.worker(x.Key, truncated) }, func(w *walker, x, o *ErrorWorker) {
		w.key(&x.Key)
		w.max(&x.Affected, o.Affected)
	})
	set(w, &e.Docs, o.Docs, e.document, (*codec).str)
	register(w, &e.Suggestion, &o.Suggestion)
}

func (w *walker) stageState(s, o *StageState) {
	w.key(&s.Key.Stage)
	w.key(&s.Key.Component)
	w.key(&s.Key.Worker)
	w.counter(&s.Count, &o.Count)
	w.least(&s.Least, o.Least)
	register(w, &s.Unit, &o.Unit)
	w.maxFloat(&s.TotalMS, o.TotalMS)
	w.maxFloat(&s.MaxMS, o.MaxMS)
	set(w, &s.Buckets, o.Buckets, s.bucket, func(c *codec, b *event.Bucket) { c.float(&b.UpperMS); c.i(&b.Count) })
}

func (w *walker) job(j, o *Job) {
	w.key(&j.ID)
	w.key(&j.Cluster)
	w.key(&j.Run)
	register(w, &j.Tier, &o.Tier)
	w.max32(&j.Attempt, o.Attempt)
	w.span(&j.First, &j.Last, o.First, o.Last)
	w.max(&j.LastStored, o.LastStored)
	w.words(&j.Words, o.Words)
	w.earliest(&j.Submitted, &o.Submitted)
	w.max(&j.SubmittedLatest, o.SubmittedLatest)
	w.earliest(&j.Started, &o.Started)
	register(w, &j.Ended, &o.Ended)
	register(w, &j.JobID, &o.JobID)
	register(w, &j.Extractor, &o.Extractor)
	register(w, &j.Collections, &o.Collections)
	register(w, &j.Message, &o.Message)
	register(w, &j.ErrType, &o.ErrType)
	register(w, &j.ExitCode, &o.ExitCode)
	register(w, &j.URL, &o.URL)
	register(w, &j.Resources, &o.Resources)
	register(w, &j.Params, &o.Params)
	register(w, &j.Session, &o.Session)
	register(w, &j.Total, &o.Total)
	w.counter(&j.Processed, &o.Processed)
	w.series(&j.Series, &o.Series, maxSeriesPoints)
	for i := range j.Waiting {
		register(w, &j.Waiting[i], &o.Waiting[i])
		w.phases(&j.Phases[i], &o.Phases[i])
	}
}

func (w *walker) collection(c, o *Collection) {
	w.key(&c.ID)
	register(w, &c.Name, &o.Name)
	register(w, &c.Tier, &o.Tier)
	register(w, &c.Docs, &o.Docs)
	register(w, &c.Expected, &o.Expected)
}

func (w *walker) announcement(a, o *Announcement) {
	w.key64(&a.Ordinal)
	register(w, &a.Said, &o.Said)
}
