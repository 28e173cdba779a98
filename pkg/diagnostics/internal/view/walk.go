package view

import (
	"github.com/headwayhq/headway/pkg/diagnostics/internal/crdt"
	"github.com/headwayhq/headway/pkg/diagnostics/internal/event"
)

// The one walk over the fields of a view. Writing, reading, joining and, by way of these, cloning and comparing all come
// from it: a field that is walked here is in all of them, and one that isn't is in none, which a test notices.
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
	walkFloor(w, &s.AttemptsFloor, o.AttemptsFloor, &s.Attempts, batchAttemptNumber)
	walkFloor(w, &s.AnnouncementsFloor, o.AnnouncementsFloor, &s.Announcements, ordinal)
	walkCut(w, &s.TiersCut, o.TiersCut, &s.Tiers, tierNumber, (*walker).number)
	walkCut(w, &s.JobsCut, o.JobsCut, &s.Jobs, jobKey, (*walker).jobKey)
	walkCut(w, &s.CollectionsCut, o.CollectionsCut, &s.Collections, collectionID, (*walker).name)
	walkCut(w, &s.SourcesCut, o.SourcesCut, &s.Sources, sourceName, (*walker).name)
	walkCut(w, &s.ProofsCut, o.ProofsCut, &s.Proofs, proofKey, (*walker).proofKey)
	register(w, &s.Settled, &o.Settled)
	measured(w, &s.Name, &o.Name)
	measured(w, &s.Pipeline, &o.Pipeline)
	measured(w, &s.Owner, &o.Owner)
	measured(w, &s.Labels, &o.Labels)
	measured(w, &s.RetryOf, &o.RetryOf)
	measured(w, &s.BucketID, &o.BucketID)
	register(w, &s.TotalTiers, &o.TotalTiers)
	register(w, &s.TotalObj, &o.TotalObj)
	w.earliest(&s.Created, &o.Created)
	walkList(w, &s.Attempts, o.Attempts, func(e *BatchAttempt) (*BatchAttempt, bool) { return s.attempt(e.Num) }, (*walker).batchAttempt)
	walkList(w, &s.Announcements, o.Announcements, func(e *Announcement) (*Announcement, bool) { return s.announcement(e.Ordinal) }, (*walker).announcement)
	walkList(w, &s.Sources, o.Sources, func(e *SourceClock) (*SourceClock, bool) { return s.source(e.Name) }, (*walker).source)
	w.refused(&s.Refused, &o.Refused)
	if w.joining { // otherwise they are in parts
		walkList(w, &s.Tiers, o.Tiers, func(e *Tier) (*Tier, bool) { return s.tier(e.Num) }, (*walker).tier)
		walkList(w, &s.Jobs, o.Jobs, func(e *Job) (*Job, bool) { return s.job(e.JobKey) }, (*walker).job)
		walkList(w, &s.Collections, o.Collections, func(e *Collection) (*Collection, bool) { return s.collection(e.ID) }, (*walker).collection)
		walkList(w, &s.Proofs, o.Proofs, func(e *Proof) (*Proof, bool) { return s.proof(e.ProofKey) }, (*walker).proof)
	}
}

func (w *walker) batchAttempt(a, o *BatchAttempt) {
	w.key32(&a.Num)
	w.length(&a.Stamps, o.Stamps)
	w.span(&a.First, &a.Last, o.First, o.Last)
	w.words(&a.Words, o.Words)
	w.earliest(&a.Submitted, &o.Submitted)
	w.earliest(&a.Started, &o.Started)
	register(w, &a.Completed, &o.Completed)
	measured(w, &a.Err, &o.Err)
	measured(w, &a.ErrType, &o.ErrType)
}

func (w *walker) tier(t, o *Tier) {
	w.key32(&t.Num)
	w.length(&t.Stamps, o.Stamps)
	w.max(&t.LastStored, o.LastStored)
	register(w, &t.PlanGPU, &o.PlanGPU)
	register(w, &t.PlanTotal, &o.PlanTotal)
	walkFloor(w, &t.AttemptsFloor, o.AttemptsFloor, &t.Attempts, attemptNumber)
	placeCut(w, t, &t.WorkersCut, o.WorkersCut, workerList, workerKey, (*walker).name)
	placeCut(w, t, &t.ErrorsCut, o.ErrorsCut, errorList, errorKey, (*walker).errorKey)
	placeCut(w, t, &t.StagesCut, o.StagesCut, stageList, stageKey, (*walker).stageKey)
	if w.joining {
		t.floored()
		t.coarsen(o.CoarseBelow)
	} else {
		w.i(&t.CoarseBelow)
	}
	walkList(w, &t.Attempts, o.Attempts, func(e *TierAttempt) (*TierAttempt, bool) { return t.attempt(e.Num) }, func(w *walker, e, o *TierAttempt) {
		w.tierAttempt(t, e, o)
	})
}

