package judge

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/headwayhq/headway/pkg/diagnostics/internal/cause"
	"github.com/headwayhq/headway/pkg/diagnostics/internal/crdt"
	"github.com/headwayhq/headway/pkg/diagnostics/internal/event"
	"github.com/headwayhq/headway/pkg/diagnostics/internal/view"
)

func itoa(n int64) string { return strconv.FormatInt(n, 10) }

// afterwards are findings about what still runs after the end, and what ended incomplete.
func (c *court) afterwards() []Finding {
	return append(c.runsOn(), c.short()...)
}

// runsOn finds live jobs whose batch, tier or attempt has ended.
func (c *court) runsOn() (out []Finding) {
	d := c.d
	for _, j := range d.Jobs {
		if j.Superseded || j.Status.Rank() >= event.RankTerminal {
			continue
		}
		t := d.TierAt(j.Tier)
		over, what, by := int64(0), "", crdt.Stamp{}
		switch {
		case d.Finished():
			over, what, by = c.judged(d.End, d.endBy()), "the batch was over at", d.endBy()
		case t != nil && j.Attempt < t.Attempt:
			over, what, by = c.stamp(t.first), "a later attempt of "+d.TierName(t.Num)+" began at", t.first
		case t != nil && t.Status.Rank() == event.RankTerminal:
			over, what, by = c.judged(t.End, t.EndBy()), d.TierName(t.Num)+" was over at", t.EndBy()
		}
		if over == 0 {
			continue
		}
		last := j.State.Words.Shown().Last
		f := Finding{Row: cause.Of(cause.RunsOn), Certainty: cause.Inferred, Since: over, By: []crdt.Stamp{last, by}, Tier: t, Job: j,
			From: over + int64(c.p.Grace), Until: forever, StuckAt: forever, OpenOnly: true, params: cause.Params{"over": what}}
		if c.judged(j.State.Last, last) > over+int64(c.p.Grace) {
			f.Certainty, f.OpenOnly = cause.Known, false
		}
		out = append(out, f, f.early())
	}
	slices.SortStableFunc(out, func(a, b Finding) int { return a.compare(&b) })
	return out
}

// short finds what COMPLETED with something missing: documents of a tier, tiers of the batch, documents of a collection.
func (c *court) short() (out []Finding) {
	d := c.d
	row := cause.Of(cause.CompletedShort)
	put := func(f Finding, over int64, what, rest string) {
		f.Row, f.Certainty, f.Since, f.From, f.Until, f.StuckAt = row, cause.Known, over, over+int64(c.p.Grace), forever, forever
		f.params = cause.Params{"short": what, "rest": rest}
		out = append(out, f, f.early())
	}
	for _, t := range d.Tiers {
		if n := t.handled(); t.Status == event.WordCompleted && t.TotalKnown && n < t.Total && t.Counted() {
			put(Finding{Tier: t, By: []crdt.Stamp{t.EndBy()}}, c.judged(t.End, t.EndBy()),
				d.TierName(t.Num)+" COMPLETED with "+itoa(n)+" of "+cause.Count(t.Total, "document"),
				"Find out what became of the other "+cause.Count(t.Total-n, "document")+": nobody counted them as processed or failed.")
		}
	}
	if d.Status == event.WordCompleted && !d.Truncated() {
		for n := range min(d.TotalTiers, maxTiersNamed) {
			if t := d.TierAt(int32(n)); t == nil || !t.begun {
				put(Finding{Tier: d.TierOrNew(int32(n)), By: []crdt.Stamp{d.endBy()}}, c.judged(d.End, d.endBy()), "the batch COMPLETED, and "+d.TierName(int32(n))+" was never begun",
					"Check the orchestrator: if "+d.TierName(int32(n))+" was left out on purpose, it has to say that it is SKIPPED.")
				break
			}
		}
	}
	for _, col := range d.State.Collections {
		if !col.Docs.Set || !col.Expected.Set || col.Docs.V >= col.Expected.V {
			continue
		}
		over := int64(0)
		if t := d.TierAt(int32(col.Tier.V)); col.Tier.Set && t != nil && t.Status.Rank() == event.RankTerminal {
			over = c.judged(t.End, t.EndBy())
		} else if d.Finished() {
			over = c.judged(d.End, d.endBy())
		}
		if over != 0 {
			name := cause.Clean(collectionName(string(col.Name.V), col.ID))
			put(Finding{Collection: col, By: []crdt.Stamp{col.Docs.At}}, over,
				"the collection "+name+" holds "+itoa(int64(col.Docs.V))+" of "+cause.Count(int64(col.Expected.V), "expected document"),
				"Find out why the others weren't written to "+name+".")
		}
	}
	return out
}

const maxTiersNamed = 10_000

func collectionName(name, id string) string {
	if name == "" {
		return id
	}
	return name
}

