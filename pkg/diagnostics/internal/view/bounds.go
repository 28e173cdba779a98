package view

import (
	"cmp"
	"math"

	"github.com/headwayhq/headway/pkg/diagnostics/internal/crdt"
)

// A view has at most 8 MiB, whatever is sent. What is kept has to depend on the set of messages alone, so the fold can't simply stop
// when a view is full. Instead each kind of entry has an order and a budget of bytes. The first entries in that order whose weights
// fit are kept. The key of the first entry that doesn't fit is stored as a cut, and nothing from the cut on is ever kept again. The weight of
// an entry is the most that its encoding may take, computed from numbers that only grow: for each text the greatest length in any event,
// for each stamp the greatest length among the events about the entry. So a cut only moves down, and every order of messages leads to the
// same cut.
//
// When entries of one kind are dropped, the budget of another kind must not grow. So a kind with a cut counts as using its whole budget.
// What belongs to a tier's attempts has the same order as the attempts, so that both are cut at the same place.

// Limits on the number of entries. The smallest keys are kept; of attempts and announcements the highest.
const (
	MaxAttempts      = 16     // of a batch, and of each tier
	MaxJobs          = 1_000  // by submission id, cluster and run
	MaxCollections   = 10_000 // by id
	MaxErrors        = 100    // of a tier, the highest attempts first
	MaxErrorDocs     = 10     // ids of documents of an error
	MaxStages        = 1_000  // of a tier, the highest attempts first
	MaxBuckets       = 256    // upper bounds of a stage
	MaxWorkers       = 10_000 // of a tier, the highest attempts first
	MaxErrorWorkers  = 1_000  // of an error
	MaxAnnouncements = 100    // by ordinal
	MaxSources       = 64     // by name
	MaxProofs        = 64     // by job, kind and process
	MaxRefusals      = 100    // hashes of refused messages
	MaxRefusedTiers  = 100    // numbers of tiers about which messages were refused
	maxSeriesPoints  = 128
)

// MaxBytes is the greatest length of the canonical state of a view.
const MaxBytes = 8 << 20

// budgets are limits in bytes. Each kind has its own. Tiers, collections and jobs also share a pool, in this order. Of what they leave of
// it, half is for workers and a quarter each for errors and stages, in equal shares for the tiers that have any.
type budgets struct {
	attempts, announcements, sources, proofs int
	tiers, collections, jobs                 int
	workers, errors, stages                  int
	pool                                     int
	mostCollections, mostJobs                int // the pool included
	tierAttempts                             int // one tier's attempts, without their workers, errors and stages
}

// rest is the space for the batch's own texts, the rejections and the cuts.
const rest = 384 << 10

// stateBudgets is a variable so that tests of the laws can use small budgets.
var stateBudgets = budgets{
	attempts: 256 << 10, announcements: 256 << 10, sources: 128 << 10, proofs: 256 << 10,
	tiers: 512 << 10, collections: 256 << 10, jobs: 512 << 10,
	workers: 512 << 10, errors: 256 << 10, stages: 256 << 10,
	pool:            MaxBytes - rest - 3_200<<10,
	mostCollections: 4 << 20, mostJobs: 2 << 20,
	tierAttempts: 64 << 10,
}

// Place is the key of an entry that belongs to an attempt of a tier.
type Place[K crdt.Key[K]] struct {
	Attempt int32
	Key     K
}

// Compare orders places: the highest attempt first, then by key.
func (p Place[K]) Compare(o Place[K]) int {
	return cmp.Or(cmp.Compare(o.Attempt, p.Attempt), p.Key.Compare(o.Key))
}

// Short shortens the key, without a change of order.
func (p Place[K]) Short() Place[K] { return Place[K]{p.Attempt, p.Key.Short()} }

// room is the number of bytes by which entries may grow before the view has to be weighed again. It isn't part of the state.
type room int

// Weights in bytes of fields without a length of their own.
const (
	weightInt   = 10
	weightSmall = 5
	weightLen   = 3 // of a length or a reference
	weightStamp = 22
	weightPoint = 14
	weightCut   = 4*(crdt.ShortName+weightLen) + weightSmall
	weightPart  = 1 + 3*weightSmall // of a part's key and lengths, if an entry has one of its own
	weightEntry = 256               // more than the fixed part of any entry
	mostStamps  = 48                // more than any entry has
)

// scale weighs entries.
type scale struct{ w walker }

func (s *scale) begin(stamps int32) *walker {
	s.w.weighing, s.w.weight, s.w.stampWeight = true, 0, int(stamps)+weightStamp
	return &s.w
}

func (s *scale) attempt(a *BatchAttempt) int {
	s.begin(a.Stamps).batchAttempt(a, a)
	return s.w.weight
}

