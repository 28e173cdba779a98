package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

const repository = "../../.."

// pages are read in this order: what one page sends, the next may read.
func pages(t *testing.T) []string {
	t.Helper()
	out := []string{"README.md", "docs/sending.md", "docs/reading.md"}
	for _, pattern := range []string{"docs/*.md", "docs/operations/*.md", "docs/runbooks/*.md", "*.md", "clients/*/*.md", "truth/*.md"} {
		found, err := filepath.Glob(filepath.Join(repository, pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range found {
			page, err := filepath.Rel(repository, path)
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(strings.Join(out, "\n")+"\n", page+"\n") && page != "CHANGELOG.md" {
				out = append(out, page)
			}
		}
	}
	return out
}

func readPage(t *testing.T, page string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(repository, page))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// block is a fenced block of shell commands, with what a comment before it says about it, which readers don't see:
//
//	<!-- docs: skip REASON -->    can't be run by a test
//	<!-- docs: until REGEXP -->   has commands that don't end: each is ended when it has printed this
type block struct {
	line  int
	text  string
	skip  string
	until *regexp.Regexp
}

var (
	fence  = regexp.MustCompile("(?ms)(?:^<!-- docs: (skip|until) ([^\n]*?) -->\n)?^```sh\n(.*?)^```$")
	marker = regexp.MustCompile(`<!-- docs: `)
)

func blocks(t *testing.T, page string) (out []block) {
	t.Helper()
	text := readPage(t, page)
	marked := 0
	for _, m := range fence.FindAllStringSubmatchIndex(text, -1) {
		b := block{line: 1 + strings.Count(text[:m[6]], "\n"), text: text[m[6]:m[7]]}
		if m[2] >= 0 {
			marked++
			says := text[m[4]:m[5]]
			if text[m[2]:m[3]] == "skip" {
				b.skip = says
			} else {
				b.until = regexp.MustCompile(says)
			}
		}
		out = append(out, b)
	}
	if n := len(marker.FindAllString(text, -1)); n != marked {
		t.Errorf("%s: %d of %d comments don't stand directly before a block of shell commands", page, n-marked, n)
	}
	return out
}

// commands divides a block where the shell would: a quote, a here-document or a backslash goes on in the next line.
func (b block) commands(t *testing.T) (out []string) {
	t.Helper()
	open := ""
	for line := range strings.Lines(b.text) {
		open += line
		if strings.HasSuffix(open, "\\\n") {
			continue
		}
		check := exec.Command("bash", "-n")
		check.Stdin = strings.NewReader(open)
		if said, err := check.CombinedOutput(); err != nil || len(said) > 0 {
			continue
		}
		if c := strings.TrimSpace(open); c != "" && !strings.HasPrefix(c, "#") {
			out = append(out, c)
		}
		open = ""
	}
	if open != "" {
		t.Errorf("line %d: the shell doesn't understand %q", b.line, open)
	}
	return out
}
