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
	Unchanged                // everything in the event was known
	Rejected                 // the event is of another batch
)

func (o Outcome) String() string { return [...]string{"applied", "unchanged", "rejected"}[o] }

// Fold joins an event into v. It keeps no string of e without cloning it.
// The header is left to the caller, because the fold knows nothing of the stream.
func Fold(v *View, e *event.Event) Outcome {
	if e.Batch != v.Batch || e.Namespace != v.Namespace {
		return Rejected
	}
	if e.Type == event.TypeErase {
		return outcome(v.state.erase(e.Time))
	}
	if v.state.Erased != 0 {
		return Unchanged
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
		f.tierFacts(&e.TierFacts)
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
				put(&f, &s.Tier, Number(c.TierNum.V))
			}
			setNum(&f, &s.Docs, c.Documents)
			setNum(&f, &s.Expected, c.ExpectedDocs)
		}
	case event.TypeHealth:
		f.health(&e.HealthFacts)
	case event.TypeProof:
		f.proof(&e.ProofFacts)
	default:
		return Rejected
	}
	f.weigh()
	return outcome(f.changed)
}

func outcome(changed bool) Outcome {
	if changed {
		return Applied
	}
	return Unchanged
}

type folder struct {
	s       *State
	at      crdt.Stamp
	stored  int64
	changed bool

	grown  int   // the most by which the entries' weights grew
	apart  int   // the part of it that isn't the tier attempt's own
	stamps int32 // of the entry that is being changed
	tier   *Tier // whose attempt it is
}

func (f *folder) did(changed bool) { f.changed = f.changed || changed }

// entry starts the change of an entry, which existed or was just made.
func (f *folder) entry(stamps *int32, made bool) {
	f.did(made)
	if n := int32(f.at.Length()); n > *stamps {
		f.grown += int(n-*stamps) * mostStamps
		*stamps, f.changed = n, true
	}
	f.stamps = *stamps
	if made {
		f.grown += weightEntry + int(f.stamps)
	}
}

// stamped adds the weight of a field that had no value before.
func (f *folder) stamped(before bool) {
	if !before {
		f.grown += int(f.stamps) + weightStamp + weightInt
	}
}

// weigh drops what there is no room for, if anything grew.
func (f *folder) weigh() {
	if f.grown == 0 {
		return
	}
	f.s.room -= room(f.grown)
	short := f.s.room < 0
	if t := f.tier; t != nil {
		t.room -= room(f.grown - f.apart)
		short = short || t.room < 0
	}
	if short {
		f.s.bound()
	}
}

// overflow forces weighing the view after this event, because a limit on a number was reached or a share changed.
func (f *folder) overflow() { f.grown += int(f.s.room) + 1 }

func setText[T interface {
	crdt.Sized
	~string
}](f *folder, r *crdt.Measured[T], o event.Opt[string]) {
	if !o.Set {
		return
	}
	f.stamped(r.Set)
	if by := r.Hear(T(o.V)); by > 0 {
		f.grown += by
		f.changed = true
	}
	if r.Wants(f.at, T(o.V)) {
		f.did(r.Put(f.at, T(strings.Clone(o.V))))
	}
}

func put[T crdt.Value](f *folder, r *crdt.Register[T], v T) {
	f.stamped(r.Set)
	f.did(r.Put(f.at, v))
}

func setNum(f *folder, r *crdt.Register[Number], o event.Opt[int64]) {
	if o.Set {
		put(f, r, Number(o.V))
	}
}

func setFlag(f *folder, r *crdt.Register[Flag], o event.Opt[bool]) {
	if o.Set {
		put(f, r, Flag(o.V))
	}
}

func setTime(f *folder, e *crdt.Earliest, o event.Opt[int64]) {
	if o.Set {
		f.stamped(e.T != 0)
		f.did(e.Put(o.V, f.at))
	}
}

func (f *folder) count(c *crdt.Counter, n int64) {
	f.stamped(c.Set)
	f.did(c.Say(n, f.at))
}

func (f *folder) point(s *crdt.Series, n int64, limit int) {
	before, shift := len(s.Points), s.Shift
	f.did(s.Add(f.at.Time, n, limit))
	if len(s.Points) > before || s.Shift != shift {
		f.grown += weightPoint
	}
}

func (f *folder) word(w *Words, word event.Word) {
	if word == event.WordNone {
		return
	}
	before := len(*w)
	f.did(w.Say(word, f.at))
	if len(*w) > before {
		f.stamped(false)
		f.stamped(false)
	}
}

