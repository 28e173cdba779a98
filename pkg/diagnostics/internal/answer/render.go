package answer

import (
	"cmp"
	"encoding/json"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/headwayhq/headway/pkg/diagnostics/internal/cause"
	"github.com/headwayhq/headway/pkg/diagnostics/internal/crdt"
	"github.com/headwayhq/headway/pkg/diagnostics/internal/event"
	"github.com/headwayhq/headway/pkg/diagnostics/internal/judge"
	"github.com/headwayhq/headway/pkg/diagnostics/internal/view"
)

// Meta is what the surroundings know of a view when it is rendered.
type Meta struct {
	RevisionID string        // <stream identity>-<fold version>-<sequence>
	Lag        time.Duration // how far the watermark is behind the present
	Page       *Page         // which tiers and collections to show; nil: all
	LinkHosts  []string      // hosts to which links may lead; none: all
	Past       *Past         // of an answer about a past moment; nil: nothing to say
}

// Render gives the public answer at asOf, and the moment from which on it says something else, apart from running times, if no
// event comes; zero if there is no such moment.
func Render(d *judge.Derived, asOf time.Time, p judge.Policy, m Meta) (Snapshot, time.Time) {
	r := newRenderer(d, asOf, p)
	r.hosts = m.LinkHosts
	s := Snapshot{
		BatchID: d.View.BatchID(), BatchName: d.BatchName(), Status: d.StatusText(), BucketID: string(d.State.BucketID.V),
		CurrentTier: d.CurrentTier(), TotalTiers: d.TotalTiers, OverallProgress: d.OverallProgress(),
		CreatedAt: r.instant(d.State.Created.T), SubmittedAt: r.instant(d.Submitted()),
		StartedAt: r.instant(d.Start), CompletedAt: r.instant(d.End),
		DurationSeconds: r.duration(d.Start, r.end()),
		Collections:     r.collections(), Insights: []Insight{},
		HasFailures: d.HasFailures, FailedTierCount: d.FailedTiers, TotalObjects: int64(d.State.TotalObj.V),
		LastActivityAt: r.instant(d.State.Last), FailedDocumentsSample: []string{}, Errors: []ErrorDiagnostic{},
		Pipeline: optText(d.State.Pipeline), Owner: optText(d.State.Owner), RetryOf: optText(d.State.RetryOf),
		Labels: judge.Raw(string(d.State.Labels.V)), Attempt: int(d.Attempt),
		View: viewInfo(d, m, r.asOf), At: m.Past,
	}
	if d.Batch != nil {
		s.Error, s.ErrorType = optText(d.Batch.Err), optText(d.Batch.ErrType)
	}
	verdict := r.cases.Verdict(r.asOf)
	s.Health, s.HealthEvidence = verdict.Health, verdict.Evidence
	if verdict.BlockedReason != "" {
		s.BlockedReason = &verdict.BlockedReason
	}
	if s.ETA = r.eta(verdict.Health); s.ETA != nil {
		s.EstimatedCompletion = &s.ETA.P50
	}
	if verdict.Health == event.HealthStuck {
		s.StuckSeconds = &verdict.StuckSeconds
	}
	r.errors(&s)
	r.page(&s, m.Page)
	s.Timeline = r.timeline()
	s.Insights = r.insights()
	s.FailureCategory = failureCategory(d)
	s.Cause = r.cases.Show(verdict.Cause)
	s.Doubts, s.Messages = []cause.Cause{}, []cause.Message{}
	if verdict.Cause != nil {
		s.Messages = append(s.Messages, r.cases.Message(verdict.Cause))
	}
	doubts := r.cases.Doubts()
	for i := range doubts {
		if f := &doubts[i]; f.Said(r.asOf) {
			s.Doubts = append(s.Doubts, *r.cases.Show(f))
			s.Messages = append(s.Messages, r.cases.Message(f))
		}
	}
	next := r.nextActions(verdict, &s)
	s.Messages = append(s.Messages, next...)
	s.NextActions = make([]string, 0, len(next))
	for _, m := range next {
		s.NextActions = append(s.NextActions, m.Text)
	}
	s.Actions = r.actions(verdict)
	if d.Status.Rank() == event.RankTerminal {
		s.PerformanceSummary = r.performance()
	}
	return s, r.next(s.ETA)
}

