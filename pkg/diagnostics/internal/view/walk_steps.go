package view

import (
	"github.com/headwayhq/headway/pkg/diagnostics/internal/crdt"
	"github.com/headwayhq/headway/pkg/diagnostics/internal/event"
)

// walker does one thing to every field of a view: it writes it or reads it, as its codec does, or joins another view's into it.
type walker struct {
	codec
	joining bool
	only    *period // what is joined; nil for everything
}

// Join makes dst the view of the union of the events of dst and src: Join(Fold(A), Fold(B)) = Fold(A ∪ B).
// The header takes the greater of each. dst may share memory with src afterwards: don't fold into src.
func Join(dst, src *View) {
	dst.Revision = max(dst.Revision, src.Revision)
	dst.HealthSeq = max(dst.HealthSeq, src.HealthSeq)
	dst.Incomplete = dst.Incomplete || src.Incomplete
	if dst.state.Erased != 0 || src.state.Erased != 0 {
		dst.state.erase(src.state.Erased)
		return
	}
	dst.state.touchAll()
	w := walker{joining: true}
	w.view(dst, src)
	dst.state.bound()
}

// A key is what an element is found by, so it is the same on both sides.

func (w *walker) key(p *string) {
	if !w.joining {
		w.str(p)
	}
}

func (w *walker) key32(p *int32) {
	if !w.joining {
		w.i32(p)
	}
}

func (w *walker) key64(p *int64) {
	if !w.joining {
		w.i(p)
	}
}

func (w *walker) max(p *int64, o int64) {
	if w.joining {
		*p = max(*p, o)
		return
	}
	w.i(p)
}

// maxOf is max for what was reported at a time.
func (w *walker) maxOf(p *int64, o, at int64) {
	if !w.joining || w.only.has(at) {
		w.max(p, o)
	}
}

// least is the smaller of two that aren't 0.
func (w *walker) least(p *int64, o int64) {
	if !w.joining {
		w.i(p)
	} else if o != 0 && (*p == 0 || o < *p) {
		*p = o
	}
}

func (w *walker) max32(p *int32, o int32) {
	if w.joining {
		*p = max(*p, o)
		return
	}
	w.i32(p)
}

func (w *walker) maxFloat(p *float64, o float64) {
	if w.joining {
		*p = max(*p, o)
		return
	}
	w.float(p)
}

func (w *walker) or(p *bool, o bool) {
	if w.joining {
		*p = *p || o
		return
	}
	w.bool(p)
}

// span is the first and the last event about something; the last is written as its distance from the first.
func (w *walker) span(first *crdt.Stamp, last *int64, oFirst crdt.Stamp, oLast int64) {
	if w.joining {
		if w.only.has(oFirst.Time) {
			crdt.JoinSpan(first, last, oFirst, 0)
		}
		if w.only.has(oLast) {
			*last = max(*last, oLast)
		}
		return
	}
	w.stamp(first)
	d := *last - first.Time
	w.i(&d)
	*last = first.Time + d
}

func (w *walker) earliest(e, o *crdt.Earliest) {
	if w.joining {
		if w.only.has(o.T) {
			e.Join(*o)
		}
		return
	}
	w.stamp(&e.At)
	if !e.At.IsZero() {
		d := e.T - e.At.Time
		w.i(&d)
		e.T = e.At.Time + d
	}
}

func (w *walker) counter(m, o *crdt.Counter) {
	if w.joining {
		if w.only.has(o.At.Time) {
			m.Join(*o)
		}
		return
	}
	w.stamp(&m.At)
	m.Set = !m.At.IsZero()
	if m.Set {
		w.i(&m.N)
	}
}

// length is the greatest of some lengths.
func (w *walker) length(p *int32, o int32) { w.max32(p, o) }

// walkFloor walks the number below which nothing is kept.
func walkFloor[T any](w *walker, p *int64, o int64, all *[]*T, number func(*T) int64) {
	if w.joining {
		crdt.Raise(all, p, o, number)
		return
	}
	w.i(p)
}

// walkCut walks the key from which on nothing is kept.
func walkCut[T any, K crdt.Key[K]](w *walker, p *crdt.Cut[K], o crdt.Cut[K], all *[]*T, key func(*T) K, visit func(w *walker, k *K)) {
	if !w.joining {
		w.bool(&p.Set)
		if p.Set && !w.weighing {
			visit(w, &p.From)
		}
		return
	}
	if o.Set && p.Lower(o.From) {
		crdt.Trim(all, p, key)
	}
}

// placeCut is walkCut for what the attempts of a tier have.
func placeCut[T any, K crdt.Key[K]](w *walker, t *Tier, p *crdt.Cut[Place[K]], o crdt.Cut[Place[K]], list func(*TierAttempt) *[]*T,
	key func(*T) K, visit func(w *walker, k *K),
) {
	if !w.joining {
		w.bool(&p.Set)
		if w.weighing { // what it takes beyond a bare place is of the share of what it cuts
			w.weight += 2 * weightInt
		} else if p.Set {
			w.i32(&p.From.Attempt)
			visit(w, &p.From.Key)
		}
		return
	}
	if o.Set && p.Lower(o.From) {
		trimPlaces(t, p, list, key)
	}
}

func (w *walker) name(n *crdt.Name)     { w.str((*string)(n)) }
func (w *walker) number(n *crdt.Number) { w.i32((*int32)(n)) }
func (w *walker) errorKey(k *ErrorKey)  { w.keys(&k.ErrType, &k.Component, &k.Stage, &k.Message) }
func (w *walker) stageKey(k *StageKey)  { w.keys(&k.Stage, &k.Component, &k.Worker) }
func (w *walker) jobKey(k *JobKey)      { w.keys(&k.ID, &k.Cluster, &k.Run) }

