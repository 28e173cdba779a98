package view

import "github.com/headwayhq/headway/pkg/diagnostics/internal/crdt"

// Join makes dst the view of the union of the events of dst and src: Join(Fold(A), Fold(B)) = Fold(A ∪ B).
// The header takes the greater of each. dst may share memory with src afterwards: don't fold into src.
func Join(dst, src *View) {
	dst.Revision = max(dst.Revision, src.Revision)
	dst.HealthSeq = max(dst.HealthSeq, src.HealthSeq)
	dst.Incomplete = dst.Incomplete || src.Incomplete

	dst.state.join(&src.state)
}

func (s *State) join(o *State) {
	crdt.JoinSpan(&s.First, &s.Last, o.First, o.Last)
	s.LastWork = max(s.LastWork, o.LastWork)
	s.StatusSaid = s.StatusSaid || o.StatusSaid
	s.Settled.Join(o.Settled)
	s.Name.Join(o.Name)
	s.Pipeline.Join(o.Pipeline)
	s.Owner.Join(o.Owner)
	s.Labels.Join(o.Labels)
	s.RetryOf.Join(o.RetryOf)
	s.BucketID.Join(o.BucketID)
	s.TotalTiers.Join(o.TotalTiers)
	s.TotalObj.Join(o.TotalObj)
	s.Created.Join(o.Created)
	s.JobsTruncated = s.JobsTruncated || o.JobsTruncated
	s.CollectionsTruncated = s.CollectionsTruncated || o.CollectionsTruncated

	for _, oa := range o.Attempts {
		if a, _ := s.attempt(oa.Num); a != nil {
			a.join(oa)
		}
	}
	for _, ot := range o.Tiers {
		t, _ := s.tier(ot.Num)
		t.PlanGPU.Join(ot.PlanGPU)
		t.PlanTotal.Join(ot.PlanTotal)
		for _, oa := range ot.Attempts {
			if a, _ := t.attempt(oa.Num); a != nil {
				a.join(oa)
			}
		}
	}
	for _, oj := range o.Jobs {
		if j, _ := s.job(oj.ID); j != nil {
			j.join(oj)
		}
	}
	for _, oc := range o.Collections {
		if c, _ := s.collection(oc.ID); c != nil {
			c.Name.Join(oc.Name)
			c.Tier.Join(oc.Tier)
			c.Docs.Join(oc.Docs)
			c.Expected.Join(oc.Expected)
		}
	}
	for _, oa := range o.Announcements {
		if a, _ := s.announcement(oa.Ordinal); a != nil {
			a.Said.Join(oa.Said)
		}
	}
}

func (a *BatchAttempt) join(o *BatchAttempt) {
	crdt.JoinSpan(&a.First, &a.Last, o.First, o.Last)
	a.Words.Join(o.Words)
	a.Submitted.Join(o.Submitted)
	a.Started.Join(o.Started)
	a.Completed.Join(o.Completed)
	a.Err.Join(o.Err)
	a.ErrType.Join(o.ErrType)
}

func (a *TierAttempt) join(o *TierAttempt) {
	crdt.JoinSpan(&a.First, &a.Last, o.First, o.Last)
	a.Words.Join(o.Words)
	a.Started.Join(o.Started)
	a.Completed.Join(o.Completed)
	a.TaskID.Join(o.TaskID)
	a.GPU.Join(o.GPU)
	a.Total.Join(o.Total)
	a.Whole.join(&o.Whole, maxSeriesPoints)
	for _, ow := range o.Workers {
		if w, _ := a.worker(ow.Key); w != nil {
			w.join(&ow.Tally, workerPoints(len(a.Workers)))
		}
	}
	a.WorkersTruncated = a.WorkersTruncated || o.WorkersTruncated
	a.Err.Join(o.Err)
	a.ErrType.Join(o.ErrType)
	a.ErrorsTruncated = a.ErrorsTruncated || o.ErrorsTruncated
	a.StagesTruncated = a.StagesTruncated || o.StagesTruncated
	for _, oe := range o.Errors {
		if e, _ := a.errorAt(oe.Key); e != nil {
			e.Affected = max(e.Affected, oe.Affected)
			for _, w := range oe.Workers {
				e.affects(w.Key, w.Affected, &a.ErrorsTruncated)
			}
			for _, id := range oe.Docs {
				e.document(id)
			}
			e.Suggestion.Join(oe.Suggestion)
		}
	}
	for _, os := range o.Stages {
		if s, _ := a.stageAt(os.Key); s != nil {
			s.Count.Join(os.Count)
			s.TotalMS = max(s.TotalMS, os.TotalMS)
			s.MaxMS = max(s.MaxMS, os.MaxMS)
			for _, b := range os.Buckets {
				s.bucket(b)
			}
		}
	}
}

func (j *Job) join(o *Job) {
	crdt.JoinSpan(&j.First, &j.Last, o.First, o.Last)
	j.Tier.Join(o.Tier)
	j.Attempt = max(j.Attempt, o.Attempt)
	j.Words.Join(o.Words)
	j.Submitted.Join(o.Submitted)
	j.Started.Join(o.Started)
	j.Ended.Join(o.Ended)
	j.JobID.Join(o.JobID)
	j.Extractor.Join(o.Extractor)
	j.Collections.Join(o.Collections)
	j.Message.Join(o.Message)
	j.ErrType.Join(o.ErrType)
	j.ExitCode.Join(o.ExitCode)
	j.URL.Join(o.URL)
	j.Resources.Join(o.Resources)
	j.Params.Join(o.Params)
	j.Cluster.Join(o.Cluster)
	j.Session.Join(o.Session)
	j.Total.Join(o.Total)
	j.Processed.Join(o.Processed)
	j.Series.Join(o.Series, maxSeriesPoints)
	for i := range j.Waiting {
		j.Waiting[i].Join(o.Waiting[i])
	}
}
