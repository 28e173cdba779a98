package cause

import (
	"encoding/json"
	"errors"
	"io"
	"maps"
	"slices"
	"strings"
)

// Plain is a producer's text in a form that fits into a sentence: without terminal escapes, and with JSON or printed Python
// values in words.
func Plain(s string) string {
	s = Clean(s)
	from := 0
	for from < len(s) {
		i := strings.IndexAny(s[from:], "{[")
		if i < 0 {
			break
		}
		i += from
		words, length, ok := structure(s[i:])
		if !ok {
			from = i + 1
			continue
		}
		s, from = s[:i]+words+s[i+length:], i+len(words)
	}
	if s = strings.TrimSpace(s); isNothing(s) {
		return ""
	}
	for _, nothing := range []string{": null", ": None", ": nil"} {
		s = strings.TrimSuffix(s, nothing)
	}
	return s
}

func isNothing(s string) bool {
	return slices.Contains([]string{"null", "None", "nil", "<nil>", "undefined", "{}", "[]"}, s)
}

// structure is an object or a list at the begin of a text, in words, and its length.
func structure(s string) (words string, length int, ok bool) {
	d := json.NewDecoder(strings.NewReader(s))
	d.UseNumber()
	var v any
	err := d.Decode(&v)
	if err == nil {
		n := int(d.InputOffset())
		return inWords(v, 0), n, structured(s[:n])
	}
	if n := bracketed(s); n > 0 && structured(s[:n]) {
		if json.Unmarshal([]byte(pythonic.Replace(s[:n])), &v) == nil {
			return inWords(v, 0), n, true
		}
	}
	if errors.Is(err, io.ErrUnexpectedEOF) && structured(s) { // it was cut off
		return strings.TrimSpace(punctuation.Replace(s)), len(s), true
	}
	return "", 0, false
}

// structured distinguishes a structure from an index or a note in brackets.
func structured(s string) bool { return strings.ContainsAny(s[1:], `{"'`) }

var (
	pythonic    = strings.NewReplacer(`'`, `"`, "True", "true", "False", "false", "None", "null")
	punctuation = strings.NewReplacer("{", "", "}", "", "[", "", "]", "", `"`, "", ":", " ")
)

// bracketed is the length of what stands in the brackets at the begin of s; 0 where they aren't closed.
func bracketed(s string) int {
	depth := 0
	for i, c := range s {
		switch c {
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth == 0 {
				return i + 1
			}
		}
	}
	return 0
}

// Bounds of a structure in words.
const (
	mostWords = 12
	mostDepth = 4
)

func inWords(v any, depth int) string {
	var parts []string
	put := func(s string) {
		if s != "" && len(parts) <= mostWords {
			parts = append(parts, s)
		}
	}
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		return v
	case map[string]any:
		if depth < mostDepth {
			for _, k := range slices.Sorted(maps.Keys(v)) {
				if one := inWords(v[k], depth+1); one != "" {
					put(k + " " + one)
				}
			}
		}
	case []any:
		if depth < mostDepth {
			for _, e := range v {
				put(inWords(e, depth+1))
			}
		}
	default:
		b, err := json.Marshal(v)
		if err != nil {
			return ""
		}
		return string(b)
	}
	if len(parts) > mostWords {
		parts[mostWords] = "…"
	}
	words := strings.Join(parts, ", ")
	if depth > 0 && len(parts) > 1 {
		return "(" + words + ")"
	}
	return words
}
