package diagnostics

import (
	"bytes"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/headwayhq/headway/pkg/diagnostics/internal/cause"
)

const causesDoc = "../../docs/causes.md"

// docs/causes.md agrees with the table in the code.
func TestCausesDocIsUpToDate(t *testing.T) {
	got := causesPage()
	if *update {
		if err := os.WriteFile(causesDoc, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(causesDoc)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("%s isn't what follows from the table (%v): go test ./pkg/diagnostics -run Causes -update", causesDoc, err)
	}
}

func causesPage() []byte {
	var b bytes.Buffer
	b.WriteString(`# Causes

Everything that waits, failed or is in doubt has a code. The code is an open string: a client must survive one that it doesn't know. This page is
made from the table in ` + "`pkg/diagnostics/internal/cause`" + `; [semantics.md](semantics.md) says how causes are chosen.

- **Waiting helps**: Headway advises to wait only with *yes*, and only inside the limit.
- **Who acts**: who has to do something about it.
- **Stuck**: how long after the cause's ` + "`since`" + ` it makes its tier stuck. *timer*: only the row of the health table does; *timeout*, *window*,
  *grace* and *queued* are keys of the policy. Each can be set by code under ` + "`stuck_after`" + `.

| code | said when | waiting helps | who acts | stuck |
|---|---|---|---|---|
`)
	for _, r := range cause.Table() {
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s |\n", r.Code, r.Said, r.Helps, r.Who, limitWords(r.Stuck))
	}
	b.WriteString(`
` + "`REPORTING:*`" + ` are doubts: they stand in ` + "`doubts`" + ` beside a cause. Only ` + "`REPORTING:REFUSED`" + ` can be a cause, where refused events may explain a silence.
`)
	return b.Bytes()
}

func limitWords(l cause.Limit) string {
	switch l.Kind {
	case cause.LimitTimer:
		return "timer"
	case cause.LimitNever:
		return "never"
	case cause.LimitAtOnce:
		return "at once"
	case cause.LimitGrace:
		return "grace"
	case cause.LimitWindow:
		return "window"
	case cause.LimitTimeout:
		return "timeout"
	case cause.LimitQueued:
		return "queued"
	}
	return cause.Lasting(l.Time)
}

// Each row of the table is complete, and its texts use only parameters that exist.
func TestCauseTable(t *testing.T) {
	known := map[string]bool{}
	for _, p := range []string{
		"job", "tier", "subject", "since", "needs", "offered", "detail", "heard", "while", "total", "count", "reach", "error", "what", "nojob", "submit", "unfinished",
		"again", "over", "short", "rest", "runs", "still", "correct", "unsaid", "clock", "source", "by", "from", "to", "action",
	} {
		known[p] = true
	}
	seen := map[cause.Code]bool{}
	for _, r := range cause.Table() {
		if seen[r.Code] || r.Said == "" || r.Who == "" || r.Helps == "" || r.Sentence == "" || r.Action == "" && r.Code != cause.Stopped {
			t.Errorf("%s: twice, or not whole: %+v", r.Code, r)
		}
		seen[r.Code] = true
		for _, m := range regexp.MustCompile(`\{([a-z]+)\}`).FindAllStringSubmatch(r.Sentence+r.Action, -1) {
			if !known[m[1]] {
				t.Errorf("%s: no parameter %s", r.Code, m[1])
			}
		}
		for _, text := range []string{r.Sentence, r.Action} {
			if strings.Contains(strings.ToLower(text), "gpu") || strings.Contains(text, "Ray") {
				t.Errorf("%s names what only a source may name: %s", r.Code, text)
			}
		}
		if r.Helps == cause.Yes && r.Stuck.Kind == cause.LimitNever {
			t.Errorf("%s: waiting helps, and nothing ends it", r.Code)
		}
	}
}

func TestTextsOfCauses(t *testing.T) {
	for in, out := range map[string]string{
		`{"GPU":8,"memory":68719476736}`: "8 GPUs, 64 GiB memory", `{"CPU":1}`: "1 CPU", `[{"CPU":1},{"CPU":1},{"GPU":2}]`: "2 × 1 CPU and 1 × 2 GPUs",
		`"x"`: "", ``: "", `null`: "", `{"a":null}`: "",
	} {
		want(t, in, cause.Shape(in), out)
	}
	want(t, "clean", cause.Clean("\x1b[31mred\x1b[0m\a \x1b]0;title\atext\u009b1m"), "red text")
	want(t, "signal", cause.Exit(-9), "killed by signal 9, SIGKILL")
	want(t, "signal", cause.Exit(143), "killed by signal 15, SIGTERM")
	want(t, "code", cause.Exit(3), "exit code 3")
}