func (s *scale) announcement(a *Announcement) int {
	s.begin(a.Stamps).announcement(a, a)
	return s.w.weight
}

func (s *scale) source(c *SourceClock) int {
	s.begin(c.Stamps).source(c, c)
	return s.w.weight
}

func (s *scale) proof(p *Proof) int {
	s.begin(p.Stamps).proof(p, p)
	return s.w.weight + weightPart
}

func (s *scale) collection(c *Collection) int {
	s.begin(c.Stamps).collection(c, c)
	return s.w.weight + weightPart
}

func (s *scale) job(j *Job) int {
	s.begin(j.Stamps).job(j, j)
	return s.w.weight + weightPart
}

func (s *scale) tierAttempt(a *TierAttempt) int {
	s.begin(a.Stamps).tierAttempt(nil, a, a)
	return s.w.weight
}

func (s *scale) worker(x *WorkerTally) int {
	s.begin(x.Stamps).workerTally(x, x, 2)
	return s.w.weight
}

func (s *scale) stage(x *StageState) int {
	s.begin(x.Stamps).stageState(x, x)
	return s.w.weight
}

func (s *scale) errorState(e *ErrorState) int {
	s.begin(e.Stamps).errorState(e, e)
	return s.w.weight
}

// tier is the weight of a tier with its attempts. If an attempt was dropped, they count with their whole budget.
func (s *scale) tier(t *Tier) int {
	sum := fitHighest(&t.Attempts, &t.AttemptsFloor, stateBudgets.tierAttempts, attemptNumber, s.tierAttempt)
	t.floored()
	t.room = room(stateBudgets.tierAttempts - sum)
	if t.AttemptsFloor > 0 {
		sum = stateBudgets.tierAttempts
	}
	s.begin(t.Stamps).tier(t, t)
	return sum + s.w.weight + weightPart
}

// fit cuts a set where the sum of its weights exceeds a budget, and returns the sum of the rest.
func fit[T any, K crdt.Key[K]](s *[]*T, cut *crdt.Cut[K], budget int, key func(*T) K, weigh func(*T) int) (sum int) {
	for _, e := range *s {
		n := weigh(e)
		if sum+n > budget {
			cut.Lower(key(e))
			crdt.Trim(s, cut, key)
			break
		}
		sum += n
	}
	return sum
}

// fitHighest is fit for sets that keep their highest numbers.
func fitHighest[T any](s *[]*T, floor *int64, budget int, number func(*T) int64, weigh func(*T) int) (sum int) {
	for i := len(*s) - 1; i >= 0; i-- {
		n := weigh((*s)[i])
		if sum+n > budget {
			crdt.Raise(s, floor, number((*s)[i])+1, number)
			break
		}
		sum += n
	}
	return sum
}

// bound drops the entries that exceed the budgets. It is called when the room is used up.
func (s *State) bound() {
	s.touchAll()
	var w scale
	left := math.MaxInt
	alone := func(sum, own int) { left = min(left, own-sum) }
	alone(fitHighest(&s.Attempts, &s.AttemptsFloor, stateBudgets.attempts, batchAttemptNumber, w.attempt), stateBudgets.attempts)
	alone(fitHighest(&s.Announcements, &s.AnnouncementsFloor, stateBudgets.announcements, ordinal, w.announcement), stateBudgets.announcements)
	alone(fit(&s.Sources, &s.SourcesCut, stateBudgets.sources, sourceName, w.source), stateBudgets.sources)
	alone(fit(&s.Proofs, &s.ProofsCut, stateBudgets.proofs, proofKey, w.proof), stateBudgets.proofs)

	pool := stateBudgets.pool
	use := func(sum, own, most int, cut *bool) {
		left = min(left, min(most, own+pool)-sum)
		if *cut {
			sum = most
		}
		pool -= min(pool, max(0, sum-own))
	}
	most := stateBudgets.tiers + stateBudgets.pool
	use(fit(&s.Tiers, &s.TiersCut, most, tierNumber, w.tier), stateBudgets.tiers, most, &s.TiersCut.Set)
	most = stateBudgets.mostCollections
	use(fit(&s.Collections, &s.CollectionsCut, min(most, stateBudgets.collections+pool), collectionID, w.collection), stateBudgets.collections, most, &s.CollectionsCut.Set)
	most = stateBudgets.mostJobs
	use(fit(&s.Jobs, &s.JobsCut, min(most, stateBudgets.jobs+pool), jobKey, w.job), stateBudgets.jobs, most, &s.JobsCut.Set)
	s.room = room(min(left, s.boundTiers(&w, pool)))
}

