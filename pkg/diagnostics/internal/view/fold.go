package view

import (
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
	f := folder{s: &v.state, at: e.Detach(), stored: e.Stored}
	switch e.Type {
	case event.TypeBatch:
		if e.BatchFacts.Settled {
			f.did(f.s.Settled.Put(f.at, Status(e.BatchFacts.Status)))
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
			setText(&f, &s.Name, c.Name)
			if c.TierNum.Set {
				f.did(s.Tier.Put(f.at, Number(c.TierNum.V)))
			}
			setNum(&f, &s.Docs, c.Documents)
			setNum(&f, &s.Expected, c.ExpectedDocs)
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
	s       *State
	at      crdt.Stamp
	stored  int64
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

func setNum(f *folder, r *crdt.Register[Number], o event.Opt[int64]) {
	if o.Set {
		f.did(r.Put(f.at, Number(o.V)))
	}
}

func setTime(f *folder, e *crdt.Earliest, o event.Opt[int64]) {
	if o.Set {
		f.did(e.Put(o.V, f.at))
	}
}

func (f *folder) heard(work bool) {
	f.did(crdt.Widen(&f.s.First, &f.s.Last, f.at))
	f.clock()
	f.storedLast(&f.s.LastStored)
	if work && f.at.Time > f.s.LastWork {
		f.s.LastWork = f.at.Time
		f.changed = true
	}
}

func (f *folder) batch(b *event.BatchFacts) {
	s := f.s
	setText(f, &s.Name, b.Name)
	setText(f, &s.Pipeline, b.Pipeline)
	setText(f, &s.Owner, b.Owner)
	setText(f, &s.Labels, b.LabelsJSON)
	setText(f, &s.RetryOf, b.RetryOf)
	setText(f, &s.BucketID, b.BucketID)
	setNum(f, &s.TotalTiers, b.TotalTiers)
	setNum(f, &s.TotalObj, b.TotalObj)
	setTime(f, &s.Created, b.CreatedAt)
	if b.Status != event.WordNone && !s.StatusSaid {
		s.StatusSaid, f.changed = true, true
	}
	for i := range b.Tiers {
		f.plan(&b.Tiers[i])
	}
	a, made := s.attempt(b.Attempt)
	f.did(made)
	if a == nil {
		return
	}
	f.did(crdt.Widen(&a.First, &a.Last, f.at))
	if b.Status != event.WordNone {
		f.did(a.Words.Say(b.Status, f.at))
	}
	setTime(f, &a.Submitted, b.SubmittedAt)
	setTime(f, &a.Started, b.StartedAt)
	setNum(f, &a.Completed, b.CompletedAt)
	setText(f, &a.Err, b.Error)
	setText(f, &a.ErrType, b.ErrorType)
}

func (f *folder) plan(p *event.TierPlan) {
	t, made := f.s.tier(p.TierNum)
	f.did(made)
	if p.RequiresGPU.Set {
		f.did(t.PlanGPU.Put(f.at, Flag(p.RequiresGPU.V)))
	}
	setNum(f, &t.PlanTotal, p.TotalDocs)
	for i := range p.Collections {
		c := &p.Collections[i]
		if s := f.collection(c.ID); s != nil {
			f.did(s.Tier.Put(f.at, Number(p.TierNum)))
			setText(f, &s.Name, c.Name)
			setNum(f, &s.Expected, c.ExpectedDocs)
		}
	}
}

func (f *folder) tierAttempt(tierNum, attempt int32) *TierAttempt {
	t, made := f.s.tier(tierNum)
	f.did(made)
	f.storedLast(&t.LastStored)
	a, made := t.attempt(attempt)
	f.did(made)
	if a != nil {
		f.did(crdt.Widen(&a.First, &a.Last, f.at))
	}
	return a
}

func (f *folder) tier(t *event.TierFacts) {
	a := f.tierAttempt(t.TierNum, t.Attempt)
	if a == nil {
		return
	}
	if t.Status != event.WordNone {
		f.did(a.Words.Say(t.Status, f.at))
	}
	setTime(f, &a.Started, t.StartedAt)
	setNum(f, &a.Completed, t.CompletedAt)
	setText(f, &a.TaskID, t.TaskID)
	if t.RequiresGPU.Set {
		f.did(a.GPU.Put(f.at, Flag(t.RequiresGPU.V)))
	}
	setNum(f, &a.Total, t.Total)
	f.counters(a, t)
	setText(f, &a.Err, t.Error)
	setText(f, &a.ErrType, t.ErrorType)
	for i := range t.Errors {
		f.errorFact(a, &t.Errors[i], t.Worker)
	}
}

func (f *folder) errorFact(a *TierAttempt, e *event.ErrorFact, worker string) {
	s, made := a.errorAt(ErrorKey{e.ErrorType, e.Component, e.Stage, e.Message})
	f.did(made)
	if s == nil {
		return
	}
	if e.Affected.Set {
		f.did(s.affects(worker, e.Affected.V, &a.ErrorsTruncated))
	}
	for _, id := range e.DocIDs {
		f.did(s.document(id))
	}
	setText(f, &s.Suggestion, e.Suggestion)
}

func (f *folder) job(j *event.JobFacts) {
	if j.Waiting.Set && !f.s.WaitingSaid {
		f.s.WaitingSaid, f.changed = true, true
	}
	s, made := f.s.job(JobKey{event.DecodeID(j.SubmissionID), j.Cluster.V, j.Run.V})
	f.did(made)
	if s == nil {
		return
	}
	f.did(crdt.Widen(&s.First, &s.Last, f.at))
	f.storedLast(&s.LastStored)
	f.did(s.Tier.Put(f.at, Number(j.TierNum)))
	if j.SubmittedAt.Set && j.SubmittedAt.V > s.SubmittedLatest {
		s.SubmittedLatest, f.changed = j.SubmittedAt.V, true
	}
	if j.Attempt.Set && j.Attempt.V > s.Attempt {
		s.Attempt, f.changed = j.Attempt.V, true
	}
	if j.Status != event.WordNone {
		f.did(s.Words.Say(j.Status, f.at))
	}
	setTime(f, &s.Submitted, j.SubmittedAt)
	setTime(f, &s.Started, j.StartedAt)
	setNum(f, &s.Ended, j.EndedAt)
	setText(f, &s.JobID, j.JobID)
	setText(f, &s.Extractor, j.Extractor)
	setText(f, &s.Collections, j.CollectionsJSON)
	setText(f, &s.Message, j.Message)
	setText(f, &s.ErrType, j.ErrorType)
	setNum(f, &s.ExitCode, j.ExitCode)
	setText(f, &s.URL, j.DashboardURL)
	setText(f, &s.Resources, j.ResourcesJSON)
	setText(f, &s.Params, j.SubmissionParams)
	setText(f, &s.Session, j.Session)
	setNum(f, &s.Total, j.Total)
	if j.Processed.Set {
		f.did(s.Processed.Say(j.Processed.V, f.at))
		f.did(s.Series.Add(f.at.Time, j.Processed.V, maxSeriesPoints))
	}
	if !j.Waiting.Set {
		return
	}
	switch j.Status.Rank() {
	case event.RankPending:
		f.waiting(&s.Waiting[WaitingPending], j.Waiting.V)
		f.phase(&s.Phases[WaitingPending], (*Waiting)(&j.Waiting.V))
	case event.RankProcessing:
		f.waiting(&s.Waiting[WaitingRunning], j.Waiting.V)
		f.phase(&s.Phases[WaitingRunning], (*Waiting)(&j.Waiting.V))
	}
}

func (f *folder) waiting(r *crdt.Register[Waiting], w event.Waiting) {
	if !r.Wants(f.at, Waiting(w)) {
		return
	}
	w.Kind = strings.Clone(w.Kind)
	w.DemandJSON = strings.Clone(w.DemandJSON)
	w.OfferedJSON = strings.Clone(w.OfferedJSON)
	w.Detail.V = strings.Clone(w.Detail.V)
	w.Code.V = strings.Clone(w.Code.V)
	w.AskedJSON = strings.Clone(w.AskedJSON)
	w.HoldersJSON = strings.Clone(w.HoldersJSON)
	w.FixesJSON = strings.Clone(w.FixesJSON)
	f.did(r.Put(f.at, Waiting(w)))
}

func (f *folder) stage(s *event.StageFacts) {
	a := f.tierAttempt(s.TierNum, s.Attempt)
	if a == nil {
		return
	}
	st, made := a.stageAt(StageKey{s.Stage, s.Component, s.Worker})
	f.did(made)
	if st == nil {
		return
	}
	if s.Count.Set {
		f.did(st.Count.Say(s.Count.V, f.at))
		f.did(st.least(s.Count.V))
	}
	setText(f, &st.Unit, s.Unit)
	if s.TotalMS.Set && s.TotalMS.V > st.TotalMS {
		st.TotalMS, f.changed = s.TotalMS.V, true
	}
	if s.MaxMS.Set && s.MaxMS.V > st.MaxMS {
		st.MaxMS, f.changed = s.MaxMS.V, true
	}
	for _, b := range s.Buckets {
		f.did(st.bucket(b))
	}
}

func (f *folder) collection(id string) *Collection {
	c, made := f.s.collection(event.DecodeID(id))
	f.did(made)
	return c
}

func (f *folder) health(h *event.HealthFacts) {
	a, made := f.s.announcement(h.Ordinal)
	f.did(made)
	if a == nil {
		return
	}
	f.did(a.Said.Put(f.at, Announced{
		From: h.From, To: h.To, Reason: strings.Clone(h.BlockedReason), AsOf: h.AsOf,
		StuckSeconds: h.StuckSeconds.V, ChangedJSON: strings.Clone(h.ChangedJSON),
		CauseFrom: cloneOpt(h.CauseFrom), CauseTo: cloneOpt(h.CauseTo),
	}))
}

func cloneOpt(o event.Opt[string]) event.Opt[string] {
	return event.Opt[string]{V: strings.Clone(o.V), Set: o.Set}
}
