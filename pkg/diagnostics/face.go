package diagnostics

import (
	"time"

	"github.com/headwayhq/headway/pkg/diagnostics/internal/answer"
	"github.com/headwayhq/headway/pkg/diagnostics/internal/crdt"
	"github.com/headwayhq/headway/pkg/diagnostics/internal/judge"
	"github.com/headwayhq/headway/pkg/diagnostics/internal/view"
)

// Derived is what follows from a view alone, at any moment: made once, it answers everything that is asked of the view.
// The view must not change meanwhile. Safe for concurrent use.
type Derived struct{ d *judge.Derived }

// Derive prepares the answers about v.
func Derive(v *view.View) Derived { return Derived{judge.Derive(v)} }

// Finished reports whether the batch has reached a terminal status.
func (d Derived) Finished() bool { return d.d.Finished() }

// Assess judges the batch at asOf: only one that is PROCESSING can be stuck or scaling.
func (d Derived) Assess(asOf time.Time, p judge.Policy) judge.Verdict {
	return d.d.Assess(asOf.UnixNano(), p)
}

// Due says what the detector has to publish at asOf.
func (d Derived) Due(asOf time.Time, p judge.Policy) (judge.Publication, bool) {
	return d.d.Due(d.d.Judge(p), asOf.UnixNano(), p)
}

// NextCheck is the earliest moment from asOf on at which, with no new event, the verdict changes or
// something falls due to be published; asOf itself when something is due already. ok is false when no
// such moment will ever come.
func (d Derived) NextCheck(asOf time.Time, p judge.Policy) (at time.Time, ok bool) {
	return d.d.NextCheck(asOf.UnixNano(), p)
}

// Row gives the batch's row in lists.
func (d Derived) Row() answer.Row { return answer.NewRow(d.d) }

// Render gives the public answer at asOf.
func (d Derived) Render(asOf time.Time, p judge.Policy, m answer.Meta) answer.Snapshot {
	return answer.Render(d.d, asOf, p, m)
}

// Explain derives the verdict at asOf again, telling each step.
func (d Derived) Explain(asOf time.Time, p judge.Policy, m answer.Meta) answer.Explanation {
	return answer.Explain(d.d, asOf, p, m)
}

// Summary is what is stored beside a view when it is committed.
type Summary struct {
	Row   answer.Row
	Check time.Time // as NextCheck; zero where no check will ever be due
}

// Summarize gives a view's row and its next check, deriving once.
func Summarize(v *view.View, asOf time.Time, p judge.Policy) Summary {
	d := Derive(v)
	at, _ := d.NextCheck(asOf, p)
	return Summary{Row: d.Row(), Check: at}
}

// The functions below ask one thing of a view. Who asks more uses Derive.

// Assess is Derived.Assess.
func Assess(v *view.View, asOf time.Time, p judge.Policy) judge.Verdict {
	return Derive(v).Assess(asOf, p)
}

// Due is Derived.Due.
func Due(v *view.View, asOf time.Time, p judge.Policy) (judge.Publication, bool) {
	return Derive(v).Due(asOf, p)
}

// NextCheck is Derived.NextCheck.
func NextCheck(v *view.View, asOf time.Time, p judge.Policy) (at time.Time, ok bool) {
	return Derive(v).NextCheck(asOf, p)
}

// NewRow is Derived.Row.
func NewRow(v *view.View) answer.Row { return Derive(v).Row() }

// Render is Derived.Render.
func Render(v *view.View, asOf time.Time, p judge.Policy, m answer.Meta) answer.Snapshot {
	return Derive(v).Render(asOf, p, m)
}

// Explain is Derived.Explain.
func Explain(v *view.View, asOf time.Time, p judge.Policy, m answer.Meta) answer.Explanation {
	return Derive(v).Explain(asOf, p, m)
}

// Stamp orders what events say of one field: by time, then source, then id.
type Stamp = crdt.Stamp
