package e2e

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// helps knows what the programs' --help says.
type helps struct {
	t    *testing.T
	bin  string
	help map[string]string
}

func (p *helps) of(command string) string {
	p.t.Helper()
	text, known := p.help[command]
	if !known {
		words := append(strings.Fields(command), "--help")
		out, err := exec.Command(filepath.Join(p.bin, words[0]), words[1:]...).CombinedOutput()
		if err != nil {
			p.t.Fatalf("%s --help: %v\n%s", command, err, out)
		}
		text = strings.Join(strings.Fields(string(out)), " ")
		p.help[command] = text
	}
	return text
}

func (p *helps) has(command, flag string) bool {
	return regexp.MustCompile(`(^| |\[)` + regexp.QuoteMeta(flag) + `($|[ =\[,.])`).MatchString(p.of(command))
}

var (
	verb     = regexp.MustCompile(`([a-z]+(?: [a-z]+)?) (?:(?:<[a-z]+>|\[<[a-z]+>[ .]*\]) (?:\.\.\. )?)?\[flags\]`)
	call     = regexp.MustCompile("(?:^|[\\s`\"'(|>])(?:bin/)?(headway|ingest|detector|api|relay)((?: +[^\\s`|;&)#]+)+)")
	longFlag = regexp.MustCompile(`^--[a-z][a-z-]*`)
)

func (p *helps) verbs() map[string]bool {
	out := map[string]bool{}
	for _, m := range verb.FindAllStringSubmatch(p.of("headway"), -1) {
		words := strings.Fields(m[1])
		out[words[len(words)-1]] = true
		out[m[1]] = true
	}
	return out
}

// check reports a verb or a flag in a piece of shell that the program doesn't have.
func (p *helps) check(where, shell string) (checked int) {
	p.t.Helper()
	verbs := p.verbs()
	for _, m := range call.FindAllStringSubmatch(strings.ReplaceAll(shell, "\\\n", " "), -1) {
		command, words := m[1], strings.Fields(m[2])
		if command == "headway" {
			if first := words[0]; regexp.MustCompile(`^[a-z]+$`).MatchString(first) {
				if !verbs[first] {
					p.t.Errorf("%s: `headway %s`: there is no such verb", where, first)
					continue
				}
				command += " " + first
				if first == "dlq" {
					command += " list"
					if len(words) > 1 && verbs["dlq "+words[1]] {
						command = "headway dlq " + words[1]
					}
				}
			}
		}
		for _, w := range words {
			if flag := longFlag.FindString(w); flag != "" {
				checked++
				if flag != "--help" && !p.has(command, flag) {
					p.t.Errorf("%s: %s has no flag %s", where, command, flag)
				}
			}
		}
	}
	return checked
}

var (
	codeSpan = regexp.MustCompile("`([^`\n]+)`")
	variable = regexp.MustCompile(`HEADWAY_[A-Z_]+`)
	target   = regexp.MustCompile(`(?:^|[\s;&])make ((?:[a-z][a-z-]*(?: |$))+)`)
	fences   = regexp.MustCompile("(?ms)^```.*?^```$")
)

// Not of the programs: streams, variables of tests and benches, and of the Python client.
var otherNames = regexp.MustCompile(`^HEADWAY_(EVENTS|HEALTH|DLQ|SOURCE|TEST_\w+|BENCH_\w+|DOCS_BIN|IMAGE|\w+_IMAGE|\w+_PORT)$`)

// Flags of other programs, named in the text.
var otherFlags = map[string]bool{"--head": true}

