package diagnostics

import (
	"cmp"
	"slices"
	"strings"

	"github.com/headwayhq/headway/pkg/diagnostics/internal/crdt"
	"github.com/headwayhq/headway/pkg/diagnostics/internal/event"
)

// Outcome is what an event did to a view; its String is a metric label.
type Outcome uint8

const (
	Applied   Outcome = iota // the state changed
	Unchanged                // all that the event says was known
	Rejected                 // the event is of another batch
)

func (o Outcome) String() string { return [...]string{"applied", "unchanged", "rejected"}[o] }

// Fold joins what e says into v. It keeps no string of e that it doesn't clone.
// The header is the caller's: the fold knows no stream.
func Fold(v *View, e *event.Event) Outcome {
	if e.Batch != v.Batch || e.Namespace != v.Namespace {
		return Rejected
	}
	f := folder{s: &v.state, at: e.Detach()}
	switch e.Type {
	case event.TypeBatch:
		if e.BatchFacts.Settled {
			f.did(f.s.settled.Put(f.at, word(e.BatchFacts.Status)))
			break
		}
		f.heard(false)
		f.batch(&e.BatchFacts)
	case event.TypeTier:
		f.heard(true)
		f.tier(&e.TierFacts)
	case event.TypeJob:
		f.heard(true)
		f.job(&e.JobFacts)
	case event.TypeStage:
		f.heard(true)
		f.stage(&e.StageFacts)
	case event.TypeCollection:
		f.heard(false)
		c := &e.CollectionFacts
		if s := f.collection(c.ID); s != nil {
			setText(&f, &s.name, c.Name)
			if c.TierNum.Set {
				f.did(s.tier.Put(f.at, num(c.TierNum.V)))
			}
			setNum(&f, &s.docs, c.Documents)
			setNum(&f, &s.expected, c.ExpectedDocs)
		}
	case event.TypeHealth:
		f.health(&e.HealthFacts)
	default:
		return Rejected
	}
	if f.changed {
		return Applied
	}
	return Unchanged
}

type folder struct {
	s       *state
	at      crdt.Stamp
	changed bool
}

func (f *folder) did(changed bool) { f.changed = f.changed || changed }

func setText[T interface {
	crdt.Value
	~string
}](f *folder, r *crdt.Register[T], o event.Opt[string]) {
	if o.Set && r.Wants(f.at, T(o.V)) {
		f.did(r.Put(f.at, T(strings.Clone(o.V))))
	}
}

func setNum(f *folder, r *crdt.Register[num], o event.Opt[int64]) {
	if o.Set {
		f.did(r.Put(f.at, num(o.V)))
	}
}

func setTime(f *folder, e *crdt.Earliest, o event.Opt[int64]) {
	if o.Set {
		f.did(e.Put(o.V, f.at))
	}
}

func (f *folder) heard(work bool) {
	f.did(crdt.Widen(&f.s.first, &f.s.last, f.at))
	if work && f.at.Time > f.s.lastWork {
		f.s.lastWork = f.at.Time
		f.changed = true
	}
}

func (f *folder) batch(b *event.BatchFacts) {
	s := f.s
	setText(f, &s.name, b.Name)
	setText(f, &s.pipeline, b.Pipeline)
	setText(f, &s.owner, b.Owner)
	setText(f, &s.labels, b.LabelsJSON)
	setText(f, &s.retryOf, b.RetryOf)
	setText(f, &s.bucketID, b.BucketID)
	setNum(f, &s.totalTiers, b.TotalTiers)
	setNum(f, &s.totalObj, b.TotalObj)
	setTime(f, &s.created, b.CreatedAt)
	if b.Status != event.WordNone && !s.statusSaid {
		s.statusSaid, f.changed = true, true
	}
	for i := range b.Tiers {
		f.plan(&b.Tiers[i])
	}
	a, made := s.attempt(b.Attempt)
	f.did(made)
	if a == nil {
		return
	}
	f.did(crdt.Widen(&a.first, &a.last, f.at))
	if b.Status != event.WordNone {
		f.did(a.words.say(b.Status, f.at))
	}
	setTime(f, &a.submitted, b.SubmittedAt)
	setTime(f, &a.started, b.StartedAt)
	setNum(f, &a.completed, b.CompletedAt)
	setText(f, &a.err, b.Error)
	setText(f, &a.errType, b.ErrorType)
}

