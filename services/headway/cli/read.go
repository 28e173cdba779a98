package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/charmbracelet/x/ansi"

	"github.com/headwayhq/headway/pkg/client"
	"github.com/headwayhq/headway/pkg/diagnostics"
)

// Get is headway get.
type Get struct {
	shared
	output
	Batch string `arg:"" help:"The batch."`
	At    when   `help:"As it was then: 2h or 3d ago, 14:30, 2026-03-01T12:00Z." placeholder:"TIME"`
	Watch bool   `short:"w" help:"Show it live until it ends, as headway watch does."`
}

// Validate is called by kong.
func (g *Get) Validate() error {
	if g.Watch && !g.At.IsZero() {
		return errors.New("--at: a past moment doesn't change; leave out --watch")
	}
	return nil
}

// Run prints the diagnosis of a batch.
func (g *Get) Run(ctx context.Context) error {
	form, err := g.as(g.JSON)
	if err != nil {
		return err
	}
	if g.Watch {
		return (&Watch{shared: g.shared, Batches: []string{g.Batch}, Wait: defaultPatience}).as(ctx, form)
	}
	r, err := g.reader(nil)
	if err != nil {
		return err
	}
	s, err := r.DiagnosticsAt(ctx, g.Batch, g.At.Time)
	if err != nil {
		return g.failed(err, g.Batch)
	}
	if done, err := printed(form, s.BatchID, func() []byte { return s.AppendJSON(nil) }); done {
		return err
	}
	p := onPaper()
	if form == "wide" {
		p.width = 0
	}
	var b strings.Builder
	past(&b, g.At, s.At)
	p.snapshot(&b, &s, g.At.orNow(), g.flags())
	_, err = os.Stdout.WriteString(b.String())
	return err
}

// Explain is headway explain.
type Explain struct {
	shared
	output
	Batch string `arg:"" help:"The batch."`
	At    when   `help:"As it was then: 2h or 3d ago, 14:30, 2026-03-01T12:00Z." placeholder:"TIME"`
}

// Run prints why the health of a batch is what it is.
func (x *Explain) Run(ctx context.Context) error {
	form, err := x.as(x.JSON)
	if err != nil {
		return err
	}
	r, err := x.reader(nil)
	if err != nil {
		return err
	}
	e, err := r.ExplainAt(ctx, x.Batch, x.At.Time)
	if err != nil {
		return x.failed(err, x.Batch)
	}
	if done, err := printed(form, e.BatchID, func() []byte { return e.AppendJSON(nil) }); done {
		return err
	}
	return show(func(w io.Writer) {
		past(w, x.At, e.At)
		writeExplanation(w, &e, x.At.orNow())
	})
}

// past says that what follows is of a past moment, and why it may not be what was shown then.
func past(out io.Writer, at when, p *client.Past) {
	if at.IsZero() {
		return
	}
	w := writer{out}
	w.linef("As it was at %s, under today's thresholds.", clock(&at.Time))
	if p != nil && p.PolicyChanged {
		w.linef("The thresholds have changed since: at %s the health was judged by others.", clock(&p.AnnouncedAt))
	}
	w.linef("")
}

// List is headway list.
type List struct {
	shared
	output
	Status   []choice          `help:"Only these: ${enum}." enum:"DRAFT,PENDING,PROCESSING,COMPLETED,COMPLETED_WITH_ERRORS,FAILED,CANCELED,SKIPPED,UNKNOWN"`
	Health   []choice          `help:"Only these: ${enum}." enum:"ok,scaling,stuck,degraded"`
	Pipeline string            `help:"Only this pipeline."`
	Label    map[string]string `help:"Only with all of these, key=value."`
	Text     string            `name:"search" short:"q" help:"Text in the id, name, pipeline, owner or a label."`
	Since    when              `aliases:"created-after" help:"Only batches created since then: 2h or 3d ago, 14:30, 2026-03-01, 2026-03-01T12:00:00Z. Also --created-after." placeholder:"TIME"`
	Until    when              `aliases:"created-before" help:"Only batches created until then. Also --created-before." placeholder:"TIME"`
	Sort     choice            `help:"By need (stuck first) or newest first." enum:"need,newest" default:"need"`
	Limit    int               `help:"At most this many; 0: all." default:"50"`
	Watch    bool              `short:"w" help:"Show them live until you interrupt it, as headway watch --all does."`
}

// Validate is called by kong.
func (l *List) Validate() error {
	switch {
	case l.Limit < 0:
		return errors.New("--limit: must not be negative; 0 lists all")
	case !l.Since.IsZero() && !l.Until.IsZero() && l.Until.Before(l.Since.Time):
		return errors.New("--until: is before --since")
	}
	return nil
}

