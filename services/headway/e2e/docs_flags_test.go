package e2e

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
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
	listed   = regexp.MustCompile(`(?m)^  ([a-z]+(?: [a-z]+)?) (?:<|\[|--)`)
	word     = regexp.MustCompile(`^[a-z]+$`)
	call     = regexp.MustCompile("(?:^|[\\s`\"'(|>])(?:bin/)?(headway|ingest|detector|api|relay)((?: +[^\\s`|;&)#]+)+)")
	longFlag = regexp.MustCompile(`^--[a-z][a-z-]*`)
)

// verbs lists the verbs of headway by their first word: "dlq" has "dlq list" and others.
func (p *helps) verbs() map[string][]string {
	p.t.Helper()
	out, err := exec.Command(filepath.Join(p.bin, "headway"), "--help").Output()
	if err != nil {
		p.t.Fatal(err)
	}
	verbs := map[string][]string{}
	for _, m := range listed.FindAllStringSubmatch(string(out), -1) {
		first, _, _ := strings.Cut(m[1], " ")
		verbs[first] = append(verbs[first], m[1])
	}
	if len(verbs) < 10 {
		p.t.Fatalf("headway --help lists these verbs only: %v", verbs)
	}
	return verbs
}

// commands are those that a headway command line may mean: several where only the first word of two is given.
func (p *helps) commands(words []string) []string {
	first := words[0]
	if !word.MatchString(first) {
		return []string{"headway"}
	}
	var out []string
	for _, v := range p.verbs()[first] {
		if len(words) > 1 && v == first+" "+words[1] {
			return []string{"headway " + v}
		}
		out = append(out, "headway "+v)
	}
	return out
}

// check reports a verb or a flag in a piece of shell that the program doesn't have.
func (p *helps) check(where, shell string) (checked int) {
	p.t.Helper()
	for _, m := range call.FindAllStringSubmatch(strings.ReplaceAll(shell, "\\\n", " "), -1) {
		commands, words := []string{m[1]}, strings.Fields(m[2])
		if m[1] == "headway" {
			if commands = p.commands(words); len(commands) == 0 {
				p.t.Errorf("%s: headway has no verb %s", where, words[0])
			}
		}
		for _, w := range words {
			flag := longFlag.FindString(w)
			if flag == "" || len(commands) == 0 {
				continue
			}
			checked++
			if !slices.ContainsFunc(commands, func(c string) bool { return flag == "--help" || p.has(c, flag) }) {
				p.t.Errorf("%s: %s has no flag %s", where, strings.Join(commands, ", "), flag)
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

// Flags of other programs, named in the text: Ray's, and the proving ground's.
var otherFlags = map[string]bool{"--head": true, "--clocks": true, "--fresh": true, "--list": true, "--redis": true, "--slack": true}

// TestDocsFlags holds the verbs, flags, variables and make targets that README and docs name against the programs:
// also those of commands that can't be run, and those within sentences.
func TestDocsFlags(t *testing.T) {
	p := &helps{t: t, bin: docsPrograms(t), help: map[string]string{}}
	all := ""
	for _, c := range []string{"ingest", "detector", "api", "relay"} {
		all += p.of(c) + " "
	}
	for _, verbs := range p.verbs() {
		for _, v := range verbs {
			all += p.of("headway "+v) + " "
		}
	}
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
			if flag := longFlag.FindString(m[1]); flag != "" {
				if checked++; !otherFlags[flag] && !p.has("any", flag) {
					t.Errorf("%s: no program has a flag %s", page, flag)
				}
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
	if checked < 30 {
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
			if i := strings.Index(line, "`headway "); i >= 0 {
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