func (f *folder) plan(p *event.TierPlan) {
	t, made := f.s.tier(p.TierNum)
	f.did(made)
	if p.RequiresGPU.Set {
		f.did(t.planGPU.Put(f.at, flag(p.RequiresGPU.V)))
	}
	setNum(f, &t.planTotal, p.TotalDocs)
	for i := range p.Collections {
		c := &p.Collections[i]
		if s := f.collection(c.ID); s != nil {
			f.did(s.tier.Put(f.at, num(p.TierNum)))
			setText(f, &s.name, c.Name)
			setNum(f, &s.expected, c.ExpectedDocs)
		}
	}
}

func (f *folder) tierAttempt(tierNum, attempt int32) *tierAttempt {
	t, made := f.s.tier(tierNum)
	f.did(made)
	a, made := t.attempt(attempt)
	f.did(made)
	if a != nil {
		f.did(crdt.Widen(&a.first, &a.last, f.at))
	}
	return a
}

func (f *folder) tier(t *event.TierFacts) {
	a := f.tierAttempt(t.TierNum, t.Attempt)
	if a == nil {
		return
	}
	if t.Status != event.WordNone {
		f.did(a.words.say(t.Status, f.at))
	}
	setTime(f, &a.started, t.StartedAt)
	setNum(f, &a.completed, t.CompletedAt)
	setText(f, &a.taskID, t.TaskID)
	if t.RequiresGPU.Set {
		f.did(a.gpu.Put(f.at, flag(t.RequiresGPU.V)))
	}
	setNum(f, &a.total, t.Total)
	f.counters(a, t)
	setText(f, &a.err, t.Error)
	setText(f, &a.errType, t.ErrorType)
	for i := range t.Errors {
		f.errorFact(a, &t.Errors[i], t.Worker)
	}
}

func (f *folder) errorFact(a *tierAttempt, e *event.ErrorFact, worker string) {
	s, made := a.errorAt(errorKey{e.ErrorType, e.Component, e.Stage, e.Message})
	f.did(made)
	if s == nil {
		return
	}
	if e.Affected.Set {
		f.did(s.affects(worker, e.Affected.V, &a.errorsTruncated))
	}
	for _, id := range e.DocIDs {
		f.did(s.document(id))
	}
	setText(f, &s.suggestion, e.Suggestion)
}

func (f *folder) job(j *event.JobFacts) {
	s, made := f.s.job(j.SubmissionID)
	f.did(made)
	if s == nil {
		return
	}
	f.did(crdt.Widen(&s.first, &s.last, f.at))
	f.did(s.tier.Put(f.at, num(j.TierNum)))
	if j.Attempt.Set && j.Attempt.V > s.attempt {
		s.attempt, f.changed = j.Attempt.V, true
	}
	if j.Status != event.WordNone {
		f.did(s.words.say(j.Status, f.at))
	}
	setTime(f, &s.submitted, j.SubmittedAt)
	setTime(f, &s.started, j.StartedAt)
	setNum(f, &s.ended, j.EndedAt)
	setText(f, &s.jobID, j.JobID)
	setText(f, &s.extractor, j.Extractor)
	setText(f, &s.collections, j.CollectionsJSON)
	setText(f, &s.message, j.Message)
	setText(f, &s.errType, j.ErrorType)
	setNum(f, &s.exitCode, j.ExitCode)
	setText(f, &s.url, j.DashboardURL)
	setText(f, &s.resources, j.ResourcesJSON)
	setText(f, &s.params, j.SubmissionParams)
	setText(f, &s.cluster, j.Cluster)
	setText(f, &s.session, j.Session)
	setNum(f, &s.total, j.Total)
	if j.Processed.Set {
		f.did(s.processed.Say(j.Processed.V, f.at))
		f.did(s.series.Add(f.at.Time, j.Processed.V, maxSeriesPoints))
	}
	if !j.Waiting.Set {
		return
	}
	switch j.Status.Rank() {
	case event.RankPending:
		f.waiting(&s.waiting[waitingPending], j.Waiting.V)
	case event.RankProcessing:
		f.waiting(&s.waiting[waitingRunning], j.Waiting.V)
	}
}

func (f *folder) waiting(r *crdt.Register[waiting], w event.Waiting) {
	if !r.Wants(f.at, waiting(w)) {
		return
	}
	w.Kind = strings.Clone(w.Kind)
	w.DemandJSON = strings.Clone(w.DemandJSON)
	w.OfferedJSON = strings.Clone(w.OfferedJSON)
	w.Detail.V = strings.Clone(w.Detail.V)
	f.did(r.Put(f.at, waiting(w)))
}