// Run prints the batches that fit.
func (l *List) Run(ctx context.Context) error {
	form, err := l.as(l.JSON)
	if err != nil {
		return err
	}
	o := client.ListOptions{
		Status: texts(l.Status), Health: texts(l.Health), Pipeline: l.Pipeline, Labels: l.Label, Text: l.Text,
		CreatedAfter: l.Since.Time, CreatedBefore: l.Until.Time, Sort: string(l.Sort),
	}
	if l.Watch {
		if len(o.Status)+len(o.Labels) > 0 || o.Pipeline+o.Text != "" || !o.CreatedAfter.IsZero() || !o.CreatedBefore.IsZero() {
			return ExitError{Code: exitUsage, Err: errors.New("--watch: can be used with --health only; leave out the other conditions")}
		}
		return (&Watch{shared: l.shared, All: true, Health: l.Health, Wait: defaultPatience}).as(ctx, form)
	}
	r, err := l.reader(nil)
	if err != nil {
		return err
	}
	o.PageSize = pageSize(l.Limit)
	return l.listed(r.List(ctx, o), form, l.Limit)
}

// pageSize is how many rows are asked for at once. One more than are wanted tells whether there are more.
func pageSize(limit int) int {
	if limit > 0 {
		return min(maxPage, limit+1)
	}
	return maxPage
}

// listed prints rows of the API, at most so many; 0: all.
func (s *shared) listed(all iter.Seq2[client.Row, error], form string, limit int) error {
	var rows []client.Row
	more := false
	for row, err := range all {
		if err != nil {
			return s.failed(err, "")
		}
		if more = limit > 0 && len(rows) == limit; more {
			break
		}
		done, err := printed(form, row.BatchID, func() []byte { return row.AppendJSON(nil) })
		if err != nil {
			return err
		}
		rows = append(rows, row)
		if done && limit == 0 {
			rows = rows[:0] // a program may read any number
		}
	}
	if form == "text" || form == "wide" {
		if err := s.page(os.Stdout, rows, form == "wide"); err != nil {
			return err
		}
	}
	if more {
		fmt.Fprintf(os.Stderr, "There are more than these %d: --limit 0 lists all.\n", limit)
	}
	return nil
}

// page prints rows as a table.
func (s *shared) page(out io.Writer, rows []client.Row, wide bool) error {
	if len(rows) == 0 {
		fmt.Fprintf(os.Stderr, "No such batch in %s.\n", place(s.known()))
		return nil
	}
	p := onPaper()
	if wide {
		p.width = 0
	}
	return p.rows(out, rows, wide, time.Now())
}

func show(write func(io.Writer)) error {
	var b strings.Builder
	write(&b)
	_, err := io.WriteString(stdout(), b.String())
	return err
}

// rows prints rows as a table: how each batch is, since when, and why.
func (p paper) rows(out io.Writer, rows []client.Row, wide bool, now time.Time) error {
	columns := []column{{name: "STATE"}, {name: "BATCH", cut: true}, {name: "TIER", drop: 2}, {name: "DONE", drop: 4}, {name: "AGE", drop: 3}, {name: "END", drop: 5}, {name: "PIPELINE", drop: 6, cut: true}}
	if wide {
		columns = append(columns, column{name: "OWNER", drop: 8, cut: true}, column{name: "STATUS", drop: 8}, column{name: "LAST EVENT", drop: 8})
	}
	columns = append(columns, column{name: "CAUSE", drop: 7}, column{name: "REASON", drop: 1, cut: true, instead: "CAUSE"})
	cells := make([][]string, len(rows))
	for i := range rows {
		r := &rows[i]
		state, sign, style := standing(r.Health.String(), plain(r.Status))
		if state == "completed with errors" { // the column is as wide as its widest
			state = "with errors"
		}
		cells[i] = []string{
			p.styled(style, sign+" "+state), plain(r.BatchID), tierOf(r, "/"), percent(r.OverallProgress), age(now.Sub(r.OrderedAt)), endOf(r, now), orNothing(r.Pipeline),
		}
		if wide {
			cells[i] = append(cells[i], orNothing(r.Owner), plain(r.Status), clock(r.LastActivityAt))
		}
		why := ""
		if r.BlockedReason != nil {
			why = reasonWords(*r.BlockedReason, now)
		} else if r.Sentence != nil { // of what failed
			why = localized(*r.Sentence, now)
		}
		cells[i] = append(cells[i], orNothing(r.Cause), why)
	}
	return p.table(out, columns, cells)
}

