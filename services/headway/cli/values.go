package cli

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/alecthomas/kong"
)

// choice is one of the values that its flag lists, in upper or lower case.
type choice string

// Decode is called by kong.
func (c *choice) Decode(ctx *kong.DecodeContext) error {
	var text string
	if err := ctx.Scan.PopValueInto("value", &text); err != nil {
		return err
	}
	*c = choice(text)
	for _, one := range ctx.Value.EnumSlice() {
		if strings.EqualFold(one, strings.ReplaceAll(text, "-", "_")) {
			*c = choice(one)
		}
	}
	return nil
}

func texts(all []choice) (out []string) {
	for _, one := range all {
		out = append(out, string(one))
	}
	return out
}

// when is a time as people give it; see parseMoment.
type when struct{ time.Time }

// Decode is called by kong.
func (m *when) Decode(ctx *kong.DecodeContext) (err error) {
	var text string
	if err := ctx.Scan.PopValueInto("time", &text); err != nil {
		return err
	}
	m.Time, err = parseMoment(text, time.Now())
	return err
}

// orNow is the moment, or the present if none is given.
func (m when) orNow() time.Time {
	if m.IsZero() {
		return time.Now()
	}
	return m.Time
}

var momentLayouts = []string{time.RFC3339Nano, "2006-01-02T15:04Z07:00", "2006-01-02T15:04:05", "2006-01-02 15:04:05", "2006-01-02T15:04", "2006-01-02 15:04", time.DateOnly}

// parseMoment reads how long ago (90m, 2h, -2h, 3d, 1w), a time of today (14:30), a date, or a date and time, which is local unless it names a zone.
func parseMoment(text string, now time.Time) (time.Time, error) {
	s := strings.ToUpper(strings.TrimSpace(text))
	switch s {
	case "NOW":
		return now, nil
	case "TODAY", "YESTERDAY":
		y, m, d := now.Date()
		if s == "YESTERDAY" {
			d--
		}
		return time.Date(y, m, d, 0, 0, 0, 0, now.Location()), nil
	}
	if back, err := parseAgo(strings.ToLower(strings.TrimPrefix(strings.TrimSpace(strings.TrimSuffix(s, "AGO")), "-"))); err == nil {
		return now.Add(-back), nil
	}
	for _, layout := range momentLayouts {
		if t, err := time.ParseInLocation(layout, s, now.Location()); err == nil {
			return t, nil
		}
	}
	for _, layout := range []string{"15:04", "15:04:05"} {
		if t, err := time.ParseInLocation(layout, s, now.Location()); err == nil {
			y, m, d := now.Date()
			return time.Date(y, m, d, t.Hour(), t.Minute(), t.Second(), 0, now.Location()), nil
		}
	}
	return time.Time{}, fmt.Errorf("%q isn't a time; give 2h or 3d for so long ago, 14:30 for today, 2026-03-01, or 2026-03-01T14:30:00Z", text)
}

// parseAgo reads a duration that may be in days or weeks too.
func parseAgo(s string) (time.Duration, error) {
	s = strings.ReplaceAll(s, " ", "")
	for unit, length := range map[string]time.Duration{"d": 24 * time.Hour, "w": 7 * 24 * time.Hour} {
		if n, ok := strings.CutSuffix(s, unit); ok {
			count, err := strconv.ParseFloat(n, 64)
			if err != nil || count < 0 || count > 1e4 {
				return 0, strconv.ErrSyntax
			}
			return time.Duration(count * float64(length)), nil
		}
	}
	d, err := time.ParseDuration(s)
	if err == nil && d < 0 {
		err = strconv.ErrRange
	}
	return d, err
}
