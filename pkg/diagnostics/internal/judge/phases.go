package judge

import (
	"cmp"

	"github.com/headwayhq/headway/pkg/diagnostics/internal/view"
)

// Phase is a stretch of a job's life. The stretches follow one another without a gap, so those before the start add up to the
// time that the job waited.
type Phase struct {
	Kind     view.Phase
	From, To int64 // To is 0 while it goes on
}

// Phases are what a job waited for until it started, one phase after another, and then when it worked and waited.
func (j *Job) Phases() (out []Phase) {
	out = make([]Phase, 0, 4) // a job seldom has more
	before := 0               // the phases before the start, which none after it continues
	put := func(kind view.Phase, from, to int64) {
		switch n := len(out); {
		case to != 0 && to <= from:
		case n > before && out[n-1].Kind == kind:
			out[n-1].To = to
		default:
			out = append(out, Phase{kind, from, to})
		}
	}
	stretch := func(kind view.Phase, from, to int64, marks []view.PhaseMark) {
		for _, m := range marks {
			switch {
			case m.At <= from:
			case to == 0 || m.At < to:
				put(kind, from, m.At)
				from = m.At
			default:
				continue
			}
			kind = m.Phase
		}
		put(kind, from, to)
	}
	stretch(view.PhaseQueued, j.Submitted, cmp.Or(j.Start, j.End), j.State.Phases[view.WaitingPending].Marks)
	if before = len(out); j.Start != 0 {
		stretch(view.PhaseWorking, max(j.Start, j.Submitted), j.End, working(j.State.Phases[view.WaitingRunning].Marks))
	}
	return out
}

// working are the marks of a running job. One that waits for nothing works.
func working(marks []view.PhaseMark) []view.PhaseMark {
	out := make([]view.PhaseMark, len(marks))
	for i, m := range marks {
		if m.Phase == view.PhaseStarting {
			m.Phase = view.PhaseWorking
		}
		out[i] = m
	}
	return out
}