// endOf says when a batch ended, or is expected to.
func endOf(r *client.Row, now time.Time) string {
	switch {
	case r.CompletedAt != nil:
		return age(now.Sub(*r.CompletedAt)) + " ago"
	case r.ETA == nil:
		return ""
	case r.ETA.P90.Before(now):
		return "overdue"
	case r.ETA.P50.Before(now):
		return "in < " + age(r.ETA.P90.Sub(now))
	}
	return "in ~ " + age(r.ETA.P50.Sub(now))
}

// writer prints lines into memory, so that errors can be ignored.
type writer struct{ io.Writer }

func (w writer) linef(format string, args ...any) { _, _ = fmt.Fprintf(w, format+"\n", args...) }

// snapshot prints the diagnosis of a batch. flags are those with which another verb finds the same Headway.
func (p paper) snapshot(out io.Writer, s *client.Snapshot, now time.Time, flags string) {
	w := writer{out}
	label := func(name, text string) {
		for i, line := range p.wrapped(text, 10) {
			if i > 0 {
				name = ""
			}
			w.linef("%s%s", p.styled(faint, fmt.Sprintf("%-10s", name)), line)
		}
	}
	state, sign, style := standing(s.Health.String(), plain(s.Status))
	head := p.styled(style, sign+" "+state) + "  " + p.styled(bold, plain(s.BatchID))
	if state == s.Health.String() {
		head += "  " + plain(s.Status)
	}
	w.linef("%s  tier %s  %s", head, tierIn(s, " of "), percent(s.OverallProgress))
	if s.BatchName != s.BatchID {
		label("name", plain(s.BatchName))
	}
	if s.Pipeline != nil || s.Owner != nil {
		label("pipeline", orDash(s.Pipeline)+", owner "+orDash(s.Owner))
	}
	if why := reasonOf(s, now); why != "" {
		label("reason", why)
	}
	if c := s.Cause; c != nil {
		label("cause", causeWords(c, func(t time.Time) string { return ago(&t, now) }))
		for _, list := range causeLists(c) {
			label("", list[0]+": "+list[1])
		}
	}
	for i := range s.Doubts {
		label("doubt", plain(string(s.Doubts[i].Code))+": "+localized(s.Doubts[i].Sentence, now))
	}
	if s.Error != nil {
		label("error", plain(*s.Error))
	}
	fresh := clock(&s.View.AsOf)
	if s.View.LagSeconds >= 1 {
		fresh += ", " + span(s.View.LagSeconds) + " behind"
	}
	label("as of", fresh)
	if s.View.Incomplete {
		label("", "incomplete: events were lost to retention before they were folded")
	}
	if len(s.View.LeftOut) > 0 {
		label("", "larger than a view may be: some "+strings.Join(s.View.LeftOut, ", ")+" are left out")
	}
	label("started", ago(s.StartedAt, now))
	if s.CompletedAt != nil {
		took := ""
		if s.DurationSeconds != nil {
			took = ", took " + span(*s.DurationSeconds)
		}
		label("ended", ago(s.CompletedAt, now)+took)
	} else {
		label("heard", "last event "+ago(s.LastActivityAt, now))
	}
	if s.ETA != nil {
		label("expected", fmt.Sprintf("%s, by %s with 90 %% probability (%s confidence: %s)", hour(s.ETA.P50, now), hour(s.ETA.P90, now), plain(s.ETA.Confidence), plain(s.ETA.Method)))
	}
	if len(s.Tiers) > 0 {
		w.linef("")
		p.tierTable(out, s)
	}
	if len(s.Insights) > 0 {
		w.linef("\n%s", p.styled(bold, "Findings"))
		for _, i := range s.Insights {
			label("  "+i.Severity, localized(i.Message, now))
		}
	}
	w.linef("\n%s", p.styled(bold, "Next"))
	for i, a := range s.NextActions {
		for k, line := range p.wrapped(localized(a, now), 5) {
			number := fmt.Sprintf("%d.", i+1)
			if k > 0 {
				number = ""
			}
			w.linef("  %-2s %s", number, line)
		}
	}
	for i := range s.Actions {
		w.linef("     %s: %s", plain(s.Actions[i].Label), pasted(s, &s.Actions[i]))
	}
	w.linef("     See why, step by step: headway explain %s%s", quoted(plain(s.BatchID)), flags)
}

// pasted is a link, or a command that works where it is pasted: `ray job` needs the address of its cluster.
func pasted(s *client.Snapshot, a *diagnostics.Action) string {
	if a.Command == nil {
		return orDash(a.Href)
	}
	if rest, ray := strings.CutPrefix(*a.Command, "ray job "); ray {
		for i := range s.Tiers {
			for k := range s.Tiers[i].Jobs {
				j := &s.Tiers[i].Jobs[k]
				if words := strings.Fields(rest); j.DashboardURL == nil || !slices.Contains(words, j.RayJobID) {
					continue
				}
				if u, err := url.Parse(*j.DashboardURL); err == nil && u.Host != "" {
					u.Path, u.RawPath, u.RawQuery, u.Fragment = strings.TrimSuffix(u.Path, "/"), "", "", ""
					return "RAY_ADDRESS=" + quoted(plain(u.String())) + " " + plain(*a.Command)
				}
			}
		}
	}
	return plain(*a.Command)
}