// Next is the earliest moment after asOf at which anything in the answer changes, apart from running times; zero if there is none.
func Next(d *judge.Derived, asOf time.Time, p judge.Policy) time.Time {
	r := newRenderer(d, asOf, p)
	r.brief = true
	return r.next(r.eta(r.cases.Verdict(r.asOf).Health))
}

func (r *renderer) next(e *ETA) time.Time {
	moments := r.cases.AnswerBoundaries(r.asOf)
	if e != nil {
		moments = append(moments, e.P50.UnixNano()+1, e.P90.UnixNano()+1)
	}
	next := int64(0)
	for _, t := range moments {
		if t > r.asOf && (next == 0 || t < next) {
			next = t
		}
	}
	if next == 0 {
		return time.Time{}
	}
	return time.Unix(0, next).UTC()
}

func viewInfo(d *judge.Derived, m Meta, asOf int64) ViewInfo {
	return ViewInfo{
		ID: m.RevisionID, Revision: d.View.Revision, AsOf: time.Unix(0, asOf).UTC(), LagSeconds: m.Lag.Seconds(),
		Incomplete: d.View.Incomplete, Truncated: d.Truncated(), LeftOut: d.LeftOut(),
	}
}

// page fills in the tiers, and cuts them and the collections down to what was asked for.
func (r *renderer) page(s *Snapshot, p *Page) {
	tiers := r.d.Tiers
	if p != nil {
		page := *p
		tiers = window(tiers, &page.Tiers)
		s.Collections = window(s.Collections, &page.Collections)
		s.Page = &page
	}
	s.Tiers = make([]TierDiagnostic, 0, len(tiers))
	for _, t := range tiers {
		s.Tiers = append(s.Tiers, r.tier(t))
	}
}

func window[T any](all []T, w *Window) []T {
	w.Total = len(all)
	from := min(max(0, w.Offset), len(all))
	to := len(all)
	if w.Limit > 0 {
		to = min(to, from+w.Limit)
	}
	return all[from:to]
}

type renderer struct {
	d    *judge.Derived
	asOf int64
	p    judge.Policy

	brief bool // of an estimate only its moments are needed

	times   slab[time.Time]
	seconds slab[float64]

	hosts []string // Meta.LinkHosts
	cases *judge.Cases
	tiers map[*judge.Tier]*judge.Finding // the cause of each tier that has one
	jobs  map[*judge.Job]*judge.Finding  // and of each job
	drawn []found
}

func newRenderer(d *judge.Derived, asOf time.Time, p judge.Policy) *renderer {
	r := &renderer{d: d, asOf: asOf.UnixNano(), p: p, cases: d.Judge(p)}
	r.tiers, r.jobs = r.cases.Parts(r.asOf)
	return r
}

// end is the batch's end; of one whose end has no known time, its latest event. 0 while it goes on.
func (r *renderer) end() int64 {
	if r.d.Finished() {
		return cmp.Or(r.d.End, r.d.State.Last)
	}
	return r.d.End
}

// duration is end − start, or asOf − start while there is no end; never negative.
func (r *renderer) duration(start, end int64) *float64 {
	if start == 0 {
		return nil
	}
	return r.seconds.put(r.between(start, end))
}

// between is the same of a start that is known.
func (r *renderer) between(start, end int64) float64 {
	if end == 0 {
		end = r.asOf
	}
	return judge.Seconds(max(0, end-start))
}

// instant is a time for the answer; nil for 0.
func (r *renderer) instant(ns int64) *time.Time {
	if ns == 0 {
		return nil
	}
	return r.times.put(judge.At(ns))
}

// slab allocates values many at a time.
type slab[T any] struct{ free []T }

