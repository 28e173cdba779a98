package diagnostics

import (
	"github.com/headwayhq/headway/pkg/diagnostics/internal/crdt"
	"github.com/headwayhq/headway/pkg/diagnostics/internal/event"
)

// The walk over a view that codec.go writes or reads by. A change of it raises FoldVersion.

func (c *codec) view(v *View) {
	version := uint8(stateVersion)
	c.byte(&version)
	if version != stateVersion {
		c.fail()
		return
	}
	c.str(&v.Namespace)
	c.str(&v.Batch)
	c.state(&v.state)
}

func (c *codec) state(s *state) {
	c.span(&s.first, &s.last)
	c.i(&s.lastWork)
	c.bool(&s.statusSaid)
	c.bool(&s.jobsTruncated)
	c.bool(&s.collectionsTruncated)
	visitReg(c, &s.settled, (*codec).word)
	visitReg(c, &s.name, (*codec).text)
	visitReg(c, &s.pipeline, (*codec).text)
	visitReg(c, &s.owner, (*codec).text)
	visitReg(c, &s.labels, (*codec).json)
	visitReg(c, &s.retryOf, (*codec).text)
	visitReg(c, &s.bucketID, (*codec).text)
	visitReg(c, &s.totalTiers, (*codec).num)
	visitReg(c, &s.totalObj, (*codec).num)
	c.earliest(&s.created)
	visitList(c, &s.attempts, (*codec).batchAttempt)
	visitList(c, &s.tiers, (*codec).tier)
	visitList(c, &s.jobs, (*codec).job)
	visitList(c, &s.collections, (*codec).collection)
	visitList(c, &s.announced, (*codec).announcement)
}

func (c *codec) batchAttempt(a *batchAttempt) {
	c.i32(&a.num)
	c.span(&a.first, &a.last)
	c.words(&a.words)
	c.earliest(&a.submitted)
	c.earliest(&a.started)
	visitReg(c, &a.completed, (*codec).num)
	visitReg(c, &a.err, (*codec).text)
	visitReg(c, &a.errType, (*codec).text)
}

func (c *codec) tier(t *tier) {
	c.i32(&t.num)
	visitReg(c, &t.planGPU, (*codec).flag)
	visitReg(c, &t.planTotal, (*codec).num)
	visitList(c, &t.attempts, (*codec).tierAttempt)
}

func (c *codec) tierAttempt(a *tierAttempt) {
	c.i32(&a.num)
	c.span(&a.first, &a.last)
	c.words(&a.words)
	c.earliest(&a.started)
	visitReg(c, &a.completed, (*codec).num)
	visitReg(c, &a.taskID, (*codec).text)
	visitReg(c, &a.gpu, (*codec).flag)
	visitReg(c, &a.total, (*codec).num)
	c.tally(&a.whole)
	visitList(c, &a.workers, func(c *codec, w *workerTally) { c.str(&w.key); c.tally(&w.tally) })
	visitReg(c, &a.err, (*codec).text)
	visitReg(c, &a.errType, (*codec).text)
	c.bool(&a.workersTruncated)
	c.bool(&a.errorsTruncated)
	c.bool(&a.stagesTruncated)
	visitList(c, &a.errors, (*codec).errorState)
	visitList(c, &a.stages, (*codec).stageState)
}

func (c *codec) tally(t *tally) {
	c.mark(&t.processed)
	c.mark(&t.failed)
	for i := range t.counts {
		c.mark(&t.counts[i])
	}
	c.series(&t.series)
}

func (c *codec) errorState(e *errorState) {
	c.str(&e.key.errType)
	c.str(&e.key.component)
	c.str(&e.key.stage)
	c.str(&e.key.message)
	c.i(&e.affected)
	visitList(c, &e.workers, func(c *codec, w *errorWorker) { c.str(&w.key); c.i(&w.affected) })
	visitSlice(c, &e.docs, (*codec).str)
	visitReg(c, &e.suggestion, (*codec).text)
}

func (c *codec) stageState(s *stageState) {
	c.str(&s.key.stage)
	c.str(&s.key.component)
	c.str(&s.key.worker)
	c.mark(&s.count)
	c.float(&s.totalMS)
	c.float(&s.maxMS)
	visitSlice(c, &s.buckets, func(c *codec, b *event.Bucket) { c.float(&b.UpperMS); c.i(&b.Count) })
}

