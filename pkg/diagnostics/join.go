package diagnostics

// Join makes dst the view of the union of the events of dst and src: Join(Fold(A), Fold(B)) = Fold(A ∪ B).
// The header takes the greater of each. dst may share memory with src afterwards: don't fold into src.
func Join(dst, src *View) {
	dst.Revision = max(dst.Revision, src.Revision)
	dst.HealthSeq = max(dst.HealthSeq, src.HealthSeq)
	dst.Incomplete = dst.Incomplete || src.Incomplete

	dst.state.join(&src.state)
}

func (s *state) join(o *state) {
	joinSpan(&s.first, &s.last, o.first, o.last)
	s.lastWork = max(s.lastWork, o.lastWork)
	s.statusSaid = s.statusSaid || o.statusSaid
	s.settled.join(o.settled)
	s.name.join(o.name)
	s.pipeline.join(o.pipeline)
	s.owner.join(o.owner)
	s.labels.join(o.labels)
	s.retryOf.join(o.retryOf)
	s.bucketID.join(o.bucketID)
	s.totalTiers.join(o.totalTiers)
	s.totalObj.join(o.totalObj)
	s.created.join(o.created)
	s.jobsTruncated = s.jobsTruncated || o.jobsTruncated
	s.collectionsTruncated = s.collectionsTruncated || o.collectionsTruncated

	for _, oa := range o.attempts {
		if a, _ := s.attempt(oa.num); a != nil {
			a.join(oa)
		}
	}
	for _, ot := range o.tiers {
		t, _ := s.tier(ot.num)
		t.planGPU.join(ot.planGPU)
		t.planTotal.join(ot.planTotal)
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
			c.name.join(oc.name)
			c.tier.join(oc.tier)
			c.docs.join(oc.docs)
			c.expected.join(oc.expected)
		}
	}
	for _, oa := range o.announced {
		if a, _ := s.announcement(oa.ordinal); a != nil {
			a.said.join(oa.said)
		}
	}
}

func (a *batchAttempt) join(o *batchAttempt) {
	joinSpan(&a.first, &a.last, o.first, o.last)
	a.words.join(o.words)
	a.submitted.join(o.submitted)
	a.started.join(o.started)
	a.completed.join(o.completed)
	a.err.join(o.err)
	a.errType.join(o.errType)
}

func (a *tierAttempt) join(o *tierAttempt) {
	joinSpan(&a.first, &a.last, o.first, o.last)
	a.words.join(o.words)
	a.started.join(o.started)
	a.completed.join(o.completed)
	a.taskID.join(o.taskID)
	a.gpu.join(o.gpu)
	a.total.join(o.total)
	a.whole.join(&o.whole, maxSeriesPoints)
	for _, ow := range o.workers {
		if w, _ := a.worker(ow.key); w != nil {
			w.join(&ow.tally, workerPoints(len(a.workers)))
		}
	}
	a.workersTruncated = a.workersTruncated || o.workersTruncated
	a.err.join(o.err)
	a.errType.join(o.errType)
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
			e.suggestion.join(oe.suggestion)
		}
	}
	for _, os := range o.stages {
		if s, _ := a.stageAt(os.key); s != nil {
			s.count.join(os.count)
			s.totalMS = max(s.totalMS, os.totalMS)
			s.maxMS = max(s.maxMS, os.maxMS)
			for _, b := range os.buckets {
				s.bucket(b)
			}
		}
	}
}

func (j *job) join(o *job) {
	joinSpan(&j.first, &j.last, o.first, o.last)
	j.tier.join(o.tier)
	j.attempt = max(j.attempt, o.attempt)
	j.words.join(o.words)
	j.submitted.join(o.submitted)
	j.started.join(o.started)
	j.ended.join(o.ended)
	j.jobID.join(o.jobID)
	j.extractor.join(o.extractor)
	j.collections.join(o.collections)
	j.message.join(o.message)
	j.errType.join(o.errType)
	j.exitCode.join(o.exitCode)
	j.url.join(o.url)
	j.resources.join(o.resources)
	j.params.join(o.params)
	j.cluster.join(o.cluster)
	j.session.join(o.session)
	j.total.join(o.total)
	j.processed.join(o.processed)
	j.series.join(o.series, maxSeriesPoints)
	for i := range j.waiting {
		j.waiting[i].join(o.waiting[i])
	}
}