func (s *slab[T]) put(v T) *T {
	if len(s.free) == 0 {
		s.free = make([]T, 32)
	}
	p := &s.free[0]
	s.free = s.free[1:]
	*p = v
	return p
}

func (r *renderer) tier(t *judge.Tier) TierDiagnostic {
	o := TierDiagnostic{
		TierNum: int(t.Num), Status: t.Status.String(), Progress: shownProgress(t), RequiresGPU: t.GPU.Ptr(),
		StartedAt: r.instant(t.Start), CompletedAt: r.instant(t.End), Attempt: int(t.Attempt),
		Cause: r.cases.Show(r.tiers[t]), FailedDocuments: t.Failed, SubmissionParams: judge.Raw(""), Series: points(crdt.Series{}),
		Jobs: make([]JobDiagnostic, 0, len(t.Jobs)),
	}
	stop := t.End
	if stop == 0 {
		stop = r.d.End
	}
	o.DurationSeconds = r.duration(t.Start, stop)
	if a := t.AttemptState; a != nil {
		o.TaskID, o.Error, o.ErrorType = optText(a.TaskID), optText(a.Err), optText(a.ErrType)
		o.Counts = funnel(t.Own)
		o.Series = points(t.Own.Series)
	}
	if !r.still(t) {
		o.ThroughputDocsPerSecond = throughput(t)
	}
	for _, j := range t.Jobs {
		o.Jobs = append(o.Jobs, r.job(j))
	}
	slices.SortStableFunc(o.Jobs, func(a, b JobDiagnostic) int {
		return compareTimes(a.SubmittedAt, b.SubmittedAt)
	})
	if j := t.Deciding(); j != nil {
		status := j.Status.String()
		o.RayJobID, o.RayJobStatus = &j.State.ID, &status
		o.RayDashboardURL = r.dashboardURL(j.State)
		o.SubmissionParams = judge.Raw(string(j.State.Params.V))
		o.QueueSeconds = r.queue(j)
		if o.Error == nil && (j.Status == event.WordFailed || j.Status == event.WordStopped) {
			o.Error, o.ErrorType = optText(j.State.Message), optText(j.State.ErrType)
		}
	}
	return o
}

// throughput is the tier's pace up to its end or its last progress, so it doesn't sink with time. It is nil without enough data.
func throughput(t *judge.Tier) *float64 {
	end := t.End
	if end == 0 {
		end = t.Moved.Time
	}
	if t.Start == 0 {
		return nil
	}
	return rateOf(t.Processed, end-t.Start)
}

// rateOf is documents per second; nil for too few documents or too short a time.
func rateOf(docs, took int64) *float64 {
	if took < leastPaceSpan || docs < leastPaceDocs {
		return nil
	}
	rate := round(float64(docs) / judge.Seconds(took))
	return &rate
}

// The least data for a pace.
const (
	leastPaceSpan = int64(10 * time.Second)
	leastPaceDocs = 20
)

// still reports that an open tier has made no progress, or sent nothing, for longer than its rhythm allows.
func (r *renderer) still(t *judge.Tier) bool {
	j := r.cases.Of(t)
	return j != nil && (r.asOf > j.Quiet || r.asOf > j.Paused || j.Stuck(r.asOf) != nil)
}

func compareTimes(a, b *time.Time) int {
	switch {
	case a == nil && b == nil:
		return 0
	case a == nil:
		return 1
	case b == nil:
		return -1
	}
	return a.Compare(*b)
}

func funnel(own *view.Tally) *FunnelCounts {
	said := false
	var n [event.CountKinds]*int64
	for i := range own.Counts {
		if c := &own.Counts[i]; c.Set {
			said = true
			n[i] = &c.N
		}
	}
	if !said {
		return nil
	}
	return &FunnelCounts{Fetched: n[0], AfterFilter: n[1], MissingInputs: n[2], Submitted: n[3], Written: n[4]}
}

