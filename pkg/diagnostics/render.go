package diagnostics

import (
	"encoding/json"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/headwayhq/headway/pkg/diagnostics/internal/crdt"
	"github.com/headwayhq/headway/pkg/diagnostics/internal/event"
)

// Meta is what the surroundings know of a view when it is rendered.
type Meta struct {
	RevisionID string        // <stream identity>-<fold version>-<sequence>
	Lag        time.Duration // how far the watermark is behind the present
	Page       *Page         // which tiers and collections to show; nil: all
}

// render gives the public answer at asOf.
func render(d *derived, asOf time.Time, p Policy, m Meta) Snapshot {
	r := newRenderer(d, asOf, p)
	s := Snapshot{
		BatchID: d.v.Batch, BatchName: d.batchName(), Status: d.statusText(), BucketID: string(d.s.bucketID.V),
		CurrentTier: d.currentTier(), TotalTiers: d.totalTiers, OverallProgress: d.overallProgress(),
		CreatedAt: instant(d.s.created.T), SubmittedAt: instant(d.submitted()),
		StartedAt: instant(d.start), CompletedAt: instant(d.end),
		DurationSeconds: r.duration(d.start, d.end),
		Collections:     r.collections(), Insights: []Insight{},
		HasFailures: d.hasFailures, FailedTierCount: d.failedTiers, TotalObjects: int64(d.s.totalObj.V),
		LastActivityAt: instant(d.s.last), FailedDocumentsSample: []string{}, Errors: []ErrorDiagnostic{},
		Pipeline: optText(d.s.pipeline), Owner: optText(d.s.owner), RetryOf: optText(d.s.retryOf),
		Labels: raw(string(d.s.labels.V)), Attempt: int(d.attempt),
		View: viewInfo(d, m, r.asOf),
	}
	if d.batch != nil {
		s.Error, s.ErrorType = optText(d.batch.err), optText(d.batch.errType)
	}
	verdict := d.verdict(r.cases, r.asOf, p)
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
	s.NextActions = r.nextActions(verdict, &s)
	s.Actions = r.actions(verdict)
	if d.status.Rank() == event.RankTerminal {
		s.PerformanceSummary = r.performance()
	}
	return s
}

func viewInfo(d *derived, m Meta, asOf int64) ViewInfo {
	return ViewInfo{
		ID: m.RevisionID, Revision: d.v.Revision, AsOf: time.Unix(0, asOf).UTC(), LagSeconds: m.Lag.Seconds(),
		Incomplete: d.v.Incomplete, Truncated: d.truncated(),
	}
}

// page fills in the tiers, and cuts them and the collections down to what was asked for.
func (r *renderer) page(s *Snapshot, p *Page) {
	tiers := r.d.tiers
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
	d    *derived
	asOf int64
	p    Policy

	cases []judgement
}

func newRenderer(d *derived, asOf time.Time, p Policy) *renderer {
	return &renderer{d: d, asOf: asOf.UnixNano(), p: p, cases: d.judge(p)}
}

// duration is end − start, or asOf − start while there is no end; never negative.
func (r *renderer) duration(start, end int64) *float64 {
	if start == 0 {
		return nil
	}
	if end == 0 {
		end = r.asOf
	}
	s := seconds(max(0, end-start))
	return &s
}

