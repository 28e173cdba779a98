// Package printable makes foreign text safe for a terminal or a log line: names, messages and subjects of events may
// contain anything, including control sequences that a terminal would execute.
package printable

import (
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Text returns s on one line. Control characters (C0, DEL, C1), bidirectional overrides, other invisible characters,
// and bytes that are not UTF-8 appear as escapes, such as \x1b or \u202e.
func Text(s string) string { return escape(s, "") }

// Lines is Text, but keeps line breaks and tabs.
func Lines(s string) string { return escape(s, "\n\t") }

// JSON returns a JSON text in which such characters within strings are JSON escapes. A parser reads the same values.
func JSON(b []byte) []byte {
	if plainJSON(b) {
		return b
	}
	var out strings.Builder
	for _, r := range string(b) { // invalid UTF-8 becomes U+FFFD, as parsers read it
		switch {
		case shown(r) || r == '\n' || r == '\t' || r == '\r':
			out.WriteRune(r)
		case r > 0xffff:
			high, low := surrogates(r)
			fmt.Fprintf(&out, `\u%04x\u%04x`, high, low)
		default:
			fmt.Fprintf(&out, `\u%04x`, r)
		}
	}
	return []byte(out.String())
}

func plainJSON(b []byte) bool {
	for _, c := range b {
		if c < ' ' && c != '\n' && c != '\t' && c != '\r' || c >= 0x7f {
			return false
		}
	}
	return true
}

func surrogates(r rune) (high, low rune) {
	r -= 0x10000
	return 0xd800 + r>>10, 0xdc00 + r&0x3ff
}

// joiners are invisible, but Persian, Hindi and many emoji need them.
const joiners = "\u200c\u200d"

func shown(r rune) bool { return unicode.IsGraphic(r) || strings.ContainsRune(joiners, r) }

func escape(s, keep string) string {
	var out strings.Builder
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && n == 1:
			fmt.Fprintf(&out, `\x%02x`, s[i])
		case shown(r) || strings.ContainsRune(keep, r):
			out.WriteString(s[i : i+n])
		case r == '\n':
			out.WriteString(`\n`)
		case r == '\r':
			out.WriteString(`\r`)
		case r == '\t':
			out.WriteString(`\t`)
		case r <= 0xff:
			fmt.Fprintf(&out, `\x%02x`, r)
		case r <= 0xffff:
			fmt.Fprintf(&out, `\u%04x`, r)
		default:
			fmt.Fprintf(&out, `\U%08x`, r)
		}
		i += n
	}
	return out.String()
}

// Writer returns a writer that passes on lines and escapes everything else. It is a second line of defense for output
// whose parts are already escaped.
func Writer(w io.Writer) io.Writer { return guard{w} }

type guard struct{ w io.Writer }

func (g guard) Write(b []byte) (int, error) {
	if _, err := io.WriteString(g.w, Lines(string(b))); err != nil {
		return 0, err
	}
	return len(b), nil
}

// Address returns an address, or several with commas, without its secrets: user, password and query.
func Address(address string) string {
	if scheme, rest, ok := strings.Cut(address, "://"); ok && strings.HasPrefix(scheme, "redis") { // one user for all servers
		rest = rest[strings.LastIndexByte(rest, '@')+1:]
		rest, _, _ = strings.Cut(rest, "#")
		rest, _, _ = strings.Cut(rest, "?")
		return Text(scheme + "://" + rest)
	}
	all := strings.Split(address, ",")
	for i, one := range all {
		u, err := url.Parse(strings.TrimSpace(one))
		if err != nil || u.Host == "" && u.Opaque != "" {
			all[i] = one[strings.LastIndexByte(one, '@')+1:]
			continue
		}
		u.User, u.RawQuery, u.Fragment = nil, "", ""
		all[i] = u.String()
	}
	return Text(strings.Join(all, ","))
}

// Cause returns the innermost message of an error. The outer ones may repeat an address with a secret in it, and name
// the operation, which the caller has already printed.
func Cause(err error) string {
	for next := err; next != nil; next = errors.Unwrap(next) {
		err = next
	}
	return Text(err.Error())
}