// boundTiers does the same for entries of the tiers' attempts, which share the rest of the pool. It returns the room for growth.
func (s *State) boundTiers(w *scale, pool int) int {
	of := [...]shares{{own: stateBudgets.workers + pool/2}, {own: stateBudgets.errors + pool/4}, {own: stateBudgets.stages + pool/4}}
	for i := range of {
		if s.TiersCut.Set { // the number of all tiers is no longer known
			of[i].own = 0
		}
		for _, t := range s.Tiers {
			if t.has(i) {
				of[i].tiers++
			}
		}
	}
	now, later := math.MaxInt, math.MaxInt
	for _, t := range s.Tiers {
		for i, sum := range [...]int{
			fitWorkers(w, t, of[kindWorkers].each(0)),
			fitPlaces(t, kindErrors, &t.ErrorsCut, of[kindErrors].each(0), errorList, errorKey, w.errorState),
			fitPlaces(t, kindStages, &t.StagesCut, of[kindStages].each(0), stageList, stageKey, w.stage),
		} {
			if of[i].own == 0 {
				continue // the first entry of the kind makes the view be weighed
			}
			now = min(now, of[i].each(0)-sum)
			later = min(later, of[i].each(of[i].spare())-sum)
		}
	}
	s.fresh = 0
	if later > 0 && !s.TiersCut.Set { // further tiers may get entries of a kind
		now, s.fresh = later, min(of[0].spare(), of[1].spare(), of[2].spare())
	}
	return now / 2 // a byte more of one kind may be a byte less for each share
}

// The kinds of entries that attempts of tiers have.
const (
	kindWorkers = iota
	kindErrors
	kindStages
)

// number is how many there are of a kind.
func (t *Tier) number(kind int) (n int) {
	for _, a := range t.Attempts {
		n += [...]int{len(a.Workers), len(a.Errors), len(a.Stages)}[kind]
	}
	return n
}

// has reports whether the tier has anything of a kind, or had.
func (t *Tier) has(kind int) bool {
	return [...]bool{t.WorkersCut.Set, t.ErrorsCut.Set, t.StagesCut.Set}[kind] || t.number(kind) > 0
}

// shares divide bytes among the tiers.
type shares struct{ own, tiers int }

func (s *shares) each(further int) int { return s.own / max(1, s.tiers+further) }

// spare is the number of further tiers for which room is planned.
func (s *shares) spare() int { return 1 + s.tiers/4 }

// fitPlaces is fit for entries of a tier's attempts, the highest attempt first. The cut also counts; if there is no room for it,
// nothing is kept.
func fitPlaces[T any, K crdt.Key[K]](t *Tier, kind int, cut *crdt.Cut[Place[K]], budget int, list func(*TierAttempt) *[]*T, key func(*T) K, weigh func(*T) int) (sum int) {
	sum = weightCut
	if sum > budget && t.has(kind) {
		cut.Lower(Place[K]{Attempt: math.MaxInt32})
		trimPlaces(t, cut, list, key)
		return sum
	}
	for i := len(t.Attempts) - 1; i >= 0; i-- {
		a := t.Attempts[i]
		for _, e := range *list(a) {
			n := weigh(e)
			if sum+n > budget {
				cut.Lower(Place[K]{a.Num, key(e)})
				trimPlaces(t, cut, list, key)
				return sum
			}
			sum += n
		}
	}
	return sum
}

// floored cuts the entries of attempts that were dropped. They came last in the order anyway.
func (t *Tier) floored() {
	if t.AttemptsFloor == 0 {
		return
	}
	last := int32(t.AttemptsFloor - 1)
	t.WorkersCut.Lower(Place[crdt.Name]{Attempt: last})
	t.ErrorsCut.Lower(Place[ErrorKey]{Attempt: last})
	t.StagesCut.Lower(Place[StageKey]{Attempt: last})
	t.coarsenCut()
}

// trimPlaces drops what a cut excludes.
func trimPlaces[T any, K crdt.Key[K]](t *Tier, cut *crdt.Cut[Place[K]], list func(*TierAttempt) *[]*T, key func(*T) K) {
	if !cut.Set {
		return
	}
	for _, a := range t.Attempts {
		switch {
		case a.Num < cut.From.Attempt:
			*list(a) = nil
		case a.Num == cut.From.Attempt:
			crdt.Trim(list(a), &crdt.Cut[K]{From: cut.From.Key, Set: true}, key)
		}
	}
}

