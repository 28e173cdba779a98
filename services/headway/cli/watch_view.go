package cli

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"github.com/charmbracelet/x/ansi"

	"github.com/headwayhq/headway/pkg/client"
	"github.com/headwayhq/headway/pkg/diagnostics"
)

// page lays text out in a width. Colours only repeat what a word and a sign say.
type page struct {
	width int
	now   time.Time
	lines []string
}

// minWidth is the narrowest page that is laid out; a narrower screen cuts it.
const minWidth = 40

var (
	faint = ansi.Style{}.Faint()
	bold  = ansi.Style{}.Bold()
)

// healthLook is sign and style of a health.
func healthLook(health string) (sign string, style ansi.Style) {
	switch health {
	case "stuck":
		return "■", bold.ForegroundColor(ansi.Red)
	case "degraded":
		return "▲", bold.ForegroundColor(ansi.Yellow)
	case "scaling":
		return "◆", bold.ForegroundColor(ansi.Blue)
	case "ok":
		return "●", bold.ForegroundColor(ansi.Green)
	}
	return "?", bold
}

// line adds one line, cut to the width.
func (p *page) line(s string) { p.lines = append(p.lines, ansi.Truncate(s, p.width, "…")) }

// labelled adds text under a label, wrapped beside it.
func (p *page) labelled(label, text string) {
	const indent = 8
	wrapped := strings.Split(ansi.Wrap(text, p.width-indent, ""), "\n")
	for i, part := range wrapped {
		if i > 0 {
			label = ""
		}
		p.line(faint.Styled(fmt.Sprintf("%-*s", indent, label)) + part)
	}
}

// bar is a progress bar of n cells.
func bar(percent float64, n int) string {
	full := min(n, max(0, int(percent/100*float64(n)+0.5)))
	return strings.Repeat("█", full) + strings.Repeat("░", n-full)
}

// batch adds what is known of a batch: first what is wrong and since when, then what to do, then the tiers.
func (p *page) batch(b *watched, namespace string) {
	s := b.snapshot
	if s == nil {
		p.line(bold.Styled(plain(b.name)))
		if b.connection.Waiting && !b.ended {
			p.labelled("  waits", awaited(namespace))
		}
		p.line("  " + p.connection(b.connection, b.ended, b.err))
		return
	}
	asOf := b.asOf(p.now)
	state, sign, style := standing(s.Health.String(), plain(s.Status))
	head := style.Styled(sign+" "+state) + "  " + bold.Styled(plain(s.BatchID))
	if state == s.Health.String() {
		head += "  " + plain(s.Status)
	}
	p.line(head)
	if s.BatchName != s.BatchID {
		p.labelled("  name", plain(s.BatchName))
	}
	switch {
	case reasonOf(s, asOf) != "":
		p.labelled("  cause", reasonOf(s, asOf))
	case s.Error != nil:
		p.labelled("  error", plain(*s.Error))
	}
	if s.Cause != nil {
		p.labelled("  code", causeWords(s.Cause, func(t time.Time) string { return hour(t, asOf) }))
		for _, list := range causeLists(s.Cause) {
			if list[0] != "evidence" { // headway get has it
				p.labelled("", list[0]+": "+list[1])
			}
		}
	}
	if proof := proofOf(s, asOf); proof != "" {
		p.labelled("  proof", proof)
	}
	for i, action := range s.NextActions {
		if i == 2 {
			break // headway get has all of them
		}
		p.labelled([]string{"  next", ""}[i], localized(action, asOf))
	}
	for i := range s.Doubts {
		p.labelled([]string{"  doubt", ""}[min(i, 1)], plain(string(s.Doubts[i].Code))+": "+localized(s.Doubts[i].Sentence, asOf))
	}
	if s.ETA != nil {
		p.labelled("  ETA", fmt.Sprintf("%s – %s (%s confidence)", hour(s.ETA.P50, asOf), hour(s.ETA.P90, asOf), plain(s.ETA.Confidence)))
	}
	p.tiers(s)
	p.labelled("  as of", hour(asOf, asOf)+behind(s)+", "+p.connection(b.connection, b.ended, b.err))
}

func behind(s *client.Snapshot) string {
	out := ""
	if s.View.LagSeconds >= 5 {
		out = " (" + span(s.View.LagSeconds) + " behind)"
	}
	if s.View.Incomplete {
		out += ", incomplete: events were lost"
	}
	if len(s.View.LeftOut) > 0 {
		out += ", some " + strings.Join(s.View.LeftOut, ", ") + " left out"
	}
	return out
}

