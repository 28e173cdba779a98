package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"time"

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

func clock(t *time.Time) string {
	if t == nil {
		return "–"
	}
	return t.UTC().Format("2006-01-02 15:04:05Z")
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