// place is crdt.Smallest for entries of attempts: at most limit of them in all attempts of a tier.
func place[T any, K crdt.Key[K]](t *Tier, a *TierAttempt, cut *crdt.Cut[Place[K]], limit int, k K,
	list func(*TierAttempt) *[]*T, key func(*T) K, create func() *T,
) (e *T, changed bool) {
	if cut.Excludes(Place[K]{a.Num, k}) {
		return nil, false
	}
	e, changed = crdt.Smallest(list(a), &crdt.Cut[K]{}, 0, k, key, create)
	if !changed {
		return e, false
	}
	n := 0
	for _, o := range t.Attempts {
		n += len(*list(o))
	}
	if n > limit {
		for _, o := range t.Attempts { // the lowest attempt with an entry loses its last one
			if last := *list(o); len(last) > 0 {
				cut.Lower(Place[K]{o.Num, key(last[len(last)-1])})
				trimPlaces(t, cut, list, key)
				break
			}
		}
	}
	if cut.Excludes(Place[K]{a.Num, k}) {
		return nil, true
	}
	return e, true
}

// fitWorkers is fitPlaces for workers. Their series may be the greater part, so these are made coarser first.
func fitWorkers(w *scale, t *Tier, budget int) (sum int) {
	bare := fitPlaces(t, kindWorkers, &t.WorkersCut, budget, workerList, workerKey, w.worker)
	sum = weightCut
	t.coarsenCut()
	for i := len(t.Attempts) - 1; i >= 0 && int64(t.Attempts[i].Num) >= t.CoarseBelow; i-- {
		a := t.Attempts[i]
		with := sum + weightPoint*min(maxSeriesPoints*len(a.Workers), maxWorkerPoints)
		for _, x := range a.Workers {
			with += w.worker(x)
		}
		if with > budget {
			t.coarsen(int64(a.Num) + 1)
			break
		}
		sum = with
	}
	return max(sum, bare)
}

// coarsenCut makes series coarser in attempts of which workers were dropped, since the number of these is no longer known.
func (t *Tier) coarsenCut() {
	if t.WorkersCut.Set {
		t.coarsen(int64(t.WorkersCut.From.Attempt) + 1)
	}
}

// coarsen reduces the series of workers in attempts below a number to two points.
func (t *Tier) coarsen(below int64) {
	if below <= t.CoarseBelow {
		return
	}
	t.CoarseBelow = below
	for _, a := range t.Attempts {
		if int64(a.Num) < t.CoarseBelow {
			for _, x := range a.Workers {
				x.Series.Fit(2)
			}
		}
	}
}

// Accessors of keys and lists, for the generic functions above.

func batchAttemptNumber(a *BatchAttempt) int64 { return int64(a.Num) }
func attemptNumber(a *TierAttempt) int64       { return int64(a.Num) }
func ordinal(a *Announcement) int64            { return a.Ordinal }
func tierNumber(t *Tier) crdt.Number           { return crdt.Number(t.Num) }
func sourceName(c *SourceClock) crdt.Name      { return crdt.Name(c.Name) }
func collectionID(c *Collection) crdt.Name     { return crdt.Name(c.ID) }
func jobKey(j *Job) JobKey                     { return j.JobKey }
func proofKey(p *Proof) ProofKey               { return p.ProofKey }
func workerKey(x *WorkerTally) crdt.Name       { return crdt.Name(x.Key) }
func errorKey(e *ErrorState) ErrorKey          { return e.Key }
func stageKey(x *StageState) StageKey          { return x.Key }
func errorWorkerKey(x *ErrorWorker) crdt.Name  { return crdt.Name(x.Key) }

func workerList(a *TierAttempt) *[]*WorkerTally { return &a.Workers }
func errorList(a *TierAttempt) *[]*ErrorState   { return &a.Errors }
func stageList(a *TierAttempt) *[]*StageState   { return &a.Stages }

// LeftOut are the kinds of which some entries were dropped: tiers, collections, jobs, attempts.
func (s *State) LeftOut() (out []string) {
	attempts := s.AttemptsFloor > 0 && len(s.Attempts) == 0
	for _, t := range s.Tiers {
		attempts = attempts || t.AttemptsFloor > 0 && len(t.Attempts) == 0
	}
	for _, kind := range [...]struct {
		name string
		left bool
	}{
		{"tiers", s.TiersCut.Set}, {"collections", s.CollectionsCut.Set}, {"jobs", s.JobsCut.Set},
		{"attempts", attempts},
	} {
		if kind.left {
			out = append(out, kind.name)
		}
	}
	return out
}

// LeftOut reports of which kinds entries of an attempt were dropped.
func (t *Tier) LeftOut(attempt int32) (workers, errs, stages bool) {
	workers = t.WorkersCut.Set && t.WorkersCut.From.Attempt >= attempt
	errs = t.ErrorsCut.Set && t.ErrorsCut.From.Attempt >= attempt
	for _, a := range t.Attempts {
		if a.Num == attempt {
			for _, e := range a.Errors {
				workers = workers || e.WorkersCut.Set
			}
		}
	}
	return workers, errs, t.StagesCut.Set && t.StagesCut.From.Attempt >= attempt
}
