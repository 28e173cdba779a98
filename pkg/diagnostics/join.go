package diagnostics

import "github.com/headwayhq/headway/pkg/diagnostics/internal/crdt"

// Join makes dst the view of the union of the events of dst and src: Join(Fold(A), Fold(B)) = Fold(A ∪ B).
// The header takes the greater of each. dst may share memory with src afterwards: don't fold into src.
func Join(dst, src *View) {
	dst.Revision = max(dst.Revision, src.Revision)
	dst.HealthSeq = max(dst.HealthSeq, src.HealthSeq)
	dst.Incomplete = dst.Incomplete || src.Incomplete

	dst.state.join(&src.state)
}

func (s *state) join(o *state) {
	crdt.JoinSpan(&s.first, &s.last, o.first, o.last)
	s.lastWork = max(s.lastWork, o.lastWork)
	s.statusSaid = s.statusSaid || o.statusSaid
	s.settled.Join(o.settled)
	s.name.Join(o.name)
	s.pipeline.Join(o.pipeline)
	s.owner.Join(o.owner)
	s.labels.Join(o.labels)
	s.retryOf.Join(o.retryOf)
	s.bucketID.Join(o.bucketID)
	s.totalTiers.Join(o.totalTiers)
	s.totalObj.Join(o.totalObj)
	s.created.Join(o.created)
	s.jobsTruncated = s.jobsTruncated || o.jobsTruncated
	s.collectionsTruncated = s.collectionsTruncated || o.collectionsTruncated

	for _, oa := range o.attempts {
		if a, _ := s.attempt(oa.num); a != nil {
			a.join(oa)
		}
	}
	for _, ot := range o.tiers {
		t, _ := s.tier(ot.num)
		t.planGPU.Join(ot.planGPU)
		t.planTotal.Join(ot.planTotal)
		for _, oa := range ot.attempts {
			if a, _ := t.attempt(oa.num); a != nil {
				a.join(oa)
			}
		}
	}
	for _, oj := range o.jobs {
		if j, _ := s.job(oj.id); j != nil {
			j.join(oj)
		}
	}
	for _, oc := range o.collections {
		if c, _ := s.collection(oc.id); c != nil {
			c.name.Join(oc.name)
			c.tier.Join(oc.tier)
			c.docs.Join(oc.docs)
			c.expected.Join(oc.expected)
		}
	}
	for _, oa := range o.announced {
		if a, _ := s.announcement(oa.ordinal); a != nil {
			a.said.Join(oa.said)
		}
	}
}

func (a *batchAttempt) join(o *batchAttempt) {
	crdt.JoinSpan(&a.first, &a.last, o.first, o.last)
	a.words.join(o.words)
	a.submitted.Join(o.submitted)
	a.started.Join(o.started)
	a.completed.Join(o.completed)
	a.err.Join(o.err)
	a.errType.Join(o.errType)
}

func (a *tierAttempt) join(o *tierAttempt) {
	crdt.JoinSpan(&a.first, &a.last, o.first, o.last)
	a.words.join(o.words)
	a.started.Join(o.started)
	a.completed.Join(o.completed)
	a.taskID.Join(o.taskID)
	a.gpu.Join(o.gpu)
	a.total.Join(o.total)
	a.whole.join(&o.whole, maxSeriesPoints)
	for _, ow := range o.workers {
		if w, _ := a.worker(ow.key); w != nil {
			w.join(&ow.tally, workerPoints(len(a.workers)))
		}
	}
	a.workersTruncated = a.workersTruncated || o.workersTruncated
	a.err.Join(o.err)
	a.errType.Join(o.errType)
	a.errorsTruncated = a.errorsTruncated || o.errorsTruncated
	a.stagesTruncated = a.stagesTruncated || o.stagesTruncated
	for _, oe := range o.errors {
		if e, _ := a.errorAt(oe.key); e != nil {
			e.affected = max(e.affected, oe.affected)
			for _, w := range oe.workers {
				e.affects(w.key, w.affected, &a.errorsTruncated)
			}
			for _, id := range oe.docs {
				e.document(id)
			}
			e.suggestion.Join(oe.suggestion)
		}
	}
	for _, os := range o.stages {
		if s, _ := a.stageAt(os.key); s != nil {
			s.count.Join(os.count)
			s.totalMS = max(s.totalMS, os.totalMS)
			s.maxMS = max(s.maxMS, os.maxMS)
			for _, b := range os.buckets {
				s.bucket(b)
			}
		}
	}
}

func (j *job) join(o *job) {
	crdt.JoinSpan(&j.first, &j.last, o.first, o.last)
	j.tier.Join(o.tier)
	j.attempt = max(j.attempt, o.attempt)
	j.words.join(o.words)
	j.submitted.Join(o.submitted)
	j.started.Join(o.started)
	j.ended.Join(o.ended)
	j.jobID.Join(o.jobID)
	j.extractor.Join(o.extractor)
	j.collections.Join(o.collections)
	j.message.Join(o.message)
	j.errType.Join(o.errType)
	j.exitCode.Join(o.exitCode)
	j.url.Join(o.url)
	j.resources.Join(o.resources)
	j.params.Join(o.params)
	j.cluster.Join(o.cluster)
	j.session.Join(o.session)
	j.total.Join(o.total)
	j.processed.Join(o.processed)
	j.series.Join(o.series, maxSeriesPoints)
	for i := range j.waiting {
		j.waiting[i].Join(o.waiting[i])
	}
}