func (r *renderer) tier(t *derivedTier) TierDiagnostic {
	o := TierDiagnostic{
		TierNum: int(t.num), Status: t.status.String(), Progress: shownProgress(t), RequiresGPU: t.gpu.Ptr(),
		StartedAt: instant(t.start), CompletedAt: instant(t.end), Attempt: int(t.attempt),
		FailedDocuments: t.failed, SubmissionParams: raw(""), Series: points(crdt.Series{}),
		Jobs: make([]JobDiagnostic, 0, len(t.jobs)),
	}
	stop := t.end
	if stop == 0 {
		stop = r.d.end
	}
	o.DurationSeconds = r.duration(t.start, stop)
	if a := t.a; a != nil {
		o.TaskID, o.Error, o.ErrorType = optText(a.taskID), optText(a.err), optText(a.errType)
		o.Counts = funnel(t.own)
		o.Series = points(t.own.series)
	}
	if d := o.DurationSeconds; d != nil && *d > 0 && t.processed > 0 {
		rate := round(float64(t.processed) / *d)
		o.ThroughputDocsPerSecond = &rate
	}
	for _, j := range t.jobs {
		o.Jobs = append(o.Jobs, r.job(j))
	}
	slices.SortStableFunc(o.Jobs, func(a, b JobDiagnostic) int {
		return compareTimes(a.SubmittedAt, b.SubmittedAt)
	})
	if j := t.deciding(); j != nil {
		status := j.status.String()
		o.RayJobID, o.RayJobStatus = &j.j.id, &status
		o.RayDashboardURL = r.dashboardURL(j.j)
		o.SubmissionParams = raw(string(j.j.params.V))
		o.QueueSeconds = r.queue(j)
		if o.Error == nil && (j.status == event.WordFailed || j.status == event.WordStopped) {
			o.Error, o.ErrorType = optText(j.j.message), optText(j.j.errType)
		}
	}
	return o
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

func funnel(own *tally) *FunnelCounts {
	said := false
	var n [event.CountKinds]*int64
	for i := range own.counts {
		if c := &own.counts[i]; c.Set {
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

// queue is the job's RUNNING start − submission; while it waits, up to asOf.
func (r *renderer) queue(j *derivedJob) *float64 {
	end := j.start
	if end == 0 && j.status.Rank() == event.RankTerminal {
		return nil
	}
	return r.duration(j.submitted, end)
}

func (r *renderer) job(j *derivedJob) JobDiagnostic {
	s := j.j
	o := JobDiagnostic{
		RayJobID: s.id, JobID: optText(s.jobID), Attempt: int(j.attempt), Extractor: optText(s.extractor),
		Collections: []string{}, Status: j.status.String(), Superseded: j.superseded,
		SubmittedAt: instant(j.submitted), StartedAt: instant(j.start), EndedAt: instant(j.end),
		QueueSeconds: r.queue(j), DurationSeconds: r.duration(j.start, j.end),
		Progress: Progress{ProcessedDocuments: s.processed.N, TotalDocuments: int64(s.total.V)},
		Message:  optText(s.message), ErrorType: optText(s.errType), DashboardURL: r.dashboardURL(s),
		Resources: raw(string(s.resources.V)), Cluster: optText(s.cluster), Session: optText(s.session),
	}
	if s.collections.Set {
		_ = json.Unmarshal([]byte(s.collections.V), &o.Collections) // was canonical when it was folded
	}
	if s.exitCode.Set {
		n := int64(s.exitCode.V)
		o.ExitCode = &n
	}
	if s.total.Set {
		o.Progress.ProcessedDocuments = min(s.processed.N, o.Progress.TotalDocuments)
		if s.total.V > 0 {
			exact := float64(o.Progress.ProcessedDocuments) * 100 / float64(s.total.V)
			o.Progress.Percentage = percent(exact, j.status == event.WordSucceeded)
		}
	}
	if w, _, ok := j.waitingOn(); ok {
		o.WaitingOn = waitingDiagnostic(w)
	}
	return o
}

// dashboardURL: as given, else built from the policy's template; http and https only.
func (r *renderer) dashboardURL(j *job) *string {
	link := string(j.url.V)
	if link == "" && r.p.DashboardURL != "" {
		link = strings.NewReplacer("{cluster}", url.PathEscape(string(j.cluster.V)), "{submission_id}", url.PathEscape(j.id),
			"{job_id}", url.PathEscape(string(j.jobID.V))).Replace(r.p.DashboardURL)
	}
	if !isHTTP(link) {
		return nil
	}
	return &link
}

func (r *renderer) collections() []CollectionDiagnostic {
	out := make([]CollectionDiagnostic, 0, len(r.d.s.collections))
	over := r.d.status.Rank() == event.RankTerminal
	for _, c := range r.d.s.collections {
		o := CollectionDiagnostic{
			CollectionID: c.id, CollectionName: c.id, Status: "empty", DocumentCount: int64(c.docs.V),
		}
		if c.name.Set && c.name.V != "" {
			o.CollectionName = string(c.name.V)
		}
		if c.expected.Set {
			n := int64(c.expected.V)
			o.ExpectedDocuments = &n
		}
		var t *derivedTier
		if c.tier.Set {
			n := int(c.tier.V)
			o.TierNum = &n
			t = r.d.tierAt(int32(n))
		}
		switch {
		case o.DocumentCount > 0 && (over || t != nil && t.status.Rank() == event.RankTerminal):
			o.Status = "ready"
		case o.DocumentCount > 0 || t != nil && t.status == event.WordProcessing:
			o.Status = "processing"
		}
		out = append(out, o)
	}
	slices.SortStableFunc(out, func(a, b CollectionDiagnostic) int { return tierOf(a) - tierOf(b) })
	return out
}

func tierOf(c CollectionDiagnostic) int {
	if c.TierNum == nil {
		return 1 << 20 // those of no known tier come last
	}
	return *c.TierNum
}

func (r *renderer) errors(s *Snapshot) {
	for _, t := range r.d.tiers {
		if t.a == nil {
			continue
		}
		for _, e := range t.a.errors {
			s.Errors = append(s.Errors, ErrorDiagnostic{
				TierNum: int(t.num), ErrorType: e.key.errType, Message: e.key.message, Component: e.key.component,
				Stage: e.key.stage, AffectedCount: e.total(), AffectedDocumentIDs: append([]string{}, e.docs...),
				RecoverySuggestion: optText(e.suggestion),
			})
			for _, id := range e.docs {
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
}](r crdt.Register[T],
) *string {
	if !r.Set {
		return nil
	}
	s := string(r.V)
	return &s
}

func tierName(n int32) string { return "tier " + strconv.Itoa(int(n)) }

// count is a number with its noun.
func count[T int | int64](n T, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return strconv.FormatInt(int64(n), 10) + " " + noun + "s"
}

// shownProgress is the progress as shown: clamped to the total, COMPLETED 100, else at most 99.99.
func shownProgress(t *derivedTier) Progress {
	p := Progress{ProcessedDocuments: t.processed, TotalDocuments: t.total}
	if t.totalKnown {
		p.ProcessedDocuments = min(t.processed, t.total)
	}
	p.Percentage = percent(t.exact(), t.status == event.WordCompleted)
	return p
}
