package judge

import "container/heap"

// stand is what one case says at a moment: the finding by which it is stuck, or else the one that explains it, or neither.
type stand struct{ stuck, waits *Finding }

func (j *Case) stand(asOf int64) stand {
	if f := j.Stuck(asOf); f != nil {
		return stand{stuck: f}
	}
	return stand{waits: j.Waits(asOf)}
}

// overall is what all cases together say at a moment: the findings that come first, and the tier that has moved least lately of those
// that move and aren't stuck. Of equals, the case that comes first counts.
type overall struct {
	stuck, waits                *Finding
	stuckCase, waitsCase, mover *Case
	scaling                     int // cases that don't move and aren't stuck
}

// add adds a case. Cases are added in their order.
func (s *overall) add(j *Case, at stand) {
	if at.stuck != nil {
		if sooner(&s.stuck, at.stuck) {
			s.stuckCase = j
		}
		return
	}
	if sooner(&s.waits, at.waits) {
		s.waitsCase = j
	}
	switch {
	case !j.Moves:
		s.scaling++
	case s.mover == nil || j.Since < s.mover.Since:
		s.mover = j
	}
}

// sweep goes through moments in their order, and keeps the sum of a batch's cases. At most moments one case of perhaps thousands
// changes, and mostly not the one that speaks: then nothing else has to be looked at.
type sweep struct {
	cases  *Cases
	stands []stand
	sum    overall // while a case is stuck only by its stuck finding, since no other counts
	turns  turns
}

// turn is the next moment at which a case may say something else.
type turn struct {
	at int64
	of int // index in Cases.Tiers
}

// turns are those still to come, the next of each case, as a heap: mostly only the first few are taken.
type turns []turn

func (t turns) Len() int           { return len(t) }
func (t turns) Less(i, k int) bool { return t[i].at < t[k].at }
func (t turns) Swap(i, k int)      { t[i], t[k] = t[k], t[i] }
func (t *turns) Push(x any)        { *t = append(*t, x.(turn)) }
func (t *turns) Pop() any          { last := (*t)[len(*t)-1]; *t = (*t)[:len(*t)-1]; return last }

func (cases *Cases) sweep(asOf int64) *sweep {
	w := &sweep{cases: cases, stands: make([]stand, len(cases.Tiers)), turns: make(turns, 0, len(cases.Tiers))}
	for i := range cases.Tiers {
		j := cases.Tiers[i]
		w.stands[i] = j.stand(asOf)
		if at := cases.turnOf(j, asOf); at != forever {
			w.turns = append(w.turns, turn{at, i})
		}
	}
	heap.Init(&w.turns)
	w.add()
	return w
}

// turnOf is the first moment after asOf at which a verdict can change by a case; forever if there is none.
func (cases *Cases) turnOf(j *Case, asOf int64) int64 {
	next := forever
	put := func(at int64) {
		if at > asOf && at < next {
			next = at
		}
	}
	put(j.Since + int64(cases.p.ScalingDelay))
	boundaries(j.Findings, put)
	return next
}

// next is the first moment still to come at which a case may say something else; forever if there is none.
func (w *sweep) next() int64 {
	if len(w.turns) == 0 {
		return forever
	}
	return w.turns[0].at
}

func (w *sweep) add() {
	w.sum = overall{}
	for i := range w.stands {
		w.sum.add(w.cases.Tiers[i], w.stands[i])
	}
}

// rule is Cases.rule. Its moments must not go back.
func (w *sweep) rule(asOf int64) ruling {
	again := false
	for w.next() <= asOf {
		i := w.turns[0].of
		j := w.cases.Tiers[i]
		if at := w.cases.turnOf(j, asOf); at != forever {
			w.turns[0].at = at
			heap.Fix(&w.turns, 0)
		} else {
			heap.Pop(&w.turns)
		}
		if now := j.stand(asOf); now != w.stands[i] {
			w.stands[i] = now
			again = !w.replace(j, now) || again
		}
	}
	if again {
		w.add()
	}
	return w.cases.ruling(&w.sum, asOf)
}

// replace changes the sum by what a case says now. It returns false if that alone doesn't tell: the case spoke until now.
func (w *sweep) replace(j *Case, now stand) bool {
	s := &w.sum
	switch {
	case s.stuck != nil:
		return s.stuckCase != j && replaceBy(&s.stuck, &s.stuckCase, now.stuck, j)
	case now.stuck != nil:
		return false
	}
	return s.waitsCase != j && replaceBy(&s.waits, &s.waitsCase, now.waits, j)
}

// replaceBy returns false for equals, of which that of the first case counts.
func replaceBy(to **Finding, of **Case, f *Finding, j *Case) bool {
	if f != nil && *to != nil && f.compare(*to) == 0 {
		return false
	}
	if sooner(to, f) {
		*of = j
	}
	return true
}