func (f *folder) span(first *crdt.Stamp, last *int64) {
	f.stamped(!first.IsZero())
	f.did(crdt.Widen(first, last, f.at))
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
	if a == nil {
		f.did(made)
		return
	}
	f.entry(&a.Stamps, made)
	f.span(&a.First, &a.Last)
	f.word(&a.Words, b.Status)
	setTime(f, &a.Submitted, b.SubmittedAt)
	setTime(f, &a.Started, b.StartedAt)
	setNum(f, &a.Completed, b.CompletedAt)
	setText(f, &a.Err, b.Error)
	setText(f, &a.ErrType, b.ErrorType)
}

func (f *folder) plan(p *event.TierPlan) {
	if t, made := f.s.tier(p.TierNum); t != nil {
		f.entry(&t.Stamps, made)
		setFlag(f, &t.PlanGPU, p.RequiresGPU)
		setNum(f, &t.PlanTotal, p.TotalDocs)
	}
	for i := range p.Collections {
		c := &p.Collections[i]
		if s := f.collection(c.ID); s != nil {
			put(f, &s.Tier, Number(p.TierNum))
			setText(f, &s.Name, c.Name)
			setNum(f, &s.Expected, c.ExpectedDocs)
		}
	}
}

func (f *folder) tierAttempt(tierNum, attempt int32) *TierAttempt {
	t, made := f.s.tier(tierNum)
	if t == nil {
		return nil
	}
	f.entry(&t.Stamps, made)
	f.apart, f.tier = f.grown, t
	if made {
		t.room = room(stateBudgets.tierAttempts)
	}
	f.storedLast(&t.LastStored)
	floor := t.AttemptsFloor
	a, made := t.attempt(attempt)
	if floor == 0 && t.AttemptsFloor != 0 {
		f.overflow()
	}
	if a == nil {
		f.did(made)
		return nil
	}
	f.entry(&a.Stamps, made)
	f.span(&a.First, &a.Last)
	return a
}

func (f *folder) tierFacts(t *event.TierFacts) {
	a := f.tierAttempt(t.TierNum, t.Attempt)
	if a == nil {
		return
	}
	f.word(&a.Words, t.Status)
	setTime(f, &a.Started, t.StartedAt)
	setNum(f, &a.Completed, t.CompletedAt)
	setText(f, &a.TaskID, t.TaskID)
	setFlag(f, &a.GPU, t.RequiresGPU)
	setNum(f, &a.Total, t.Total)
	setText(f, &a.Err, t.Error)
	setText(f, &a.ErrType, t.ErrorType)
	f.counters(a, t)
	for i := range t.Errors {
		f.errorFact(a, &t.Errors[i], t.Worker)
	}
}

// begins is called when a tier gets an entry of a kind. If it is the first one, the shares of all tiers change.
func (f *folder) begins(kind int) {
	if f.tier.number(kind) > 1 {
		return
	}
	if f.s.fresh--; f.s.fresh < 0 {
		f.overflow()
	}
}

func (f *folder) errorFact(a *TierAttempt, e *event.ErrorFact, worker string) {
	own := f.grown
	s, made := f.tier.errorAt(a, ErrorKey{e.ErrorType, e.Component, e.Stage, e.Message})
	if s == nil {
		f.did(made)
		return
	}
	f.entry(&s.Stamps, made)
	if made {
		f.grown += s.Key.length()
		f.begins(kindErrors)
	}
	if e.Affected.Set {
		f.affects(s, worker, e.Affected.V)
	}
	for _, id := range e.DocIDs {
		n, most := len(s.Docs), s.DocsMost
		f.did(s.document(id))
		f.grown += len(s.Docs)*(int(s.DocsMost)+weightLen) - n*(int(most)+weightLen)
	}
	setText(f, &s.Suggestion, e.Suggestion)
	f.apart += f.grown - own
}

// affects folds the number of documents that an error affected, reported for the whole tier or by one worker.
func (f *folder) affects(e *ErrorState, worker string, n int64) {
	switch {
	case worker == "":
		f.did(n > e.Affected)
		e.Affected = max(e.Affected, n)
	case n > 0:
		cut, before, most := e.WorkersCut.Set, len(e.Workers), e.WorkersMost
		x, changed := e.worker(worker)
		f.did(changed)
		if x != nil && n > x.Affected {
			x.Affected, f.changed = n, true
		}
		if most != e.WorkersMost || len(e.Workers) > before {
			f.grown += (int(e.WorkersMost)+weightLen+weightInt)*(len(e.Workers)+1) - (int(most)+weightLen+weightInt)*before
		}
		if !cut && e.WorkersCut.Set {
			f.overflow()
		}
	}
}