func (f *folder) stage(s *event.StageFacts) {
	a := f.tierAttempt(s.TierNum, s.Attempt)
	if a == nil {
		return
	}
	st, made := a.stageAt(stageKey{s.Stage, s.Component, s.Worker})
	f.did(made)
	if st == nil {
		return
	}
	if s.Count.Set {
		f.did(st.count.Say(s.Count.V, f.at))
	}
	if s.TotalMS.Set && s.TotalMS.V > st.totalMS {
		st.totalMS, f.changed = s.TotalMS.V, true
	}
	if s.MaxMS.Set && s.MaxMS.V > st.maxMS {
		st.maxMS, f.changed = s.MaxMS.V, true
	}
	for _, b := range s.Buckets {
		f.did(st.bucket(b))
	}
}

func (f *folder) collection(id string) *collection {
	c, made := f.s.collection(id)
	f.did(made)
	return c
}

func (f *folder) health(h *event.HealthFacts) {
	a, made := f.s.announcement(h.Ordinal)
	f.did(made)
	if a == nil {
		return
	}
	f.did(a.said.Put(f.at, announced{
		from: h.From, to: h.To, reason: strings.Clone(h.BlockedReason), asOf: h.AsOf,
		stuckSeconds: h.StuckSeconds.V,
	}))
}

// The accessors below return what has the key, made if need be; nil where the bound excludes it.

func (s *state) attempt(n int32) (*batchAttempt, bool) {
	return crdt.Highest(&s.attempts, MaxAttempts, func(a *batchAttempt) int { return cmp.Compare(a.num, n) },
		func() *batchAttempt { return &batchAttempt{num: n} })
}

func (s *state) tier(n int32) (*tier, bool) {
	if k := int(n); k < len(s.tiers) && s.tiers[k].num == n { // dense, as nearly always
		return s.tiers[k], false
	}
	return crdt.Smallest(&s.tiers, 0, nil, func(t *tier) int { return cmp.Compare(t.num, n) }, func() *tier { return &tier{num: n} })
}

func (t *tier) attempt(n int32) (*tierAttempt, bool) {
	return crdt.Highest(&t.attempts, MaxAttempts, func(a *tierAttempt) int { return cmp.Compare(a.num, n) },
		func() *tierAttempt { return &tierAttempt{num: n} })
}

func (s *state) job(id string) (*job, bool) {
	return crdt.Smallest(&s.jobs, MaxJobs, &s.jobsTruncated, func(j *job) int { return strings.Compare(j.id, id) },
		func() *job { return &job{id: strings.Clone(id)} })
}

func (s *state) collection(id string) (*collection, bool) {
	return crdt.Smallest(&s.collections, MaxCollections, &s.collectionsTruncated,
		func(c *collection) int { return strings.Compare(c.id, id) },
		func() *collection { return &collection{id: strings.Clone(id)} })
}

func (s *state) announcement(ordinal int64) (*announcement, bool) {
	return crdt.Highest(&s.announced, MaxAnnouncements, func(a *announcement) int { return cmp.Compare(a.ordinal, ordinal) },
		func() *announcement { return &announcement{ordinal: ordinal} })
}

func (a *tierAttempt) errorAt(k errorKey) (*errorState, bool) {
	return crdt.Smallest(&a.errors, MaxErrors, &a.errorsTruncated, func(e *errorState) int { return e.key.compare(k) },
		func() *errorState {
			return &errorState{key: errorKey{strings.Clone(k.errType), strings.Clone(k.component),
				strings.Clone(k.stage), strings.Clone(k.message)}}
		})
}

func (a *tierAttempt) stageAt(k stageKey) (*stageState, bool) {
	return crdt.Smallest(&a.stages, MaxStages, &a.stagesTruncated, func(s *stageState) int { return s.key.compare(k) },
		func() *stageState {
			return &stageState{key: stageKey{strings.Clone(k.stage), strings.Clone(k.component), strings.Clone(k.worker)}}
		})
}

// document keeps the smallest ids of the documents that an error affected.
func (e *errorState) document(id string) bool {
	i, found := slices.BinarySearch(e.docs, id)
	if found || i >= MaxErrorDocs {
		return false
	}
	e.docs = slices.Insert(e.docs, i, strings.Clone(id))
	e.docs = e.docs[:min(len(e.docs), MaxErrorDocs)]
	return true
}

func (s *stageState) bucket(b event.Bucket) bool {
	i, found := slices.BinarySearchFunc(s.buckets, b.UpperMS, func(e event.Bucket, k float64) int { return cmp.Compare(e.UpperMS, k) })
	if found {
		if b.Count <= s.buckets[i].Count {
			return false
		}
		s.buckets[i].Count = b.Count
		return true
	}
	if i >= MaxBuckets {
		return false
	}
	s.buckets = slices.Insert(s.buckets, i, b)
	s.buckets = s.buckets[:min(len(s.buckets), MaxBuckets)]
	return true
}