func points(s crdt.Series) Series {
	out := Series{WidthSeconds: s.Width(), Points: make([][2]int64, 0, len(s.Points))}
	for _, p := range s.Points {
		out.Points = append(out.Points, [2]int64{p.Bucket << s.Shift, p.N})
	}
	return out
}

// jobEnd is a job's end; of one whose end wasn't said, that of its batch, unless it is known to run on. 0 while it goes on.
func (r *renderer) jobEnd(j *judge.Job) int64 {
	if f := r.jobs[j]; j.End != 0 || !r.d.Finished() || f != nil && f.Row.Code == cause.RunsOn {
		return j.End
	}
	return max(r.end(), j.Start)
}

// queue is the job's RUNNING start − submission; while it waits, up to asOf.
func (r *renderer) queue(j *judge.Job) *float64 {
	end := j.Start
	if end == 0 {
		if j.Status.Rank() == event.RankTerminal {
			return nil
		}
		end = r.jobEnd(j)
	}
	return r.duration(j.Submitted, end)
}

func (r *renderer) job(j *judge.Job) JobDiagnostic {
	s := j.State
	o := JobDiagnostic{
		RayJobID: s.ID, JobID: optText(s.JobID), Attempt: int(j.Attempt), Extractor: optText(s.Extractor),
		Collections: []string{}, Status: j.Status.String(), Superseded: j.Superseded,
		SubmittedAt: r.instant(j.Submitted), StartedAt: r.instant(j.Start), EndedAt: r.instant(j.End),
		QueueSeconds: r.queue(j), DurationSeconds: r.duration(j.Start, r.jobEnd(j)),
		Progress: Progress{ProcessedDocuments: s.Processed.N, TotalDocuments: int64(s.Total.V)},
		Message:  optText(s.Message), ErrorType: optText(s.ErrType), DashboardURL: r.dashboardURL(s),
		Resources: judge.Raw(string(s.Resources.V)), Cluster: orNull(s.Cluster), Session: optText(s.Session),
		Cause: r.cases.Show(r.jobs[j]),
	}
	if s.Collections.Set {
		_ = json.Unmarshal([]byte(s.Collections.V), &o.Collections) // was canonical when it was folded
	}
	if s.ExitCode.Set {
		n := int64(s.ExitCode.V)
		o.ExitCode = &n
	}
	if s.Total.Set {
		o.Progress.ProcessedDocuments = min(s.Processed.N, o.Progress.TotalDocuments)
		if s.Total.V > 0 {
			exact := float64(o.Progress.ProcessedDocuments) * 100 / float64(s.Total.V)
			o.Progress.Percentage = judge.Percent(exact, j.Status == event.WordSucceeded)
		}
	}
	if w, _, ok := j.WaitingOn(); ok {
		o.WaitingOn = judge.Describe(w)
	}
	o.Phases, o.Proofs = r.phases(j), proofInfos(r.d.Proofs(j))
	return o
}

func (r *renderer) phases(j *judge.Job) []JobPhase {
	all := j.Phases()
	out := make([]JobPhase, 0, len(all))
	for _, p := range all {
		switch {
		case p.From > r.asOf && len(out) > 0 && j.Start == 0: // it begins later
			return out
		case p.To > r.asOf && j.Start == 0:
			p.To = 0
		}
		if p.To == 0 && r.d.End != 0 { // its end wasn't reported
			p.To = max(p.From, r.d.End)
		}
		out = append(out, JobPhase{p.Kind.String(), judge.At(p.From), r.instant(p.To), r.between(p.From, p.To)})
	}
	return out
}

// dashboardURL is the job's own address, or one made from the policy's template; null if it isn't to be followed.
func (r *renderer) dashboardURL(j *view.Job) *string {
	link := string(j.URL.V)
	if link == "" && r.p.DashboardURL != "" {
		link = strings.NewReplacer("{cluster}", url.PathEscape(j.Cluster), "{submission_id}", url.PathEscape(j.ID),
			"{job_id}", url.PathEscape(string(j.JobID.V))).Replace(r.p.DashboardURL)
	}
	if !r.follows(link) {
		return nil
	}
	return orNull(link)
}