func (w *walker) tierAttempt(t *Tier, a, o *TierAttempt) {
	w.key32(&a.Num)
	w.length(&a.Stamps, o.Stamps)
	w.span(&a.First, &a.Last, o.First, o.Last)
	w.words(&a.Words, o.Words)
	w.earliest(&a.Started, &o.Started)
	register(w, &a.Completed, &o.Completed)
	measured(w, &a.TaskID, &o.TaskID)
	register(w, &a.GPU, &o.GPU)
	register(w, &a.Total, &o.Total)
	w.tally(&a.Whole, &o.Whole, maxSeriesPoints)
	walkList(w, &a.Workers, o.Workers, func(e *WorkerTally) (*WorkerTally, bool) { return t.worker(a, e.Key) }, func(w *walker, e, o *WorkerTally) {
		w.workerTally(e, o, t.points(a))
	})
	measured(w, &a.Err, &o.Err)
	measured(w, &a.ErrType, &o.ErrType)
	walkList(w, &a.Errors, o.Errors, func(e *ErrorState) (*ErrorState, bool) { return t.errorAt(a, e.Key) }, (*walker).errorState)
	walkList(w, &a.Stages, o.Stages, func(e *StageState) (*StageState, bool) { return t.stageAt(a, e.Key) }, (*walker).stageState)
}

func (w *walker) workerTally(x, o *WorkerTally, points int) {
	w.key(&x.Key)
	w.length(&x.Stamps, o.Stamps)
	w.tally(&x.Tally, &o.Tally, points)
}

func (w *walker) tally(t, o *Tally, points int) {
	w.counter(&t.Processed, &o.Processed)
	w.counter(&t.Failed, &o.Failed)
	for i := range t.Counts {
		w.counter(&t.Counts[i], &o.Counts[i])
	}
	w.series(&t.Series, &o.Series, points)
}

func (w *walker) errorState(e, o *ErrorState) {
	w.errorKey(&e.Key)
	w.length(&e.Stamps, o.Stamps)
	w.max(&e.Affected, o.Affected)
	w.length(&e.WorkersMost, o.WorkersMost)
	w.length(&e.DocsMost, o.DocsMost)
	walkCut(w, &e.WorkersCut, o.WorkersCut, &e.Workers, errorWorkerKey, (*walker).name)
	walkList(w, &e.Workers, o.Workers, func(x *ErrorWorker) (*ErrorWorker, bool) { return e.worker(x.Key) }, func(w *walker, x, o *ErrorWorker) {
		w.key(&x.Key)
		w.max(&x.Affected, o.Affected)
	})
	if w.weighing {
		workers := len(e.Workers)
		if e.WorkersCut.Set {
			workers = MaxErrorWorkers
		}
		w.weight += crdt.ShortName + workers*(int(e.WorkersMost)+weightLen+weightInt) + len(e.Docs)*(int(e.DocsMost)+weightLen)
	} else {
		walkSet(w, &e.Docs, o.Docs, e.document, (*codec).str)
	}
	measured(w, &e.Suggestion, &o.Suggestion)
}

func (w *walker) stageState(s, o *StageState) {
	w.stageKey(&s.Key)
	w.length(&s.Stamps, o.Stamps)
	w.counter(&s.Count, &o.Count)
	w.least(&s.Least, o.Least)
	measured(w, &s.Unit, &o.Unit)
	w.maxFloat(&s.TotalMS, o.TotalMS)
	w.maxFloat(&s.MaxMS, o.MaxMS)
	walkSet(w, &s.Buckets, o.Buckets, s.bucket, func(c *codec, b *event.Bucket) { c.float(&b.UpperMS); c.i(&b.Count) })
}

func (w *walker) job(j, o *Job) {
	w.jobKey(&j.JobKey)
	w.length(&j.Stamps, o.Stamps)
	register(w, &j.Tier, &o.Tier)
	w.max32(&j.Attempt, o.Attempt)
	w.span(&j.First, &j.Last, o.First, o.Last)
	w.maxOf(&j.LastStored, o.LastStored, o.Last)
	w.words(&j.Words, o.Words)
	w.earliest(&j.Submitted, &o.Submitted)
	w.maxOf(&j.SubmittedLatest, o.SubmittedLatest, o.SubmittedLatest)
	w.earliest(&j.Started, &o.Started)
	register(w, &j.Ended, &o.Ended)
	measured(w, &j.JobID, &o.JobID)
	measured(w, &j.Extractor, &o.Extractor)
	measured(w, &j.Collections, &o.Collections)
	measured(w, &j.Message, &o.Message)
	measured(w, &j.ErrType, &o.ErrType)
	register(w, &j.ExitCode, &o.ExitCode)
	measured(w, &j.URL, &o.URL)
	measured(w, &j.Resources, &o.Resources)
	measured(w, &j.Params, &o.Params)
	measured(w, &j.Session, &o.Session)
	register(w, &j.Total, &o.Total)
	w.counter(&j.Processed, &o.Processed)
	w.series(&j.Series, &o.Series, maxSeriesPoints)
	for i := range j.Waiting {
		measured(w, &j.Waiting[i], &o.Waiting[i])
		w.phases(&j.Phases[i], &o.Phases[i])
	}
}

func (w *walker) collection(c, o *Collection) {
	w.key(&c.ID)
	w.length(&c.Stamps, o.Stamps)
	measured(w, &c.Name, &o.Name)
	register(w, &c.Tier, &o.Tier)
	register(w, &c.Docs, &o.Docs)
	register(w, &c.Expected, &o.Expected)
}

func (w *walker) announcement(a, o *Announcement) {
	w.key64(&a.Ordinal)
	w.length(&a.Stamps, o.Stamps)
	measured(w, &a.Said, &o.Said)
}
