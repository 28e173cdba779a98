package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/headwayhq/headway/pkg/client"
	"github.com/headwayhq/headway/pkg/diagnostics"
)

// Get is headway get.
type Get struct {
	shared
	Batch string `arg:"" help:"The batch."`
}

// Run prints the diagnosis of a batch.
func (g *Get) Run(ctx context.Context) error {
	r, err := g.reader(nil)
	if err != nil {
		return err
	}
	s, err := r.Diagnostics(ctx, g.Batch)
	switch {
	case err != nil:
		return g.failed(err, g.Batch)
	case g.JSON:
		return writeJSON(os.Stdout, s.AppendJSON(nil))
	}
	return show(func(w io.Writer) { writeSnapshot(w, &s) })
}

// Explain is headway explain.
type Explain struct {
	shared
	Batch string `arg:"" help:"The batch."`
}

// Run prints why the health of a batch is what it is.
func (x *Explain) Run(ctx context.Context) error {
	r, err := x.reader(nil)
	if err != nil {
		return err
	}
	e, err := r.Explain(ctx, x.Batch)
	switch {
	case err != nil:
		return x.failed(err, x.Batch)
	case x.JSON:
		return writeJSON(os.Stdout, e.AppendJSON(nil))
	}
	return show(func(w io.Writer) { writeExplanation(w, &e) })
}

// List is headway list.
type List struct {
	shared
	Status   []string          `help:"Only these: ${enum}." enum:"DRAFT,PENDING,PROCESSING,COMPLETED,COMPLETED_WITH_ERRORS,FAILED,CANCELED,SKIPPED,UNKNOWN"`
	Health   []string          `help:"Only these: ${enum}." enum:"ok,scaling,stuck,degraded"`
	Pipeline string            `help:"Only this pipeline."`
	Label    map[string]string `help:"Only with all of these, key=value."`
	Text     string            `name:"search" short:"q" help:"Text in the id, name, pipeline, owner or a label."`
	After    time.Time         `name:"created-after" help:"A time, as 2026-03-01T12:00:00Z."`
	Before   time.Time         `name:"created-before" help:"A time, as 2026-03-01T12:00:00Z."`
	Sort     string            `help:"By need (stuck first) or newest first." enum:"need,newest" default:"need"`
	Limit    int               `help:"At most this many; 0: all." default:"50"`
}

// Run prints the batches that fit.
func (l *List) Run(ctx context.Context) error {
	r, err := l.reader(nil)
	if err != nil {
		return err
	}
	o := client.ListOptions{
		Status: l.Status, Health: l.Health, Pipeline: l.Pipeline, Labels: l.Label, Text: l.Text,
		CreatedAfter: l.After, CreatedBefore: l.Before, Sort: l.Sort, PageSize: 200,
	}
	if l.Limit > 0 {
		o.PageSize = min(o.PageSize, l.Limit)
	}
	w := tabwriter.NewWriter(stdout(), 2, 8, 2, ' ', 0) // which holds everything until it is flushed
	if !l.JSON {
		_, _ = fmt.Fprintln(w, "BATCH\tHEALTH\tSTATUS\tTIER\tDONE\tEXPECTED END\tCAUSE\tREASON")
	}
	n := 0
	for row, err := range r.List(ctx, o) {
		if err != nil && n == 0 {
			return l.failed(err, "") // without a header of nothing
		}
		if err != nil {
			return errors.Join(w.Flush(), l.failed(err, ""))
		}
		if l.JSON {
			if err := writeJSON(os.Stdout, row.AppendJSON(nil)); err != nil {
				return err
			}
		} else {
			writeRow(w, row)
		}
		if n++; n == l.Limit {
			break
		}
	}
	return w.Flush()
}

func show(write func(io.Writer)) error {
	var b strings.Builder
	write(&b)
	_, err := io.WriteString(stdout(), b.String())
	return err
}

func writeRow(w io.Writer, r client.Row) {
	reason := r.BlockedReason
	if reason == nil { // of what failed
		reason = r.Sentence
	}
	end := "–"
	if r.ETA != nil {
		end = clock(&r.ETA.P50) + " – " + clock(&r.ETA.P90)
	}
	_, _ = fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%.1f %%\t%s\t%s\t%s\n",
		plain(r.BatchID), r.Health, plain(r.Status), tierOf(r.CurrentTier, r.TotalTiers, r.Status), r.OverallProgress, end, orDash(r.Cause), orDash(reason))
}