// proofOf is what the verdict rests on.
func proofOf(s *client.Snapshot, asOf time.Time) string {
	e := s.HealthEvidence
	if e.Signal == "" {
		return ""
	}
	out := plain(e.Signal)
	if e.Since != nil {
		out += " since " + hour(*e.Since, asOf) + " (" + span(max(0, asOf.Sub(*e.Since).Seconds())) + ")"
	}
	if e.ThresholdSeconds != nil {
		out += ", limit " + span(*e.ThresholdSeconds)
	}
	if e.RayJobID != nil {
		out += ", job " + plain(*e.RayJobID)
	}
	if w := e.WaitingOn; w != nil {
		out += ", waits for " + plain(w.Kind)
		if shape := diagnostics.Shape(w.Demand); shape != "" {
			out += " " + plain(shape)
		}
		if shape := diagnostics.Shape(w.Offered); shape != "" {
			out += ", offered " + plain(shape)
		}
	}
	if e.LastHeard != nil {
		out += ", last heard " + hour(*e.LastHeard, asOf)
	}
	return out
}

// maxTiers bounds the tiers shown of a batch; of more, the relevant ones are shown.
const maxTiers = 12

func (p *page) tiers(s *client.Snapshot) {
	left := maxTiers
	hidden := 0
	for i := range s.Tiers {
		t := &s.Tiers[i]
		quiet := t.Status == "COMPLETED" || t.Status == "PENDING"
		if len(s.Tiers) > maxTiers && quiet && t.TierNum != s.CurrentTier || left == 0 {
			hidden++
			continue
		}
		left--
		p.tier(t)
	}
	if hidden > 0 {
		p.line(faint.Styled(fmt.Sprintf("  … %d more tiers", hidden)))
	}
}

func (p *page) tier(t *diagnostics.TierDiagnostic) {
	head := fmt.Sprintf("  tier %-2d ", t.TierNum+1)
	tail := fmt.Sprintf(" %3.0f %% %s", t.Progress.Percentage, plain(t.Status))
	more := "  " + documents(t.Progress)
	if t.ThroughputDocsPerSecond != nil && t.Status == "PROCESSING" {
		more += fmt.Sprintf("  %.1f/s", *t.ThroughputDocsPerSecond)
	}
	if t.DurationSeconds != nil {
		more += "  " + span(*t.DurationSeconds)
	}
	room := p.width - ansi.StringWidth(head) - ansi.StringWidth(tail)
	cells := room
	if room-ansi.StringWidth(more) >= 10 {
		cells = room - ansi.StringWidth(more)
		tail += more
	}
	p.line(head + bar(t.Progress.Percentage, max(4, min(cells, 40))) + tail)
	if t.Error != nil {
		p.labelled("", plain(*t.Error))
	}
}

// connection describes the state of the connection.
func (p *page) connection(c client.Connection, ended bool, err error) string {
	switch {
	case err != nil:
		return cause(err)
	case ended:
		return "finished"
	case c.Live:
		return "live"
	case c.Err == nil:
		return "connecting"
	}
	out := "not connected"
	if !c.StaleSince.IsZero() {
		out = "disconnected " + span(p.now.Sub(c.StaleSince).Seconds()) + " ago"
	}
	out += " (" + cause(c.Err) + ")"
	if c.NextTry.IsZero() {
		return out + ", trying now"
	}
	return out + fmt.Sprintf(", next try in %.0f s", max(0, c.NextTry.Sub(p.now).Seconds()))
}

// table adds the rows of a list.
func (p *page) table(s *scene) {
	l := s.list
	rows := l.shown()
	count := map[string]int{}
	for _, r := range rows {
		count[r.Health.String()]++
	}
	parts := make([]string, 0, len(need))
	for _, health := range []string{"stuck", "degraded", "scaling", "ok"} {
		if n := count[health]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, health))
		}
	}
	if len(parts) == 0 {
		parts = append(parts, "no batches")
	}
	p.line(bold.Styled(cmp.Or(s.namespace, place(""))) + "  " + strings.Join(parts, ", ") + faint.Styled("  "+p.connection(l.connection, l.ended, l.err)))
	name := 12
	for _, r := range rows {
		name = max(name, min(ansi.StringWidth(plain(r.BatchID)), p.width/3))
	}
	for _, r := range rows {
		p.row(&r, name)
	}
}

func (p *page) row(r *client.Row, name int) {
	state, sign, style := standing(r.Health.String(), plain(r.Status))
	id := ansi.Truncate(plain(r.BatchID), name, "…")
	head := style.Styled(fmt.Sprintf("%s %-9s", sign, ansi.Truncate(state, 9, "…"))) + " " + id + strings.Repeat(" ", name-ansi.StringWidth(id))
	cells := min(20, max(4, (p.width-ansi.StringWidth(head)-20)/3))
	text := head + fmt.Sprintf(" %s %s %3.0f %%", tierOf(r, "/"), bar(r.OverallProgress, cells), r.OverallProgress)
	switch {
	case r.BlockedReason != nil || r.Cause != nil:
		text += "  " + rowReason(r)
	case r.ETA != nil && r.CompletedAt == nil:
		text += "  " + hour(r.ETA.P50, p.now) + " – " + hour(r.ETA.P90, p.now)
	case state == r.Health.String():
		text += "  " + plain(r.Status)
	}
	p.line(text)
}
