package cause

import (
	"encoding/json"
	"fmt"
	"iter"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Params are the parameters of a text.
type Params map[string]string

// Fill puts parameters into a template. A parameter that isn't given is left out.
func Fill(template string, p Params) string {
	var out strings.Builder
	for text, name := range pieces(template) {
		out.WriteString(text)
		out.WriteString(p[name])
	}
	return out.String()
}

// Names are the parameters of a template.
func Names(template string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for _, name := range pieces(template) {
			if name != "" && !yield(name) {
				return
			}
		}
	}
}

// pieces are the texts of a template, each with the name of the parameter after it; the last has none.
func pieces(template string) iter.Seq2[string, string] {
	return func(yield func(text, name string) bool) {
		for {
			text, rest, found := strings.Cut(template, "{")
			name, others, _ := strings.Cut(rest, "}")
			if !yield(text, name) || !found {
				return
			}
			template = others
		}
	}
}

// Clause is a text in brackets; nothing where it is empty.
func Clause(what string) string {
	if what == "" {
		return ""
	}
	return " (" + what + ")"
}

// Begin writes a sentence's first letter large, unless the sentence begins with a name.
func Begin(sentence, name string) string {
	if sentence == "" || name != "" && strings.HasPrefix(sentence, name) {
		return sentence
	}
	return strings.ToUpper(sentence[:1]) + sentence[1:]
}

// Count is a number with its noun.
func Count[T int | int64](n T, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return strconv.FormatInt(int64(n), 10) + " " + noun + "s"
}

// Moment formats a moment for texts.
func Moment(ns int64) string {
	return time.Unix(0, ns).UTC().Format("15:04:05Z on 2006-01-02")
}

// Lasting formats a duration for people, to the second.
func Lasting(d time.Duration) string {
	d = d.Round(time.Second)
	h, m, s := int(d.Hours()), int(d.Minutes())%60, int(d.Seconds())%60
	switch {
	case h >= 48:
		return Count(h/24, "day")
	case h > 0 && m > 0:
		return fmt.Sprintf("%d h %d min", h, m)
	case h > 0:
		return fmt.Sprintf("%d h", h)
	case m > 0 && s > 0:
		return fmt.Sprintf("%d min %d s", m, s)
	case m > 0:
		return fmt.Sprintf("%d min", m)
	}
	return fmt.Sprintf("%d s", s)
}

// escapes are terminal escape sequences: CSI, OSC and two-character ones.
var escapes = regexp.MustCompile("\x1b\\[[0-?]*[ -/]*[@-~]|\x1b\\][^\a\x1b]*(\a|\x1b\\\\)?|\x1b.?|\u009b[0-?]*[ -/]*[@-~]")

// Clean removes from a text terminal escapes, control characters except line breaks and tabs, and characters that are invisible or
// change the direction of writing, except the joiners that some scripts need.
func Clean(s string) string {
	plain := func(c rune) bool {
		return ' ' <= c && c <= '~' || c == '\n' || c == '\t' || !unicode.IsControl(c) && c != utf8.RuneError && (!unicode.In(c, unicode.Cf, unicode.Zl, unicode.Zp) || c == '\u200c' || c == '\u200d')
	}
	if strings.IndexFunc(s, func(c rune) bool { return !plain(c) }) < 0 {
		return s
	}
	return strings.Map(func(c rune) rune {
		if plain(c) {
			return c
		}
		return -1
	}, escapes.ReplaceAllString(s, ""))
}

// Shape describes a demand or offer: "8 GPUs, 64 GiB memory". It is empty for other values, and for one that was too large to
// be kept.
func Shape(canonical string) string {
	if canonical == "" {
		return ""
	}
	var one map[string]json.RawMessage
	if json.Unmarshal([]byte(canonical), &one) == nil {
		return shapeOf(one)
	}
	var many []map[string]json.RawMessage
	if json.Unmarshal([]byte(canonical), &many) != nil || len(many) == 0 {
		return ""
	}
	alike := map[string]int{}
	for _, m := range many {
		if s := shapeOf(m); s != "" {
			alike[s]++
		}
	}
	parts := make([]string, 0, len(alike))
	for _, s := range slices.Sorted(maps.Keys(alike)) {
		parts = append(parts, fmt.Sprintf("%d × %s", alike[s], s))
	}
	return strings.Join(parts[:min(4, len(parts))], " and ")
}

const mostShapes = 8

func shapeOf(m map[string]json.RawMessage) string {
	if string(m["truncated"]) == "true" {
		return ""
	}
	parts := make([]string, 0, len(m))
	for _, k := range slices.Sorted(maps.Keys(m)) {
		n, err := strconv.ParseFloat(string(m[k]), 64)
		if err != nil || len(parts) == mostShapes {
			continue
		}
		parts = append(parts, amount(Clean(k), n))
	}
	return strings.Join(parts, ", ")
}

func amount(name string, n float64) string {
	number := strconv.FormatFloat(n, 'f', -1, 64)
	switch {
	case strings.HasPrefix(name, "accelerator_type:"): // its amount is a token, no number of them
		return "an " + strings.TrimPrefix(name, "accelerator_type:") + " accelerator"
	case strings.HasSuffix(name, "memory") || strings.HasSuffix(name, "memory_bytes"):
		return bytesOf(n) + " " + strings.ReplaceAll(strings.TrimSuffix(name, "_bytes"), "_", " ")
	case name == "CPU" || name == "GPU" || name == "TPU":
		if n == 1 {
			return "1 " + name
		}
		return number + " " + name + "s"
	case name == "num_cpus" || name == "num_gpus":
		return amount(strings.ToUpper(strings.TrimSuffix(strings.TrimPrefix(name, "num_"), "s")), n)
	}
	return number + " × " + name
}

func bytesOf(n float64) string {
	for _, unit := range []struct {
		of   float64
		name string
	}{{1 << 40, "TiB"}, {1 << 30, "GiB"}, {1 << 20, "MiB"}, {1 << 10, "KiB"}} {
		if n >= unit.of {
			return strconv.FormatFloat(float64(int64(n/unit.of*10+0.5))/10, 'f', -1, 64) + " " + unit.name
		}
	}
	return strconv.FormatFloat(n, 'f', -1, 64) + " bytes"
}

// signals are the names of the signals that end processes most often.
var signals = map[int64]string{1: "SIGHUP", 2: "SIGINT", 3: "SIGQUIT", 4: "SIGILL", 6: "SIGABRT", 7: "SIGBUS", 8: "SIGFPE", 9: "SIGKILL", 11: "SIGSEGV", 13: "SIGPIPE", 15: "SIGTERM"}

// Exit describes how a process ended. If a signal ended it, the code is the signal's number, negated or with 128 added.
func Exit(code int64) string {
	signal := int64(0)
	switch {
	case code < 0:
		signal = -code
	case code > 128 && signals[code-128] != "":
		signal = code - 128
	}
	if signal == 0 {
		return fmt.Sprintf("exit code %d", code)
	}
	if name := signals[signal]; name != "" {
		return fmt.Sprintf("killed by signal %d, %s", signal, name)
	}
	return fmt.Sprintf("killed by signal %d", signal)
}