func (c *codec) job(j *job) {
	c.str(&j.id)
	visitReg(c, &j.tier, (*codec).num)
	c.i32(&j.attempt)
	c.span(&j.first, &j.last)
	c.words(&j.words)
	c.earliest(&j.submitted)
	c.earliest(&j.started)
	visitReg(c, &j.ended, (*codec).num)
	visitReg(c, &j.jobID, (*codec).text)
	visitReg(c, &j.extractor, (*codec).text)
	visitReg(c, &j.collections, (*codec).json)
	visitReg(c, &j.message, (*codec).text)
	visitReg(c, &j.errType, (*codec).text)
	visitReg(c, &j.exitCode, (*codec).num)
	visitReg(c, &j.url, (*codec).text)
	visitReg(c, &j.resources, (*codec).json)
	visitReg(c, &j.params, (*codec).json)
	visitReg(c, &j.cluster, (*codec).text)
	visitReg(c, &j.session, (*codec).text)
	visitReg(c, &j.total, (*codec).num)
	c.mark(&j.processed)
	c.series(&j.series)
	for i := range j.waiting {
		visitReg(c, &j.waiting[i], (*codec).waiting)
	}
}

func (c *codec) waiting(w *waiting) {
	c.str(&w.Kind)
	if w.Kind == "" {
		return
	}
	c.i(&w.Since)
	c.str(&w.DemandJSON)
	c.str(&w.OfferedJSON)
	visitOpt(c, &w.NodesPending, (*codec).i)
	visitOpt(c, &w.Infeasible, (*codec).bool)
	visitOpt(c, &w.Detail, (*codec).str)
}

func (c *codec) collection(s *collection) {
	c.str(&s.id)
	visitReg(c, &s.name, (*codec).text)
	visitReg(c, &s.tier, (*codec).num)
	visitReg(c, &s.docs, (*codec).num)
	visitReg(c, &s.expected, (*codec).num)
}

func (c *codec) announcement(a *announcement) {
	c.i(&a.ordinal)
	visitReg(c, &a.said, func(c *codec, v *announced) {
		c.health(&v.from)
		c.health(&v.to)
		c.str(&v.reason)
		c.i(&v.asOf)
		c.float(&v.stuckSeconds)
	})
}

func (c *codec) health(h *event.Health) {
	c.byte((*uint8)(h))
	if !h.Known() {
		*h = 0
		c.fail()
	}
}

func (c *codec) text(t *text)     { c.str((*string)(t)) }
func (c *codec) json(t *jsonText) { c.str((*string)(t)) }
func (c *codec) num(n *num)       { c.i((*int64)(n)) }
func (c *codec) flag(f *flag)     { c.bool((*bool)(f)) }

func (c *codec) word(w *word) {
	c.byte((*uint8)(w))
	if !event.Word(*w).Known() {
		*w = 0
		c.fail()
	}
}

func (c *codec) span(first *crdt.Stamp, last *int64) {
	c.stamp(first)
	d := *last - first.Time
	c.i(&d)
	*last = first.Time + d
}

func (c *codec) earliest(e *crdt.Earliest) {
	c.stamp(&e.At)
	if !e.At.IsZero() {
		d := e.T - e.At.Time
		c.i(&d)
		e.T = e.At.Time + d
	}
}

func (c *codec) mark(m *crdt.Counter) {
	c.stamp(&m.At)
	m.Set = !m.At.IsZero()
	if m.Set {
		c.i(&m.N)
	}
}

func (c *codec) words(w *words) {
	visitSlice(c, (*[]wordMark)(w), func(c *codec, m *wordMark) {
		c.word((*word)(&m.word))
		c.stamp(&m.first)
		c.stamp(&m.last)
	})
}

func (c *codec) series(s *crdt.Series) {
	c.byte(&s.Shift)
	var bucket, n int64
	visitSlice(c, &s.Points, func(c *codec, p *crdt.Point) {
		db, dn := p.Bucket-bucket, p.N-n
		c.i(&db)
		c.i(&dn)
		bucket, n = bucket+db, n+dn
		p.Bucket, p.N = bucket, n
	})
	if s.Shift > 62 {
		c.fail()
	}
}

func visitReg[T crdt.Value](c *codec, r *crdt.Register[T], v func(*codec, *T)) {
	c.stamp(&r.At)
	r.Set = !r.At.IsZero()
	if r.Set {
		v(c, &r.V)
	}
}

func visitOpt[T any](c *codec, o *event.Opt[T], v func(*codec, *T)) {
	c.bool(&o.Set)
	if o.Set {
		v(c, &o.V)
	}
}

func visitSlice[T any](c *codec, s *[]T, v func(*codec, *T)) {
	n := uint64(len(*s))
	c.u(&n)
	if !c.writing && n > 0 {
		if n > uint64(len(c.in)-c.pos) {
			c.fail()
			return
		}
		*s = make([]T, n)
	}
	for i := range *s {
		v(c, &(*s)[i])
	}
}

func visitList[T any](c *codec, s *[]*T, v func(*codec, *T)) {
	n := uint64(len(*s))
	c.u(&n)
	if !c.writing && n > 0 {
		if n > uint64(len(c.in)-c.pos) {
			c.fail()
			return
		}
		block := make([]T, n)
		*s = make([]*T, n)
		for i := range block {
			(*s)[i] = &block[i]
		}
	}
	for _, e := range *s {
		v(c, e)
	}
}
