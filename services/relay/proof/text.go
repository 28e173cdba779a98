package proof

import (
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/headwayhq/headway/services/relay/machine"
)

// Bounds of the text of one proof.
const (
	MaxLines = 40
	MaxBytes = 8 << 10
)

var colors = regexp.MustCompile("\x1b\\[[0-9;]*[A-Za-z]")

// Lines makes the end of a log fit to be shown: its last lines, without secrets and control characters, in at most MaxBytes.
func Lines(log string) string {
	log = colors.ReplaceAllString(log, "")
	log = machine.Redact(strings.ToValidUTF8(log, "\uFFFD"))
	log = strings.Map(func(r rune) rune {
		if r < ' ' && r != '\n' && r != '\t' || r == 0x7f {
			return -1
		}
		return r
	}, log)
	lines := strings.Split(strings.TrimRight(log, "\n"), "\n")
	lines = lines[max(0, len(lines)-MaxLines):]
	text := strings.Join(lines, "\n")
	if len(text) <= MaxBytes {
		return text
	}
	text = text[len(text)-MaxBytes+len("…"):]
	for len(text) > 0 && !utf8.RuneStart(text[0]) {
		text = text[1:]
	}
	return "…" + text
}