// follows reports whether people may be offered a link: of http or https, without a user, which makes one host look like another, and
// to a host in the list if there is one.
func (r *renderer) follows(link string) bool {
	if !judge.IsHTTP(link) {
		return false
	}
	u, err := url.Parse(link)
	if err != nil || u.Hostname() == "" || u.User != nil || cause.Clean(link) != link {
		return false
	}
	return len(r.hosts) == 0 || slices.ContainsFunc(r.hosts, func(host string) bool {
		return strings.EqualFold(host, u.Hostname()) || strings.EqualFold(host, u.Host)
	})
}

func (r *renderer) collections() []CollectionDiagnostic {
	out := make([]CollectionDiagnostic, 0, len(r.d.State.Collections))
	over := r.d.Status.Rank() == event.RankTerminal
	for _, c := range r.d.State.Collections {
		o := CollectionDiagnostic{
			CollectionID: c.ID, CollectionName: c.ID, Status: "empty", DocumentCount: int64(c.Docs.V),
		}
		if c.Name.Set && c.Name.V != "" {
			o.CollectionName = string(c.Name.V)
		}
		if c.Expected.Set {
			n := int64(c.Expected.V)
			o.ExpectedDocuments = &n
		}
		var t *judge.Tier
		if c.Tier.Set {
			n := int(c.Tier.V)
			o.TierNum = &n
			t = r.d.TierAt(int32(n))
		}
		switch {
		case o.DocumentCount > 0 && (over || t != nil && t.Status.Rank() == event.RankTerminal):
			o.Status = "ready"
		case o.DocumentCount > 0 || t != nil && t.Status == event.WordProcessing:
			o.Status = "processing"
		}
		out = append(out, o)
	}
	slices.SortStableFunc(out, func(a, b CollectionDiagnostic) int { return tierOf(a) - tierOf(b) })
	return out
}

func tierOf(c CollectionDiagnostic) int {
	if c.TierNum == nil {
		return 1 << 20 // jobs without a known tier come last
	}
	return *c.TierNum
}

func (r *renderer) errors(s *Snapshot) {
	for _, t := range r.d.Tiers {
		if t.AttemptState == nil {
			continue
		}
		for _, e := range t.AttemptState.Errors {
			s.Errors = append(s.Errors, ErrorDiagnostic{
				TierNum: int(t.Num), ErrorType: e.Key.ErrType, Message: cause.Clean(e.Key.Message), Component: e.Key.Component,
				Stage: e.Key.Stage, AffectedCount: e.Total(), AffectedDocumentIDs: append([]string{}, e.Docs...),
				RecoverySuggestion: optText(e.Suggestion),
			})
			for _, id := range e.Docs {
				if len(s.FailedDocumentsSample) < maxFailedSample && !slices.Contains(s.FailedDocumentsSample, id) {
					s.FailedDocumentsSample = append(s.FailedDocumentsSample, id)
				}
			}
		}
	}
}

const maxFailedSample = 10

func optText[T interface {
	crdt.Value
	~string
	Length() int
}](r crdt.Measured[T],
) *string {
	if !r.Set {
		return nil
	}
	s := cause.Clean(string(r.V))
	return &s
}

// orNull is nil for a text that wasn't reported.
func orNull(text string) *string {
	if text == "" {
		return nil
	}
	kept := text // only here, because a parameter would be allocated for "" too
	return &kept
}

// count is a number with its noun.
func count[T int | int64](n T, noun string) string { return cause.Count(n, noun) }

// shownProgress is the progress as shown: clamped to the total, COMPLETED 100, else at most 99.99.
func shownProgress(t *judge.Tier) Progress {
	p := Progress{ProcessedDocuments: t.Processed, TotalDocuments: t.Total}
	if t.TotalKnown {
		p.ProcessedDocuments = min(t.Processed, t.Total)
	}
	p.Percentage = judge.Percent(t.Exact(), t.Status == event.WordCompleted)
	return p
}