// writer prints lines into memory, so that errors can be ignored.
type writer struct{ io.Writer }

func (w writer) linef(format string, args ...any) { _, _ = fmt.Fprintf(w, format+"\n", args...) }

func writeSnapshot(out io.Writer, s *client.Snapshot) {
	w := writer{out}
	w.linef("%s  %s  %s  %s  %.1f %%", plain(s.BatchID), plain(s.Status), s.Health, tierOf(s.CurrentTier, s.TotalTiers, s.Status), s.OverallProgress)
	if s.BatchName != s.BatchID {
		w.linef("name      %s", plain(s.BatchName))
	}
	if reason := reasonOf(s); reason != "" {
		w.linef("reason    %s", reason)
	}
	w.cause("cause     ", "          ", s.Cause)
	w.doubts(s.Doubts)
	if s.Error != nil {
		w.linef("error     %s", plain(*s.Error))
	}
	w.linef("as of     %s, %s behind", clock(&s.View.AsOf), span(s.View.LagSeconds))
	if s.View.Incomplete {
		w.linef("          incomplete: events were lost to retention before they were folded")
	}
	if len(s.View.LeftOut) > 0 {
		w.linef("          larger than a view may be: some %s are left out", strings.Join(s.View.LeftOut, ", "))
	}
	w.linef("started   %s, last event %s, ended %s", clock(s.StartedAt), clock(s.LastActivityAt), clock(s.CompletedAt))
	if s.ETA != nil {
		w.linef("expected  %s, by %s with 90 %% probability (%s confidence: %s)", clock(&s.ETA.P50), clock(&s.ETA.P90), plain(s.ETA.Confidence), plain(s.ETA.Method))
	}
	if len(s.Tiers) > 0 {
		writeTiers(out, s)
	}
	if len(s.Insights) > 0 {
		w.linef("\nFindings")
		for _, i := range s.Insights {
			w.linef("  %-8s  %s", i.Severity, plain(i.Message))
		}
	}
	w.linef("\nNext")
	for i, a := range s.NextActions {
		w.linef("  %d. %s", i+1, plain(a))
	}
	for _, a := range s.Actions {
		how := a.Href
		if how == nil {
			how = a.Command
		}
		w.linef("     %s: %s", plain(a.Label), orDash(how))
	}
}

func writeTiers(out io.Writer, s *client.Snapshot) {
	w := tabwriter.NewWriter(out, 2, 8, 2, ' ', 0)
	_, _ = fmt.Fprintln(w, "\nTIER\tSTATUS\tDOCUMENTS\tDONE\tTOOK\tJOB\tITS STATUS\tCAUSE")
	for _, t := range s.Tiers {
		took := "–"
		if t.DurationSeconds != nil {
			took = span(*t.DurationSeconds)
		}
		_, _ = fmt.Fprintf(w, "%d\t%s\t%s\t%.1f %%\t%s\t%s\t%s\t%s\n", t.TierNum+1, plain(t.Status), documents(t.Progress),
			t.Progress.Percentage, took, orDash(t.RayJobID), orDash(t.RayJobStatus), causeOf(&t))
	}
	_ = w.Flush()
}

func writeExplanation(out io.Writer, e *client.Explanation) {
	w := writer{out}
	w.linef("%s is %s, and %s.", plain(e.BatchID), plain(e.Status), e.Health)
	w.linef("Rule: %s.", plain(e.Rule))
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
		w.linef("          %s", plain(e.Cause.Sentence))
	}
	w.doubts(e.Doubts)
	w.linef("\nBecause")
	for i, s := range e.Steps {
		w.linef("  %d. %s", i+1, plain(s.Says))
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
		w.linef("\nIf nothing is heard, it becomes %s%s at %s: %s.", e.NextCheck.Health, code, clock(&e.NextCheck.At), plain(e.NextCheck.Because))
	} else {
		w.linef("\nWithout a new event this doesn't change.")
	}
	w.linef("\nNot")
	for _, a := range e.NotTaken {
		w.linef("  %-8s  %s", a.Health, plain(a.Because))
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