func (f *folder) job(j *event.JobFacts) {
	if j.Waiting.Set && !f.s.WaitingSaid {
		f.s.WaitingSaid, f.changed = true, true
	}
	cut := f.s.JobsCut.Set
	s, made := f.s.job(JobKey{event.DecodeID(j.SubmissionID), j.Cluster.V, j.Run.V})
	if !cut && f.s.JobsCut.Set {
		f.overflow()
	}
	if s == nil {
		f.did(made)
		return
	}
	f.entry(&s.Stamps, made)
	if made {
		f.grown += len(s.ID) + len(s.Cluster) + len(s.Run)
	}
	f.span(&s.First, &s.Last)
	f.storedLast(&s.LastStored)
	put(f, &s.Tier, Number(j.TierNum))
	if j.SubmittedAt.Set && j.SubmittedAt.V > s.SubmittedLatest {
		s.SubmittedLatest, f.changed = j.SubmittedAt.V, true
	}
	if j.Attempt.Set && j.Attempt.V > s.Attempt {
		s.Attempt, f.changed = j.Attempt.V, true
	}
	f.word(&s.Words, j.Status)
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
		f.count(&s.Processed, j.Processed.V)
		f.point(&s.Series, j.Processed.V, maxSeriesPoints)
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

func (f *folder) waiting(r *crdt.Measured[Waiting], w event.Waiting) {
	f.stamped(r.Set)
	if by := r.Hear(Waiting(w)); by > 0 {
		f.grown += by
		f.changed = true
	}
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
	own := f.grown
	st, made := f.tier.stageAt(a, StageKey{s.Stage, s.Component, s.Worker})
	if st == nil {
		f.did(made)
		return
	}
	f.entry(&st.Stamps, made)
	if made {
		f.grown += len(s.Stage) + len(s.Component) + len(s.Worker)
		f.begins(kindStages)
	}
	if s.Count.Set {
		f.count(&st.Count, s.Count.V)
		f.did(st.least(s.Count.V))
	}
	setText(f, &st.Unit, s.Unit)
	if s.TotalMS.Set && s.TotalMS.V > st.TotalMS {
		st.TotalMS, f.changed = s.TotalMS.V, true
	}
	if s.MaxMS.Set && s.MaxMS.V > st.MaxMS {
		st.MaxMS, f.changed = s.MaxMS.V, true
	}
	buckets := len(st.Buckets)
	for _, b := range s.Buckets {
		f.did(st.bucket(b))
	}
	f.grown += (len(st.Buckets) - buckets) * 2 * weightInt
	f.apart += f.grown - own
}

func (f *folder) collection(id string) *Collection {
	cut := f.s.CollectionsCut.Set
	c, made := f.s.collection(event.DecodeID(id))
	if !cut && f.s.CollectionsCut.Set {
		f.overflow()
	}
	if c == nil {
		f.did(made)
		return nil
	}
	f.entry(&c.Stamps, made)
	if made {
		f.grown += len(c.ID)
	}
	return c
}

func (f *folder) health(h *event.HealthFacts) {
	a, made := f.s.announcement(h.Ordinal)
	if a == nil {
		f.did(made)
		return
	}
	f.entry(&a.Stamps, made)
	said := Announced{
		From: h.From, To: h.To, Reason: h.BlockedReason, AsOf: h.AsOf, StuckSeconds: h.StuckSeconds.V, ChangedJSON: h.ChangedJSON,
		CauseFrom: h.CauseFrom, CauseTo: h.CauseTo,
	}
	f.stamped(a.Said.Set)
	if by := a.Said.Hear(said); by > 0 {
		f.grown += by
		f.changed = true
	}
	said.Reason, said.ChangedJSON = strings.Clone(said.Reason), strings.Clone(said.ChangedJSON)
	said.CauseFrom, said.CauseTo = cloneOpt(said.CauseFrom), cloneOpt(said.CauseTo)
	f.did(a.Said.Put(f.at, said))
}

func cloneOpt(o event.Opt[string]) event.Opt[string] {
	return event.Opt[string]{V: strings.Clone(o.V), Set: o.Set}
}
