package bundle

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/headwayhq/headway/services/relay/machine"
)

// EventsName is the file with the events of the batch.
const EventsName = "batch/events.jsonl"

const hidden = "[redacted]"

// Names of values that are secret, whatever they look like, and of those that may be anything because producers write them.
var (
	secretName = regexp.MustCompile(`(?i)(^|[._-])(token|password|passwd|secret|credential|authorization|cookie|api_?-?key|private_?-?key|access_?-?key)s?$`)
	withUser   = regexp.MustCompile(`(://)[^/\s@"']+@`)
	freeText   = []string{"message", "error", "text", "detail", "recovery_suggestion", "unavailable", "affected_document_ids", "failed_documents_sample"}
	// composed are members of answers whose texts Headway wrote. What producers wrote is taken out of them, and the rest stays.
	composed = []string{"insights", "messages"}
)

// redactor removes secrets and, unless they are wanted, texts of producers. The same texts are removed where they are quoted.
type redactor struct {
	secrets *strings.Replacer
	keep    bool
	numbers map[string]int // of the texts
	pieces  []piece        // lines of the texts, the longest first
}

type piece struct {
	line   string
	number int
}

const (
	minSecret = 4  // a shorter one would be found everywhere
	minPiece  = 12 // a shorter line could be a word that Headway itself says
)

func newRedactor(secrets []string, keep bool) *redactor {
	var pairs []string
	sorted := slices.Clone(secrets)
	slices.SortFunc(sorted, func(a, b string) int { return len(b) - len(a) })
	for _, s := range sorted {
		if len(s) >= minSecret {
			pairs = append(pairs, s, hidden)
		}
	}
	return &redactor{secrets: strings.NewReplacer(pairs...), keep: keep, numbers: map[string]int{}}
}

// learn notes the texts of producers in a file.
func (r *redactor) learn(name string, content []byte) {
	if r.keep || !strings.HasPrefix(name, "batch/") {
		return
	}
	for _, value := range values(name, content) {
		r.find(value, false)
	}
	slices.SortStableFunc(r.pieces, func(a, b piece) int { return len(b.line) - len(a.line) })
}

func (r *redactor) find(v any, free bool) {
	switch x := v.(type) {
	case map[string]any:
		for key, value := range x {
			if !slices.Contains(composed, key) {
				r.find(value, free || slices.Contains(freeText, key))
			}
		}
	case []any:
		for _, value := range x {
			r.find(value, free)
		}
	case string:
		if free {
			r.number(x)
		}
	}
}

// number is that of a text.
func (r *redactor) number(text string) int {
	if n, known := r.numbers[text]; known {
		return n
	}
	n := len(r.numbers) + 1
	r.numbers[text] = n
	for line := range strings.SplitSeq(text, "\n") {
		if line = strings.TrimSpace(line); len(line) >= minPiece {
			r.pieces = append(r.pieces, piece{line, n})
		}
	}
	return n
}

// file redacts a file by its kind.
func (r *redactor) file(name string, content []byte) []byte {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	switch {
	case strings.HasSuffix(name, ".json"), strings.HasSuffix(name, ".jsonl"):
		if strings.HasSuffix(name, ".json") {
			encoder.SetIndent("", "  ")
		}
		all := values(name, content)
		if all == nil && len(bytes.TrimSpace(content)) > 0 { // it isn't JSON
			return []byte(r.line(string(content)))
		}
		quotes := strings.HasPrefix(name, "batch/") && name != EventsName // in events only whole texts are removed, so that they stay valid
		for _, value := range all {
			if err := encoder.Encode(r.value(value, "", quotes)); err != nil {
				return nil // it was JSON before, and is written into memory
			}
		}
		return out.Bytes()
	}
	for line := range strings.Lines(string(content)) {
		out.WriteString(r.line(line))
	}
	return out.Bytes()
}

// values are the JSON values of a file; nil if it has something else.
func values(name string, content []byte) (all []any) {
	d := json.NewDecoder(bytes.NewReader(content))
	d.UseNumber()
	for d.More() {
		var v any
		if d.Decode(&v) != nil || strings.HasSuffix(name, ".json") && len(all) > 0 {
			return nil
		}
		all = append(all, v)
	}
	return all
}

// value redacts a value. within is what the members above say of it.
func (r *redactor) value(v any, within string, quotes bool) any {
	switch x := v.(type) {
	case map[string]any:
		for key, value := range x {
			inner := within
			switch {
			case inner == hidden:
			case key == "env_vars", secretName.MatchString(key):
				inner = hidden
			case slices.Contains(composed, key) && quotes:
				inner = composed[0]
			case slices.Contains(freeText, key) && inner == "" && !r.keep:
				inner = freeText[0]
			}
			x[key] = r.value(value, inner, quotes)
		}
		return x
	case []any:
		for i := range x {
			x[i] = r.value(x[i], within, quotes)
		}
		return x
	case string:
		n, known := r.numbers[x]
		switch {
		case x == "":
			return x
		case within == hidden:
			return hidden
		case within == freeText[0] && known:
			return placeholder(n, x)
		case quotes:
			return r.line(r.unquoted(x))
		}
		return r.line(x)
	case json.Number:
		if within == hidden {
			return hidden
		}
	}
	return v
}

func placeholder(n int, text string) string {
	return fmt.Sprintf("[text %d, %d characters]", n, utf8.RuneCountInString(text))
}

// unquoted removes what a text of Headway's quotes of producers' texts: whole lines, or their beginnings where they were cut. A first
// letter may have become a capital.
func (r *redactor) unquoted(s string) string {
	for _, p := range r.pieces {
		_, size := utf8.DecodeRuneInString(p.line)
		rest := p.line[size:]
		head := rest[:minPiece-size]
		for from := 0; ; {
			i := strings.Index(s[from:], head)
			if i < 0 {
				break
			}
			begin := from + i
			end := begin + common(s[begin:], rest)
			if _, before := utf8.DecodeLastRuneInString(s[:begin]); begin > 0 {
				begin -= before
			}
			instead := placeholder(p.number, p.line)
			s = s[:begin] + instead + s[end:]
			from = begin + len(instead)
		}
	}
	return s
}

// common is how many bytes two texts begin with in common.
func common(a, b string) (n int) {
	for n < min(len(a), len(b)) && a[n] == b[n] {
		n++
	}
	return n
}

// line removes secrets from any text.
func (r *redactor) line(s string) string {
	return withUser.ReplaceAllString(machine.Redact(r.secrets.Replace(s)), "${1}"+hidden+"@")
}

// SecretsIn are the texts below members that are named as secrets.
func SecretsIn(v any) (out []string) {
	var find func(any, bool)
	find = func(v any, secret bool) {
		switch x := v.(type) {
		case map[string]any:
			for key, value := range x {
				find(value, secret || secretName.MatchString(key))
			}
		case []any:
			for _, value := range x {
				find(value, secret)
			}
		case string:
			if secret {
				out = append(out, x)
			}
		}
	}
	find(v, false)
	return out
}
