package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/charmbracelet/x/ansi"

	"github.com/headwayhq/headway/services/internal/printable"
)

// plain makes text that others wrote fit for a terminal, on one line.
func plain(s string) string { return printable.Text(s) }

// bare removes passwords and tokens from an address, or from several separated by commas.
func bare(address string) string { return printable.Address(address) }

// cause returns the innermost message of an error; the outer ones name the operation, which the caller adds itself.
func cause(err error) string { return printable.Cause(err) }

// stdout is where verbs write text for people. Control characters in it can't reach the terminal.
func stdout() io.Writer { return printable.Writer(os.Stdout) }

// writeJSON writes JSON on a line of its own, with control characters as JSON escapes.
func writeJSON(out io.Writer, line []byte) error {
	_, err := out.Write(append(printable.JSON(line), '\n'))
	return err
}

// encodeJSON writes a value as one line of JSON to standard output.
func encodeJSON(v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return writeJSON(os.Stdout, b)
}

func orDash(s *string) string {
	if s == nil {
		return "–"
	}
	return plain(*s)
}

// zone is that of whoever reads what is printed.
func zone() *time.Location {
	return time.Local //nolint:gosmopolitan // a terminal's reader is where the program runs
}

// clock is a moment in the reader's zone.
func clock(t *time.Time) string {
	if t == nil {
		return "–"
	}
	return t.In(zone()).Format("2006-01-02 15:04:05 MST")
}

// hour is a time of day in the reader's zone, with the date if it isn't today.
func hour(t, now time.Time) string {
	if t.In(zone()).Format(time.DateOnly) == now.In(zone()).Format(time.DateOnly) {
		return t.In(zone()).Format("15:04:05 MST")
	}
	return t.In(zone()).Format("2006-01-02 15:04 MST")
}

// ago is a moment, and how long before now it was.
func ago(t *time.Time, now time.Time) string {
	if t == nil {
		return "–"
	}
	return hour(*t, now) + " (" + span(max(0, now.Sub(*t).Seconds())) + " ago)"
}

var momentSaid = regexp.MustCompile(`\b\d\d:\d\d:\d\dZ on \d{4}-\d\d-\d\d\b`)

// localized is a text of the API fit for a terminal, with its moments, which it says as 12:03:00Z on 2026-03-01, in the reader's zone.
func localized(s string, now time.Time) string {
	return momentSaid.ReplaceAllStringFunc(plain(s), func(said string) string {
		t, err := time.Parse("15:04:05Z on 2006-01-02", said)
		if err != nil {
			return said
		}
		return hour(t, now)
	})
}

// signals are in words what stands before the colon of a blocked reason.
var signals = map[string]string{
	"cluster_cold_start": "The cluster is starting", "job_warming_up": "The job is warming up", "awaiting_job": "No job yet",
	"ray_job_pending": "Ray hasn't started the job", "ray_job_unschedulable": "No node can take the job", "no_progress": "No progress",
	"no_ray_job": "No Ray job runs", "program_starting": "The program is starting", "pipeline_no_job": "Nothing runs",
	"pipeline_tier_skipped": "A tier was left out", "pipeline_not_submitted": "Nothing has begun", "queued": "Not begun",
	"not_finalized": "All tiers are done, but the batch was not completed",
}

// reasonWords is a blocked reason as the dashboard says it.
func reasonWords(s string, now time.Time) string {
	if signal, rest, found := strings.Cut(s, ": "); found && signals[signal] != "" {
		s = signals[signal] + ": " + rest
	}
	return localized(s, now)
}

// standing is in one word how a batch is: its health, or its status once it has ended, with a sign and a style. A batch that has failed isn't also called degraded.
func standing(health, status string) (text, sign string, style ansi.Style) {
	switch status {
	case "FAILED":
		return "failed", "✗", bold.ForegroundColor(ansi.Red)
	case "CANCELED":
		return "canceled", "–", faint
	case "SKIPPED":
		return "skipped", "–", faint
	case "COMPLETED":
		return "completed", "✓", bold.ForegroundColor(ansi.Green)
	case "COMPLETED_WITH_ERRORS":
		return "completed with errors", "▲", bold.ForegroundColor(ansi.Yellow)
	}
	sign, style = healthLook(health)
	return health, sign, style
}

// span formats a duration in its two largest units.
func span(seconds float64) string {
	d := time.Duration(seconds * float64(time.Second)).Round(time.Second)
	days := d / (24 * time.Hour)
	switch {
	case days > 0:
		return fmt.Sprintf("%d d %d h", days, d%(24*time.Hour)/time.Hour)
	case d >= time.Hour:
		return fmt.Sprintf("%d h %d min", d/time.Hour, d%time.Hour/time.Minute)
	case d >= time.Minute:
		return fmt.Sprintf("%d min %d s", d/time.Minute, d%time.Minute/time.Second)
	}
	return fmt.Sprintf("%d s", d/time.Second)
}

// age is a duration in its largest unit, as 12 min.
func age(d time.Duration) string {
	switch d = max(0, d); {
	case d >= 48*time.Hour:
		return fmt.Sprintf("%d d", d/(24*time.Hour))
	case d >= 2*time.Hour:
		return fmt.Sprintf("%d h", d/time.Hour)
	case d >= 2*time.Minute:
		return fmt.Sprintf("%d min", d/time.Minute)
	}
	return fmt.Sprintf("%d s", d/time.Second)
}

// percent is a share of 100. What isn't done yet is never shown as 100 %.
func percent(p float64) string {
	if p < 100 {
		p = min(p, 99.9)
	}
	return strconv.FormatFloat(p, 'f', 1, 64) + " %"
}

// grouped is a count with its thousands apart.
func grouped(n int64) string {
	s := strconv.FormatInt(n, 10)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// orNothing is a text that may be missing; a table shows its own sign for that.
func orNothing(s *string) string {
	if s == nil {
		return ""
	}
	return plain(*s)
}

// quoted is a text as one word of a shell.
func quoted(s string) string {
	if s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return !strings.ContainsRune("_-.:/@%+=,", r) && (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z')
	}) {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
