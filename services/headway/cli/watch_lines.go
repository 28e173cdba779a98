package cli

import (
	"cmp"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/headwayhq/headway/pkg/client"
	"github.com/headwayhq/headway/pkg/diagnostics"
)

// jsonLines writes each snapshot or row as the API sends it. Changes of the connection go to standard error.
func jsonLines(out, side io.Writer, s *scene) func(update) error {
	matched, waits := map[string]bool{}, map[string]bool{}
	return func(u update) error {
		sideLine(side, s, u, waits)
		if u.snapshot != nil {
			return writeJSON(out, u.snapshot.AppendJSON(nil))
		}
		for _, row := range u.rows {
			keep := s.list.keeps(row)
			if !keep && !matched[row.BatchID] { // a row that no longer matches is written once more
				continue
			}
			if s.list.rows[row.BatchID].Revision > row.Revision {
				continue
			}
			matched[row.BatchID] = keep
			if err := writeJSON(out, row.AppendJSON(nil)); err != nil {
				return err
			}
		}
		return nil
	}
}

// textLines writes a line for each visible change.
func textLines(out, side io.Writer, s *scene) func(update) error {
	said, waits := map[string]string{}, map[string]bool{}
	say := func(batch string, at time.Time, line string) error {
		if said[batch] == line {
			return nil
		}
		said[batch] = line
		_, err := fmt.Fprintf(out, "%s  %s\n", clock(&at), line)
		return err
	}
	return func(u update) error {
		sideLine(side, s, u, waits)
		if u.snapshot != nil {
			return say(u.batch, u.snapshot.View.AsOf, snapshotLine(u.snapshot))
		}
		for _, row := range u.rows {
			if !s.list.keeps(row) && said[row.BatchID] == "" || s.list.rows[row.BatchID].Revision > row.Revision {
				continue
			}
			at := row.OrderedAt
			if row.LastActivityAt != nil {
				at = *row.LastActivityAt
			}
			if err := say(row.BatchID, at, rowLine(&row)); err != nil {
				return err
			}
		}
		return nil
	}
}

// sideLine reports a lost connection, and once that a batch is waited for.
func sideLine(side io.Writer, s *scene, u update, waits map[string]bool) {
	c := u.connection
	if c != nil && c.Waiting && !waits[u.batch] {
		waits[u.batch] = true
		fmt.Fprintf(side, "%s: %s\n", plain(u.batch), awaited(s.namespace))
	}
	if c == nil || c.NextTry.IsZero() || c.Err == nil {
		return
	}
	name := u.batch
	if name == "" {
		name = "the list of " + cmp.Or(s.namespace, place(""))
	}
	since := ""
	if !c.StaleSince.IsZero() {
		since = " since " + clock(&c.StaleSince)
	}
	fmt.Fprintf(side, "%s: not connected%s (%s), next try at %s\n", plain(name), since, cause(c.Err), clock(&c.NextTry))
}

// awaited says that there is no such batch yet.
func awaited(namespace string) string {
	return "nobody has reported this batch in " + place(namespace) + " yet; waiting for it to begin"
}

// states are health and status. Of a batch that has ended the status says it all.
func states(health, status string) string {
	if text, _, _ := standing(health, status); text != health {
		return plain(status)
	}
	return plain(health) + "  " + plain(status)
}

func snapshotLine(s *client.Snapshot) string {
	now := s.View.AsOf
	line := fmt.Sprintf("%s  %s  tier %s  %.0f %%", plain(s.BatchID), states(s.Health.String(), s.Status), tierIn(s, " of "), s.OverallProgress)
	if s.Cause != nil {
		line += "  " + plain(string(s.Cause.Code))
	}
	switch {
	case reasonOf(s, now) != "":
		line += "  " + reasonOf(s, now)
	case s.Error != nil:
		line += "  " + plain(*s.Error)
	case s.ETA != nil:
		line += "  expected " + clock(&s.ETA.P50)
	}
	if len(s.Doubts) == 0 {
		return line
	}
	codes := make([]string, len(s.Doubts))
	for i := range s.Doubts {
		codes[i] = plain(string(s.Doubts[i].Code))
	}
	return line + "  (doubt: " + strings.Join(codes, ", ") + ")"
}

func rowLine(r *client.Row) string {
	line := fmt.Sprintf("%s  %s  tier %s  %.0f %%", plain(r.BatchID), states(r.Health.String(), r.Status), tierOf(r, " of "), r.OverallProgress)
	if reason := rowReason(r); reason != "" {
		line += "  " + reason
	}
	return line
}

// rowReason is the code of a row's cause, and why it is blocked.
func rowReason(r *client.Row) string {
	var parts []string
	if r.Cause != nil {
		parts = append(parts, plain(*r.Cause))
	}
	if r.BlockedReason != nil {
		parts = append(parts, reasonWords(*r.BlockedReason, r.AsOf))
	}
	return strings.Join(parts, "  ")
}

// last is what stays on the screen when a live view ends.
func (s *scene) last() (out []string) {
	if s.list != nil {
		for _, r := range s.list.shown() {
			if r.Health.String() != "ok" {
				out = append(out, rowLine(&r))
			}
		}
		return out
	}
	for _, b := range s.batches {
		if b.snapshot == nil {
			continue
		}
		out = append(out, snapshotLine(b.snapshot))
		for _, t := range b.snapshot.Tiers {
			if t.Error != nil {
				out = append(out, fmt.Sprintf("  %s: %s", diagnostics.TierName(t.TierNum, b.snapshot.TotalTiers, ""), plain(*t.Error)))
			}
		}
		if !b.ended {
			out = append(out, "  as of "+clock(&b.snapshot.View.AsOf))
		}
	}
	return out
}
