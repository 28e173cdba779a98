package cli

import (
	"fmt"
	"net/url"
	"strings"
	"time"
	"unicode"
)

// plain makes text that others wrote fit for a terminal: one line, nothing that steers it.
func plain(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return ' '
	}, s)
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

// span is a length of time in its two largest units.
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

// bare is an address, or several with commas, without what in it is secret.
func bare(address string) string {
	all := strings.Split(address, ",")
	for i, one := range all {
		u, err := url.Parse(strings.TrimSpace(one))
		if err != nil || u.Host == "" && u.Opaque != "" {
			_, after, found := strings.Cut(one, "@")
			if all[i] = one; found {
				all[i] = after
			}
			continue
		}
		u.User, u.RawQuery, u.Fragment = nil, "", ""
		all[i] = u.String()
	}
	return plain(strings.Join(all, ","))
}
