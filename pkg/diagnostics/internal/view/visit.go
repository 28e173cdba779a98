package view

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

func (c *codec) state(s *State) {
	c.span(&s.First, &s.Last)
	c.i(&s.LastWork)
	c.bool(&s.StatusSaid)
	c.bool(&s.JobsTruncated)
	c.bool(&s.CollectionsTruncated)
	visitReg(c, &s.Settled, (*codec).word)
	visitReg(c, &s.Name, (*codec).text)
	visitReg(c, &s.Pipeline, (*codec).text)
	visitReg(c, &s.Owner, (*codec).text)
	visitReg(c, &s.Labels, (*codec).json)
	visitReg(c, &s.RetryOf, (*codec).text)
	visitReg(c, &s.BucketID, (*codec).text)
	visitReg(c, &s.TotalTiers, (*codec).num)
	visitReg(c, &s.TotalObj, (*codec).num)
	c.earliest(&s.Created)
	visitList(c, &s.Attempts, (*codec).batchAttempt)
	visitList(c, &s.Tiers, (*codec).tier)
	visitList(c, &s.Jobs, (*codec).job)
	visitList(c, &s.Collections, (*codec).collection)
	visitList(c, &s.Announcements, (*codec).announcement)
}

func (c *codec) batchAttempt(a *BatchAttempt) {
	c.i32(&a.Num)
	c.span(&a.First, &a.Last)
	c.words(&a.Words)
	c.earliest(&a.Submitted)
	c.earliest(&a.Started)
	visitReg(c, &a.Completed, (*codec).num)
	visitReg(c, &a.Err, (*codec).text)
	visitReg(c, &a.ErrType, (*codec).text)
}

func (c *codec) tier(t *Tier) {
	c.i32(&t.Num)
	visitReg(c, &t.PlanGPU, (*codec).flag)
	visitReg(c, &t.PlanTotal, (*codec).num)
	visitList(c, &t.Attempts, (*codec).tierAttempt)
}

func (c *codec) tierAttempt(a *TierAttempt) {
	c.i32(&a.Num)
	c.span(&a.First, &a.Last)
	c.words(&a.Words)
	c.earliest(&a.Started)
	visitReg(c, &a.Completed, (*codec).num)
	visitReg(c, &a.TaskID, (*codec).text)
	visitReg(c, &a.GPU, (*codec).flag)
	visitReg(c, &a.Total, (*codec).num)
	c.tally(&a.Whole)
	visitList(c, &a.Workers, func(c *codec, w *WorkerTally) { c.str(&w.Key); c.tally(&w.Tally) })
	visitReg(c, &a.Err, (*codec).text)
	visitReg(c, &a.ErrType, (*codec).text)
	c.bool(&a.WorkersTruncated)
	c.bool(&a.ErrorsTruncated)
	c.bool(&a.StagesTruncated)
	visitList(c, &a.Errors, (*codec).errorState)
	visitList(c, &a.Stages, (*codec).stageState)
}

func (c *codec) tally(t *Tally) {
	c.mark(&t.Processed)
	c.mark(&t.Failed)
	for i := range t.Counts {
		c.mark(&t.Counts[i])
	}
	c.series(&t.Series)
}

func (c *codec) errorState(e *ErrorState) {
	c.str(&e.Key.ErrType)
	c.str(&e.Key.Component)
	c.str(&e.Key.Stage)
	c.str(&e.Key.Message)
	c.i(&e.Affected)
	visitList(c, &e.Workers, func(c *codec, w *ErrorWorker) { c.str(&w.Key); c.i(&w.Affected) })
	visitSlice(c, &e.Docs, (*codec).str)
	visitReg(c, &e.Suggestion, (*codec).text)
}

func (c *codec) stageState(s *StageState) {
	c.str(&s.Key.Stage)
	c.str(&s.Key.Component)
	c.str(&s.Key.Worker)
	c.mark(&s.Count)
	c.float(&s.TotalMS)
	c.float(&s.MaxMS)
	visitSlice(c, &s.Buckets, func(c *codec, b *event.Bucket) { c.float(&b.UpperMS); c.i(&b.Count) })
}

func (c *codec) job(j *Job) {
	c.str(&j.ID)
	visitReg(c, &j.Tier, (*codec).num)
	c.i32(&j.Attempt)
	c.span(&j.First, &j.Last)
	c.words(&j.Words)
	c.earliest(&j.Submitted)
	c.earliest(&j.Started)
	visitReg(c, &j.Ended, (*codec).num)
	visitReg(c, &j.JobID, (*codec).text)
	visitReg(c, &j.Extractor, (*codec).text)
	visitReg(c, &j.Collections, (*codec).json)
	visitReg(c, &j.Message, (*codec).text)
	visitReg(c, &j.ErrType, (*codec).text)
	visitReg(c, &j.ExitCode, (*codec).num)
	visitReg(c, &j.URL, (*codec).text)
	visitReg(c, &j.Resources, (*codec).json)
	visitReg(c, &j.Params, (*codec).json)
	visitReg(c, &j.Cluster, (*codec).text)
	visitReg(c, &j.Session, (*codec).text)
	visitReg(c, &j.Total, (*codec).num)
	c.mark(&j.Processed)
	c.series(&j.Series)
	for i := range j.Waiting {
		visitReg(c, &j.Waiting[i], (*codec).waiting)
	}
}

func (c *codec) waiting(w *Waiting) {
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

func (c *codec) collection(s *Collection) {
	c.str(&s.ID)
	visitReg(c, &s.Name, (*codec).text)
	visitReg(c, &s.Tier, (*codec).num)
	visitReg(c, &s.Docs, (*codec).num)
	visitReg(c, &s.Expected, (*codec).num)
}

func (c *codec) announcement(a *Announcement) {
	c.i(&a.Ordinal)
	visitReg(c, &a.Said, func(c *codec, v *Announced) {
		c.health(&v.From)
		c.health(&v.To)
		c.str(&v.Reason)
		c.i(&v.AsOf)
		c.float(&v.StuckSeconds)
	})
}

func (c *codec) health(h *event.Health) {
	c.byte((*uint8)(h))
	if !h.Known() {
		*h = 0
		c.fail()
	}
}

func (c *codec) text(t *Text)  { c.str((*string)(t)) }
func (c *codec) json(t *JSON)  { c.str((*string)(t)) }
func (c *codec) num(n *Number) { c.i((*int64)(n)) }
func (c *codec) flag(f *Flag)  { c.bool((*bool)(f)) }

func (c *codec) word(w *Status) {
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

func (c *codec) words(w *Words) {
	visitSlice(c, (*[]WordMark)(w), func(c *codec, m *WordMark) {
		c.word((*Status)(&m.Word))
		c.stamp(&m.First)
		c.stamp(&m.Last)
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