// findDoubts finds what makes other parts of an answer uncertain.
func (c *court) findDoubts() (out []Finding) {
	d := c.d
	if r := &d.State.Refused; len(r.Hashes) > 0 {
		f := Finding{Since: r.Last.Stored, From: -forever, Until: forever, StuckAt: forever}
		if r.Last.Stored < d.State.LastStored {
			f.Until = r.Last.Stored + int64(c.p.RefusedFor)
		}
		out = append(out, refusal(r, f, r.Last.Stored, r.Last.Field, r.Last.Reason))
	}
	for _, s := range d.State.Sources {
		lag, known, off := c.p.clockOff(s)
		late := s.LastStored-s.Last.Time > int64(c.p.Late) && s.Least <= int64(c.p.Clock) && s.Least >= -int64(c.p.Clock) && !d.Finished()
		if !off && !late {
			continue
		}
		f := always(Finding{Row: cause.Of(cause.Clock), Certainty: cause.Inferred, Source: s.Name, By: []crdt.Stamp{s.Last}, Since: s.FirstStored, StuckAt: forever})
		name := cause.Clean(s.Name)
		switch {
		case off && known:
			f.Certainty = cause.Known
			f.params = cause.Params{"source": name, "clock": "the words of " + name + " come " + cause.Lasting(time.Duration(-lag)) + " before the times that they carry: its clock is ahead"}
		case off:
			f.params = cause.Params{"source": name, "clock": "the words of " + name + " arrive " + cause.Lasting(time.Duration(lag)) + " after the times that they carry: its clock is behind, or they are held back"}
		default:
			f.Row, f.Since = cause.Of(cause.Late), s.LastStored
			f.params = cause.Params{"source": name, "by": cause.Lasting(time.Duration(s.LastStored - s.Last.Time))}
		}
		out = append(out, f)
	}
	out = append(out, c.silent()...)
	for _, t := range d.Tiers {
		if f, late := c.firstReport(t); late {
			out = append(out, f)
		}
		if t.Status.Rank() == event.RankTerminal {
			continue
		}
		if r := t.beats(); r.back != nil {
			f := always(Finding{Row: cause.Of(cause.CountWentBack), Certainty: cause.Known, Since: c.judged(r.back.since, r.back.at), By: []crdt.Stamp{r.back.at}, Tier: t, StuckAt: forever})
			f.params = cause.Params{"from": itoa(r.back.from), "to": itoa(r.back.to), "action": "Raise the attempt where the work of " + d.TierName(t.Num) + " begins again."}
			if r.back.source != "" && r.back.source != r.back.at.Source {
				f.params["action"] = "Where several count, let each name itself as worker: more than one source counts " + d.TierName(t.Num) + "."
			}
			out = append(out, f)
		}
	}
	return out
}

// firstReport finds a tier whose first report was late and already had documents: start-up and work can't be distinguished.
func (c *court) firstReport(t *Tier) (Finding, bool) {
	start, by := int64(0), crdt.Stamp{}
	for _, j := range t.Jobs {
		if j.Start != 0 && (start == 0 || j.Start < start) {
			start, by = j.Start, j.StartBy
		}
	}
	if start == 0 {
		start, by = t.Start, t.startBy
	}
	at, n, zero := t.firstReport()
	if start == 0 || at == 0 || n <= 1 || zero || t.Status.Rank() == event.RankTerminal || at-start < int64(c.p.FirstReport) {
		return Finding{}, false
	}
	f := always(Finding{Row: cause.Of(cause.FirstReportLate), Certainty: cause.Inferred, Since: c.judged(at, by), By: []crdt.Stamp{by}, Tier: t, StuckAt: forever})
	f.params = cause.Params{"count": cause.Count(n, "document")}
	return f, true
}

// firstReport is the first bucket in which the tier counted anything, and whether a 0 was said.
func (t *Tier) firstReport() (at, n int64, zero bool) {
	look := func(s crdt.Series, c crdt.Counter) {
		for _, p := range s.Points {
			if p.N == 0 {
				zero = true
			}
			if when := p.Bucket << s.Shift * int64(time.Second); p.N > 0 && (at == 0 || when < at) {
				at, n = when, p.N
			}
		}
	}
	if a := t.AttemptState; a != nil {
		look(a.Whole.Series, a.Whole.Processed)
		for _, w := range a.Workers {
			look(w.Series, w.Processed)
		}
	}
	for _, j := range t.Jobs {
		look(j.State.Series, j.State.Processed)
	}
	return at, n, zero
}

// refused replaces a timer's cause by the events that were refused, where these may explain the silence.
func (c *court) refused(tiers []*Case) {
	r := &c.d.State.Refused
	for i := range tiers {
		j := tiers[i]
		if j.Tier == nil {
			continue
		}
		for _, t := range r.Tiers {
			if t.Num != j.Tier.Num || t.Last.Stored < c.d.State.TierStored(t.Num) {
				continue
			}
			own := *j // it may be kept
			own.Findings = slices.Clone(j.Findings)
			j, tiers[i] = &own, &own
			for k := range j.Findings {
				if f := &j.Findings[k]; f.timer && f.Waits == nil {
					*f = refusal(r, *f, t.Last.Stored, t.Last.Field, t.Last.Reason)
				}
			}
		}
	}
}

// refusal turns a finding into one about refused events, of which the last was stored at a moment.
func refusal(r *view.Refused, f Finding, stored int64, field, reason string) Finding {
	n := cause.Count(len(r.Hashes), "event") + " of this batch " + wasWere(len(r.Hashes))
	if r.More {
		n = itoa(int64(len(r.Hashes))) + " or more events of this batch were"
	}
	f.Row, f.Certainty = cause.Of(cause.Refused), cause.Known
	why := cause.Clean(reason)
	if field != "" {
		why = cause.Clean(field) + ": " + why
	}
	f.params = cause.Params{"count": n, "error": cause.Clause(why), "since": cause.Moment(stored), "correct": "Correct what sends them, and send them again."}
	if strings.Contains(reason, "after the event was stored") {
		f.params["correct"] = "The clock of what sends them is ahead: set it right, and send them again."
	}
	return f
}

func wasWere(n int) string {
	if n == 1 {
		return "was"
	}
	return "were"
}
