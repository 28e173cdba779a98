package answer

import (
	"encoding/json"
	"strings"

	"github.com/headwayhq/headway/pkg/diagnostics/internal/cause"
	"github.com/headwayhq/headway/pkg/diagnostics/internal/event"
)

// What producers write is shown to people: on pages, in terminals and in messages. Every text of an answer passes through here, so that
// none can hide or rearrange what stands around it.

// appendText appends a text as a JSON string, without control characters and those that are invisible or change the direction of writing.
func appendText(dst []byte, s string) []byte {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return event.AppendString(dst, cause.Clean(s))
		}
	}
	return event.AppendString(dst, s)
}

// appendRaw appends JSON of a producer. Only its strings can have escapes and characters beyond ASCII.
func appendRaw(dst, raw []byte) []byte {
	for _, c := range raw {
		if c > '~' || c == '\\' {
			return appendRawTexts(dst, string(raw))
		}
	}
	return append(dst, raw...)
}

func appendRawTexts(dst []byte, raw string) []byte {
	for {
		start := strings.IndexByte(raw, '"')
		if start < 0 {
			return append(dst, raw...)
		}
		end := start + 1
		for raw[end] != '"' {
			if raw[end] == '\\' {
				end++
			}
			end++
		}
		var text string
		if json.Unmarshal([]byte(raw[start:end+1]), &text) != nil { // it was valid when it was kept
			return append(dst, raw...)
		}
		dst = appendText(append(dst, raw[:start]...), text)
		raw = raw[end+1:]
	}
}
