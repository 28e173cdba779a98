package judge

import (
	"cmp"
	"strings"

	"github.com/headwayhq/headway/pkg/diagnostics/internal/cause"
	"github.com/headwayhq/headway/pkg/diagnostics/internal/crdt"
	"github.com/headwayhq/headway/pkg/diagnostics/internal/view"
)

// Finding is one possible cause and the time for which it holds. It doesn't depend on the present.
type Finding struct {
	Row       *cause.Row
	Certainty string
	Since     int64
	By        []crdt.Stamp // the events from which it follows

	Tier       *Tier
	Job        *Job
	Collection *view.Collection
	Source     string
	Waits      *view.Waiting // as a source reported it

	From, Until int64 // it holds at From < asOf ≤ Until
	StuckAt     int64 // it makes its tier stuck once asOf > StuckAt
	OpenOnly    bool  // it isn't a cause, but there is no all-clear with it
	Early       bool  // it is expected: its time hasn't passed yet
	Failure     bool  // it is a failure
	timer       bool  // it follows from time alone
	heard       int64 // of a silence: the time of the last event, or of its arrival if a clock is wrong

	was    *view.Waiting // what a job waited for when it ended
	params cause.Params
}

// Said reports whether the finding holds at a moment.
func (f *Finding) Said(asOf int64) bool { return f.From < asOf && asOf <= f.Until }

// Stuck reports that the finding makes its tier stuck at a moment.
func (f *Finding) Stuck(asOf int64) bool { return f.Said(asOf) && asOf > f.StuckAt }

// Helps returns whether waiting helps: yes, perhaps or no.
func (f *Finding) Helps() string { return cause.Helps(f.Row, f.Waits) }

// Plain reports a failure of which nothing is known but that something failed or was stopped, or how many documents failed.
func (f *Finding) Plain() bool {
	return f.Row.Code == cause.Failed || f.Row.Code == cause.Stopped || f.Row.Code == cause.DocumentsFailed
}

// Deadline is the moment after which it makes its tier stuck; ok is false if there is none.
func (f *Finding) Deadline() (at int64, ok bool) { return f.StuckAt, f.StuckAt != forever }

// early is the finding before it holds: it isn't a cause yet, but there is no all-clear.
func (f Finding) early() Finding {
	f.From, f.Until, f.OpenOnly, f.Early = -forever, f.From, true, true
	return f
}

func always(f Finding) Finding {
	f.From, f.Until = -forever, forever
	return f
}

func helpsOrder(word string) int {
	switch word {
	case cause.No:
		return 0
	case cause.Perhaps:
		return 1
	}
	return 2
}

func certaintyOrder(word string) int {
	switch word {
	case cause.Known:
		return 0
	case cause.Inferred:
		return 1
	}
	return 2
}

// compare orders findings by what becomes the cause: reported by a source before a timer, what waiting can't fix, more certain,
// more basic, older; then by code and subject, so that the result is always the same.
func (f *Finding) compare(o *Finding) int {
	if c := cmp.Or(rank(f.timer)-rank(o.timer), helpsOrder(f.Helps())-helpsOrder(o.Helps()), certaintyOrder(f.Certainty)-certaintyOrder(o.Certainty),
		cmp.Compare(f.Row.Depth, o.Row.Depth), cmp.Compare(f.Since, o.Since)); c != 0 {
		return c
	}
	return cmp.Or(strings.Compare(string(f.Row.Code), string(o.Row.Code)), cmp.Compare(f.tierNum(), o.tierNum()), strings.Compare(f.jobID(), o.jobID()))
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

// sooner keeps the finding that comes first in that order, and reports whether that is f.
func sooner(to **Finding, f *Finding) bool {
	if f == nil || *to != nil && f.compare(*to) >= 0 {
		return false
	}
	*to = f
	return true
}