func (p paper) tierTable(out io.Writer, s *client.Snapshot) {
	columns := []column{{name: "TIER"}, {name: "STATUS"}, {name: "DOCUMENTS", drop: 5}, {name: "DONE"}, {name: "TOOK", drop: 4}, {name: "JOB", drop: 3, cut: true}, {name: "ITS STATUS", drop: 6}, {name: "CAUSE", drop: 2}}
	rows := make([][]string, len(s.Tiers))
	for i := range s.Tiers {
		t := &s.Tiers[i]
		took := ""
		if t.DurationSeconds != nil {
			took = span(*t.DurationSeconds)
		}
		status := plain(t.Status)
		if t.Status == "FAILED" {
			status = p.styled(bold.ForegroundColor(ansi.Red), status)
		}
		rows[i] = []string{strconv.Itoa(t.TierNum + 1), status, documents(t.Progress), percent(t.Progress.Percentage), took, orNothing(t.RayJobID), orNothing(t.RayJobStatus), causeOf(t)}
	}
	_ = p.table(out, columns, rows) // out is memory
}

func writeExplanation(out io.Writer, e *client.Explanation, now time.Time) {
	w := writer{out}
	if state, _, _ := standing(e.Health.String(), plain(e.Status)); state == e.Health.String() {
		w.linef("%s is %s, and %s.", plain(e.BatchID), plain(e.Status), state)
	} else {
		w.linef("%s is %s.", plain(e.BatchID), plain(e.Status))
	}
	w.linef("Rule: %s.", localized(e.Rule, now))
	if e.Since != nil {
		limit := ""
		if e.ThresholdSeconds != nil {
			limit = ", limit " + span(*e.ThresholdSeconds)
		}
		w.linef("Since %s%s; as of %s.", clock(e.Since), limit, clock(&e.View.AsOf))
	} else {
		w.linef("As of %s.", clock(&e.View.AsOf))
	}
	if e.Cause != nil {
		w.linef("")
		w.cause("Cause     ", "          ", e.Cause)
		w.linef("          %s", localized(e.Cause.Sentence, now))
	}
	w.doubts(e.Doubts, now)
	w.linef("\nBecause")
	for i, s := range e.Steps {
		w.linef("  %d. %s", i+1, localized(s.Says, now))
		for _, v := range s.Events {
			w.linef("     event %s of %s, %s", plain(v.ID), plain(v.Source), clock(&v.Time))
		}
	}
	for i := range e.Proofs {
		w.proof(&e.Proofs[i])
	}
	if e.NextCheck != nil {
		code := ""
		if e.NextCheck.Cause != nil {
			code = ", " + plain(*e.NextCheck.Cause)
		}
		w.linef("\nIf nothing is heard, it becomes %s%s at %s: %s.", e.NextCheck.Health, code, clock(&e.NextCheck.At), localized(e.NextCheck.Because, now))
	} else {
		w.linef("\nWithout a new event this doesn't change.")
	}
	w.linef("\nNot")
	for _, a := range e.NotTaken {
		w.linef("  %-8s  %s", a.Health, localized(a.Because, now))
	}
}

// proof writes what a process was seen to do.
func (w writer) proof(p *diagnostics.Proof) {
	what := map[string]string{"log": "Last lines", "stack": "Stack"}[p.Kind]
	if what == "" {
		what = plain(p.Kind)
	}
	w.linef("\n%s of the %s of %s, taken at %s", what, plain(p.Process)+bracketed(p.Name), plain(p.RayJobID), clock(&p.TakenAt))
	if p.Frame != nil {
		seen := ""
		if p.Looks != nil && *p.Looks > 1 && p.FrameSince != nil {
			seen = fmt.Sprintf(", in each of %d looks since %s", *p.Looks, clock(p.FrameSince))
		}
		w.linef("  in %s%s", plain(*p.Frame), seen)
	}
	if p.Unavailable != nil {
		w.linef("  %s", plain(*p.Unavailable))
	}
	if p.Text != nil {
		for line := range strings.Lines(*p.Text) {
			w.linef("    %s", plain(strings.TrimRight(line, "\r\n")))
		}
	}
}

func bracketed(name *string) string {
	if name == nil {
		return ""
	}
	return " (" + plain(*name) + ")"
}