// TestDocsFlags holds the verbs, flags, variables and make targets that README and docs name against the programs:
// also those of commands that can't be run, and those within sentences.
func TestDocsFlags(t *testing.T) {
	p := &helps{t: t, bin: docsPrograms(t), help: map[string]string{}}
	all := ""
	for _, c := range []string{"ingest", "detector", "api", "relay"} {
		all += p.of(c) + " "
	}
	for v := range p.verbs() {
		if v != "list" && v != "show" && v != "republish" || strings.HasPrefix(v, "dlq ") {
			all += p.of("headway "+v) + " "
		}
	}
	all += p.of("headway list")
	p.help["any"] = all
	makefile := readPage(t, "Makefile")
	checked := 0
	for _, page := range pages(t) {
		for _, b := range blocks(t, page) {
			checked += p.check(page, b.text)
			checkTargets(t, page, b.text, makefile)
		}
		for _, m := range codeSpan.FindAllStringSubmatch(fences.ReplaceAllString(readPage(t, page), ""), -1) {
			checked += p.check(page, m[1])
			checkTargets(t, page, m[1], makefile)
			if flag := longFlag.FindString(m[1]); flag != "" && !otherFlags[flag] && !p.has("any", flag) {
				t.Errorf("%s: no program has a flag %s", page, flag)
			}
			for _, name := range variable.FindAllString(m[1], -1) {
				if !otherNames.MatchString(name) && !strings.Contains(all, "$"+name) {
					t.Errorf("%s: no program reads %s", page, name)
				}
			}
		}
	}
	checked += p.dashboard()
	t.Logf("%d flags checked", checked)
	if checked < 40 {
		t.Error("too few flags were found: does the test still see them?")
	}
}

func checkTargets(t *testing.T, page, text, makefile string) {
	t.Helper()
	for _, m := range target.FindAllStringSubmatch(text, -1) {
		for _, name := range strings.Fields(m[1]) {
			if !regexp.MustCompile(`(?m)^[a-z -]*\b` + regexp.QuoteMeta(name) + `\b[a-z -]*:`).MatchString(makefile) {
				t.Errorf("%s: the Makefile has no target %s", page, name)
			}
		}
	}
}

// dashboard checks the commands that the page shows.
func (p *helps) dashboard() (checked int) {
	p.t.Helper()
	src := filepath.Join(repository, "services/api/dashboard/src")
	commands := 0
	err := filepath.WalkDir(src, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for line := range strings.Lines(string(b)) {
			if i := strings.Index(line, "bin/"); i >= 0 {
				commands++
				// What is filled in stands for a word.
				text := regexp.MustCompile(`\$\{\w+( \? )?`).ReplaceAllString(line[i:], " X ")
				checked += p.check(filepath.Base(path), strings.NewReplacer("`", " ", "}", " ", "'", " ", `"`, " ").Replace(text))
			}
		}
		return nil
	})
	if err != nil {
		p.t.Fatal(err)
	}
	if commands == 0 {
		p.t.Error("the dashboard shows no command any more: does the test still see them?")
	}
	return checked
}

var (
	link    = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	heading = regexp.MustCompile(`(?m)^#+ (.*)$`)
)

// anchors are the names that GitHub gives to the headings of a page.
func anchors(text string) map[string]bool {
	out := map[string]bool{}
	for _, m := range heading.FindAllStringSubmatch(fences.ReplaceAllString(text, ""), -1) {
		name := regexp.MustCompile(`[^\p{L}\p{N} _-]`).ReplaceAllString(strings.ToLower(m[1]), "")
		out[strings.ReplaceAll(name, " ", "-")] = true
	}
	return out
}

// TestDocsLinks follows every relative link, to its heading.
func TestDocsLinks(t *testing.T) {
	for _, page := range pages(t) {
		for _, m := range link.FindAllStringSubmatch(fences.ReplaceAllString(readPage(t, page), ""), -1) {
			path, anchor, _ := strings.Cut(m[1], "#")
			if strings.Contains(path, ":") {
				continue
			}
			to := page
			if path != "" {
				to = filepath.Join(filepath.Dir(page), path)
			}
			if _, err := os.Stat(filepath.Join(repository, to)); err != nil {
				t.Errorf("%s: there is no %s", page, m[1])
			} else if anchor != "" && !anchors(readPage(t, to))[anchor] {
				t.Errorf("%s: %s has no heading for #%s", page, to, anchor)
			}
		}
	}
}
