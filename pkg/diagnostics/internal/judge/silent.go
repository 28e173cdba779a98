package judge

import (
	"time"

	"github.com/headwayhq/headway/pkg/diagnostics/internal/cause"
	"github.com/headwayhq/headway/pkg/diagnostics/internal/crdt"
	"github.com/headwayhq/headway/pkg/diagnostics/internal/event"
)

const (
	leastBeats  = 8  // the fewest reports that make a rhythm
	mostWorkers = 32 // of more workers than these, one that falls silent means nothing
	mostSilent  = 20 // the most that are named
)

// silent finds who used to report about an open tier and has been silent for longer than its rhythm allows, while others report:
// a worker, a job that counts, or a source that kept reporting that a job runs. Whether it is done or gone isn't known.
func (c *court) silent() (out []Finding) {
	if c.d.Status != event.WordProcessing {
		return nil
	}
	heard := c.lastHeard()
	put := func(who func() Finding, last crdt.Stamp, at, gap int64, beats int) {
		quiet := at + c.p.pause(gap)
		if beats < leastBeats || heard <= quiet || len(out) == mostSilent {
			return
		}
		f := who()
		f.Row, f.Certainty, f.Since, f.By = cause.Of(cause.SourceSilent), cause.Inferred, at, []crdt.Stamp{last}
		f.From, f.Until, f.StuckAt = quiet, forever, forever
		out = append(out, f)
	}
	sources := map[string]bool{}
	for _, t := range c.d.Open {
		if t.AllHandled() {
			continue
		}
		if a := t.AttemptState; a != nil && len(a.Workers) <= mostWorkers {
			for _, w := range a.Workers {
				gap, beats := rhythmOf(w.Series)
				last := w.Progress()
				put(func() Finding {
					return Finding{Tier: t, Source: w.Key, params: cause.Params{"source": "the worker " + cause.Clean(w.Key) + " of " + c.d.TierName(t.Num)}}
				}, last, c.judged(max(last.Time, lastPoint(w.Series)), last), gap, beats)
			}
		}
		for _, j := range t.Jobs {
			if j.Status != event.WordRunning || j.Superseded {
				continue
			}
			running := j.State.Words.Shown()
			gap, beats := rhythmOf(j.State.Series)
			put(func() Finding {
				return Finding{Tier: t, Job: j, params: cause.Params{"source": cause.Clean(j.State.ID)}}
			}, running.Last, c.judged(j.State.Last, running.Last), gap, beats)
			if beats < leastBeats && running.First.Source == running.Last.Source && running.Last.Time > running.First.Time {
				sources[running.Last.Source] = true
			}
		}
	}
	for _, s := range c.d.State.Sources {
		if sources[s.Name] {
			gap, beats := rhythmOf(s.Beats)
			put(func() Finding { return Finding{Source: s.Name, params: cause.Params{"source": cause.Clean(s.Name)}} }, s.Last, c.stamp(s.Last), gap, beats)
		}
	}
	return out
}

// lastHeard is the time of the batch's latest event.
func (c *court) lastHeard() (at int64) {
	for _, s := range c.d.State.Sources {
		at = max(at, c.stamp(s.Last))
	}
	return at
}

// rhythmOf is the longest gap of a series, and how many points it has.
func rhythmOf(s crdt.Series) (gap int64, points int) {
	for i := 1; i < len(s.Points); i++ {
		gap = max(gap, (s.Points[i].Bucket-s.Points[i-1].Bucket)<<s.Shift*int64(time.Second))
	}
	return gap, len(s.Points)
}

func lastPoint(s crdt.Series) int64 {
	if n := len(s.Points); n > 0 {
		return s.Points[n-1].Bucket << s.Shift * int64(time.Second)
	}
	return 0
}
