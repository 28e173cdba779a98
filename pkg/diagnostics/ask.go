package diagnostics

import (
	"time"

	"github.com/headwayhq/headway/pkg/diagnostics/internal/answer"
	"github.com/headwayhq/headway/pkg/diagnostics/internal/judge"
)

// Derived is what follows from a view alone, independent of the time. Derive it once to answer all questions about the view.
// The view must not change meanwhile. Safe for concurrent use.
type Derived struct{ d *judge.Derived }

// Derive prepares the answers about v.
func Derive(v *View) Derived { return Derived{judge.Derive(v)} }

// View is the view from which d follows. It must not be changed.
func (d Derived) View() *View { return d.d.View }

// Finished reports whether the batch has reached a terminal status.
func (d Derived) Finished() bool { return d.d.Finished() }

// Over reports that nothing more of the batch is awaited at asOf: it has finished, and no job of it is live any more, or its end
// was more than Policy.Grace ago.
func (d Derived) Over(asOf time.Time, p Policy) bool {
	return d.d.Finished() && d.d.Judge(p.For(d.d)).Over(asOf.UnixNano())
}

// Assess judges the batch at asOf: only one that is PROCESSING can be stuck or scaling.
func (d Derived) Assess(asOf time.Time, p Policy) Verdict {
	return d.d.Judge(p.For(d.d)).Verdict(asOf.UnixNano())
}

// Due says what the detector has to publish at asOf.
func (d Derived) Due(asOf time.Time, p Policy) (Publication, bool) {
	return d.d.Judge(p.For(d.d)).Due(asOf.UnixNano())
}

// NextCheck is the earliest moment from asOf on at which, with no new event, the verdict changes or
// something falls due to be published; asOf itself when something is due already. ok is false when no
// such moment will ever come.
func (d Derived) NextCheck(asOf time.Time, p Policy) (at time.Time, ok bool) {
	_, check := d.d.Judge(p.For(d.d)).Ahead(asOf.UnixNano())
	return timeOf(check), check != 0
}

// NextAnswer is the earliest moment after asOf at which, with no new event, anything in an answer other than its running times
// changes; ok is false if there is no such moment.
func (d Derived) NextAnswer(asOf time.Time, p Policy) (at time.Time, ok bool) {
	at = answer.Next(d.d, asOf, p.For(d.d))
	return at, !at.IsZero()
}

// AnswerHash identifies what an answer says, except its running times. body is a snapshot as its AppendJSON writes it, or some
// of its fields.
func AnswerHash(body []byte) uint64 { return answer.Hash(body) }

// PublicRow is the part of an encoded row that may be shown to everybody: how far the batch is, and no text of what happened in it.
func PublicRow(row []byte) ([]byte, error) { return answer.PublicRow(row) }

// Row returns the batch's row in lists at asOf.
func (d Derived) Row(asOf time.Time, p Policy) Row { return d.summarize(asOf, p).Row }

func (d Derived) summarize(asOf time.Time, p Policy) Summary {
	cases, at := d.d.Judge(p.For(d.d)), asOf.UnixNano()
	verdict, check := cases.Ahead(at)
	return Summary{Row: answer.NewRow(d.d, cases, at, verdict), Check: timeOf(check)}
}

// timeOf is a moment in nanoseconds; 0 is the zero time.
func timeOf(ns int64) time.Time {
	if ns == 0 {
		return time.Time{}
	}
	return time.Unix(0, ns).UTC()
}

// Render returns the public answer at asOf.
func (d Derived) Render(asOf time.Time, p Policy, m Meta) Snapshot {
	s, _ := answer.Render(d.d, asOf, p.For(d.d), m)
	return s
}

// RenderUntil is Render and NextAnswer at once; until is zero if there is no such moment.
func (d Derived) RenderUntil(asOf time.Time, p Policy, m Meta) (s Snapshot, until time.Time) {
	return answer.Render(d.d, asOf, p.For(d.d), m)
}

// Run is the batch as one of its pipeline's runs at asOf. It has the lowest tiers, at most so many.
func (d Derived) Run(asOf time.Time, p Policy, tiers int) Run {
	return answer.NewRun(d.d, asOf, p.For(d.d), tiers)
}

// Explain derives the verdict at asOf step by step.
func (d Derived) Explain(asOf time.Time, p Policy, m Meta) Explanation {
	return answer.Explain(d.d, asOf, p.For(d.d), m)
}

// Summary is what is stored beside a view when it is committed.
type Summary struct {
	Row   Row
	Check time.Time // the result of NextCheck; zero if no check will ever be due
}

// Summarize returns a view's row and its next check, deriving once.
func Summarize(v *View, asOf time.Time, p Policy) Summary {
	return Derive(v).summarize(asOf, p)
}

// The functions below answer one question about a view. Callers with several questions use Derive.

// Assess is Derived.Assess.
func Assess(v *View, asOf time.Time, p Policy) Verdict {
	return Derive(v).Assess(asOf, p)
}

// Due is Derived.Due.
func Due(v *View, asOf time.Time, p Policy) (Publication, bool) {
	return Derive(v).Due(asOf, p)
}

// NextCheck is Derived.NextCheck.
func NextCheck(v *View, asOf time.Time, p Policy) (at time.Time, ok bool) {
	return Derive(v).NextCheck(asOf, p)
}

// TierName says how far a batch is, as people count: "tier 2 of 3" for the tier 1, counted from zero. With the status COMPLETED it is
// the last one. Status is that of the batch, or "" for a tier by itself.
func TierName(n, total int, status string) string { return judge.TierName(n, total, status) }

// NewRow is Derived.Row.
func NewRow(v *View, asOf time.Time, p Policy) Row { return Derive(v).Row(asOf, p) }

// Render is Derived.Render.
func Render(v *View, asOf time.Time, p Policy, m Meta) Snapshot {
	return Derive(v).Render(asOf, p, m)
}

// Explain is Derived.Explain.
func Explain(v *View, asOf time.Time, p Policy, m Meta) Explanation {
	return Derive(v).Explain(asOf, p, m)
}
