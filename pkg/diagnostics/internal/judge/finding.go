package judge

import (
	"cmp"
	"strings"

	"github.com/headwayhq/headway/pkg/diagnostics/internal/cause"
	"github.com/headwayhq/headway/pkg/diagnostics/internal/crdt"
	"github.com/headwayhq/headway/pkg/diagnostics/internal/view"
)

// Finding is one cause that may be said, and when. It depends on no moment.
type Finding struct {
	Row       *cause.Row
	Certainty string
	Since     int64
	By        []crdt.Stamp // what it rests on

	Tier       *Tier
	Job        *Job
	Collection *view.Collection
	Source     string
	Waits      *view.Waiting // as a source said it

	From, Until int64 // it is said at From < asOf ≤ Until
	StuckAt     int64 // it makes its tier stuck once asOf > StuckAt
	OpenOnly    bool  // it is no cause, but forbids an all-clear
	Early       bool  // it is awaited: its time isn't over yet
	Failure     bool  // something failed by it
	timer       bool  // it follows from time alone
	heard       int64 // of a silence: when the last word was said, or came where a clock is off

	was    *view.Waiting // what a job waited for when it ended
	params cause.Params
}

// Said reports that the finding holds at a moment.
func (f *Finding) Said(asOf int64) bool { return f.From < asOf && asOf <= f.Until }

// Stuck reports that the finding makes its tier stuck at a moment.
func (f *Finding) Stuck(asOf int64) bool { return f.Said(asOf) && asOf > f.StuckAt }

// Helps tells whether waiting helps: yes, perhaps, no.
func (f *Finding) Helps() string { return cause.Helps(f.Row, f.Waits) }

// Plain reports a failure of which no more is known than that it failed, was stopped, or how many documents did.
func (f *Finding) Plain() bool {
	return f.Row.Code == cause.Failed || f.Row.Code == cause.Stopped || f.Row.Code == cause.DocumentsFailed
}

// Deadline is the moment after which it makes its tier stuck; ok is false where there is none.
func (f *Finding) Deadline() (at int64, ok bool) { return f.StuckAt, f.StuckAt != forever }

// early is the finding until it is said: no cause yet, but nobody may say that all is well.
func (f Finding) early() Finding {
	f.From, f.Until, f.OpenOnly, f.Early = -forever, f.From, true, true
	return f
}

func always(f Finding) Finding {
	f.From, f.Until = -forever, forever
	return f
}

var helpsOrder = map[string]int{cause.No: 0, cause.Perhaps: 1, cause.Yes: 2}

var certaintyOrder = map[string]int{cause.Known: 0, cause.Inferred: 1, cause.Unsure: 2}

// compare says who speaks: a source before a timer, what waiting can't fix first, what is surer, what lies deeper, what is
// older; then code and subject, so that it is always the same.
func (f *Finding) compare(o *Finding) int {
	return cmp.Or(cmp.Compare(rank(f.timer), rank(o.timer)), cmp.Compare(helpsOrder[f.Helps()], helpsOrder[o.Helps()]),
		cmp.Compare(certaintyOrder[f.Certainty], certaintyOrder[o.Certainty]), cmp.Compare(f.Row.Depth, o.Row.Depth),
		cmp.Compare(f.Since, o.Since), strings.Compare(string(f.Row.Code), string(o.Row.Code)), cmp.Compare(f.tierNum(), o.tierNum()), strings.Compare(f.jobID(), o.jobID()))
}

func rank(timer bool) int {
	if timer {
		return 1
	}
	return 0
}

func (f *Finding) tierNum() int32 {
	if f.Tier == nil {
		return -1
	}
	return f.Tier.Num
}

func (f *Finding) jobID() string {
	if f.Job == nil {
		return ""
	}
	return f.Job.State.ID
}

// sooner keeps the finding that speaks before the other.
func sooner(to **Finding, f *Finding) {
	if f != nil && (*to == nil || f.compare(*to) < 0) {
		*to = f
	}
}