func (w *walker) keys(names ...*string) {
	for _, n := range names {
		w.key(n)
	}
}

func (w *walker) words(p *Words, o Words) {
	if w.joining {
		for _, m := range o {
			for _, at := range [...]crdt.Stamp{m.First, m.Last} {
				if w.only.hasWord(m.Word, at.Time) {
					p.Say(m.Word, at)
				}
			}
		}
		return
	}
	visitSlice(&w.codec, (*[]WordMark)(p), func(c *codec, m *WordMark) {
		(*Status)(&m.Word).visit(c)
		c.stamp(&m.First)
		c.stamp(&m.Last)
	})
}

func (w *walker) series(s, o *crdt.Series, points int) {
	if w.joining {
		if w.only == nil {
			s.Join(*o, points)
			return
		}
		for _, p := range o.Points {
			if at := p.Bucket << o.Shift * 1e9; w.only.has(at) {
				s.Add(at, p.N, points)
			}
		}
		return
	}
	w.byte(&s.Shift)
	if w.weighing { // once it was made coarser it may have as many points as it may
		n := points
		if s.Shift == 0 && points > 2 {
			n = len(s.Points)
		}
		w.weight += weightLen + weightPoint*n
		return
	}
	var bucket, n int64
	visitSlice(&w.codec, &s.Points, func(c *codec, p *crdt.Point) {
		db, dn := p.Bucket-bucket, p.N-n
		c.i(&db)
		c.i(&dn)
		bucket, n = bucket+db, n+dn
		p.Bucket, p.N = bucket, n
	})
	if s.Shift > 62 {
		w.fail()
	}
}

// register walks a register of values that a codec can visit.
func register[T crdt.Value, P interface {
	*T
	visit(c *codec)
}](w *walker, r, o *crdt.Register[T],
) {
	if w.joining {
		if w.only.has(o.At.Time) {
			r.Join(*o)
		}
		return
	}
	w.stamp(&r.At)
	r.Set = !r.At.IsZero()
	if r.Set {
		P(&r.V).visit(&w.codec)
	}
}

// measured walks a register of texts with the greatest length ever offered.
func measured[T crdt.Sized, P interface {
	*T
	visit(c *codec)
}](w *walker, r, o *crdt.Measured[T],
) {
	if w.joining {
		if w.only.has(o.At.Time) {
			r.Join(*o)
		}
		return
	}
	w.stamp(&r.At)
	r.Set = !r.At.IsZero()
	if !r.Set {
		return
	}
	if w.weighing {
		w.weight += 2*weightLen + int(r.Most)
		return
	}
	P(&r.V).visit(&w.codec)
	more := int64(r.Most) - int64(r.V.Length())
	w.i(&more)
	r.Most = int32(more + int64(r.V.Length()))
}

// walkList walks elements that are found by a key. own finds the one with the key of another view's element, made if need be,
// and nil where a bound excludes it.
func walkList[T any](w *walker, all *[]*T, others []*T, own func(o *T) (*T, bool), each func(w *walker, e, o *T)) {
	if w.joining {
		for _, o := range others {
			if e, _ := own(o); e != nil {
				each(w, e, o)
			}
		}
		return
	}
	n := uint64(len(*all))
	w.u(&n)
	if w.weighing { // they are weighed apart
		return
	}
	if !w.writing && n > 0 {
		if n > uint64(len(w.in)-w.pos) {
			w.fail()
			return
		}
		block := make([]T, n)
		*all = make([]*T, n)
		for i := range block {
			(*all)[i] = &block[i]
		}
	}
	for _, e := range *all {
		each(w, e, e)
	}
}

// walkSet walks a set of values; say adds one of another view's.
func walkSet[T any](w *walker, all *[]T, others []T, say func(T) bool, each func(c *codec, e *T)) {
	if !w.joining {
		visitSlice(&w.codec, all, each)
		return
	}
	for _, o := range others {
		say(o)
	}
}

func visitSlice[T any](c *codec, all *[]T, each func(*codec, *T)) {
	n := uint64(len(*all))
	c.u(&n)
	if !c.writing && !c.weighing && n > 0 {
		if n > uint64(len(c.in)-c.pos) {
			c.fail()
			return
		}
		*all = make([]T, n)
	}
	for i := range *all {
		each(c, &(*all)[i])
	}
}

func visitOpt[T any](c *codec, o *event.Opt[T], each func(*codec, *T)) {
	c.bool(&o.Set)
	if o.Set {
		each(c, &o.V)
	}
}

// How a codec visits the values of registers.

func (t *Text) visit(c *codec)   { c.str((*string)(t)) }
func (t *JSON) visit(c *codec)   { c.str((*string)(t)) }
func (n *Number) visit(c *codec) { c.i((*int64)(n)) }
func (f *Flag) visit(c *codec)   { c.bool((*bool)(f)) }

func (s *Status) visit(c *codec) {
	c.byte((*uint8)(s))
	if !event.Word(*s).Known() {
		*s = 0
		c.fail()
	}
}

func (w *Waiting) visit(c *codec) {
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
	visitOpt(c, &w.Code, (*codec).str)
	c.str(&w.AskedJSON)
	c.str(&w.HoldersJSON)
	c.str(&w.FixesJSON)
}

func (a *Announced) visit(c *codec) {
	c.health(&a.From)
	c.health(&a.To)
	c.str(&a.Reason)
	c.i(&a.AsOf)
	c.float(&a.StuckSeconds)
	c.str(&a.ChangedJSON)
	visitOpt(c, &a.CauseFrom, (*codec).str)
	visitOpt(c, &a.CauseTo, (*codec).str)
}

func (c *codec) health(h *event.Health) {
	c.byte((*uint8)(h))
	if !h.Known() {
		*h = 0
		c.fail()
	}
}
