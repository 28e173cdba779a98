package main

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/headwayhq/headway/pkg/diagnostics"
	"github.com/headwayhq/headway/pkg/diagnostics/lint"
)

var update = flag.Bool("update", false, "write said.txt and the table of the README anew")

// coverage is what the stories together have to show: every code, since an event can say each that doesn't follow from others.
func coverage() []string { return diagnostics.CauseCodes() }

// Every code is the cause, or a doubt, at a question of some story, where the story says that it may be.
func TestEveryCodeHasAStory(t *testing.T) {
	stories, err := readStories("cases")
	if err != nil {
		t.Fatal(err)
	}
	shown := map[string]bool{}
	for _, s := range stories {
		for _, q := range s.asks {
			a, err := s.answerAt(q.at)
			if err != nil {
				t.Fatal(err)
			}
			f, err := s.judge(q)
			if err != nil {
				t.Fatal(err)
			}
			for _, miss := range f.misses {
				t.Errorf("%s line %d: %s", s.name, q.line, miss)
			}
			if len(q.Codes) > 0 {
				shown[a.code()] = true
			}
			if len(q.Doubts) > 0 {
				for _, d := range a.Doubts {
					shown[d.Code] = true
				}
			}
		}
	}
	for _, code := range coverage() {
		if !shown[code] {
			t.Errorf("no story shows %s", code)
		}
	}
}

// said.txt holds every sentence of every story, to be read: go test ./truth -update writes it anew.
func TestSaid(t *testing.T) {
	var got bytes.Buffer
	if err := sayAll(&got, "cases", nil); err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile("said.txt", got.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile("said.txt")
	if err != nil {
		t.Fatal(err)
	}
	g, w := strings.Split(got.String(), "\n"), strings.Split(string(want), "\n")
	for i := range max(len(g), len(w)) {
		if i >= len(g) || i >= len(w) || g[i] != w[i] {
			t.Fatalf("said.txt line %d: %q, want %q (go test ./truth -update writes it anew)", i+1, at(g, i), at(w, i))
		}
	}
}

// readmeTable is where the README shows what make truth prints.
var readmeTable = regexp.MustCompile("(?s)(<!-- the output of make truth -->\n```text\n).*?(```\n)")

// The README shows the table of today: go test ./truth -update writes it anew.
func TestReadmeShowsTheTable(t *testing.T) {
	var table bytes.Buffer
	met, err := run(&table, "cases", healthyBatches, 1)
	if err != nil {
		t.Fatal(err)
	}
	if !met {
		t.Errorf("the target isn't met:\n%s", table.String())
	}
	path := filepath.Join("..", "README.md")
	readme, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	shown := readmeTable.FindSubmatch(readme)
	if shown == nil {
		t.Fatal("the README has no place for the table")
	}
	want := slices.Concat(shown[1], table.Bytes(), shown[2])
	if *update {
		if err := os.WriteFile(path, bytes.Replace(readme, shown[0], want, 1), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if !bytes.Equal(shown[0], want) {
		t.Errorf("the README shows\n%s\nbut make truth prints\n%s\n(go test ./truth -update writes it anew)", shown[0], want)
	}
}

func at(lines []string, i int) string {
	if i < len(lines) {
		return lines[i]
	}
	return "the end"
}

// No answer of a story contradicts itself.
func TestStoriesDoNotContradictThemselves(t *testing.T) {
	stories, err := readStories("cases")
	if err != nil {
		t.Fatal(err)
	}
	policy := diagnostics.DefaultPolicy()
	for _, s := range stories {
		var said strings.Builder
		for _, in := range s.inputs {
			said.Write(in.data)
		}
		for _, q := range s.asks {
			v := s.viewAt(q.at)
			a := diagnostics.Render(v, q.at, policy, diagnostics.Meta{})
			x := diagnostics.Explain(v, q.at, policy, diagnostics.Meta{})
			for _, what := range append(lint.Answer(&a, said.String()), lint.Explanation(&a, &x)...) {
				t.Errorf("%s line %d: %s", s.name, q.line, what)
			}
		}
	}
}
