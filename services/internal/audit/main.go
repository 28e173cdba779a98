package main

import (
	"bufio"
	"context"
	_ "embed"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"os/signal"
	"slices"
	"strings"
)

//go:embed accepted.txt
var acceptedText string

// finding is something that a tool found: a vulnerability that is known under an id.
type finding struct{ tool, id, what string }

// tool asks about one kind of code. missing is why some of it couldn't be asked about.
type tool struct {
	name string
	ask  func(context.Context) (found []finding, missing string, err error)
}

type versions struct{ govulncheck, golangci, pipAudit string }

func main() {
	var v versions
	flag.StringVar(&v.govulncheck, "govulncheck", "", "`package@version` of govulncheck")
	flag.StringVar(&v.golangci, "golangci", "", "`package@version` of golangci-lint, which has gosec")
	flag.StringVar(&v.pipAudit, "pip-audit", "", "`path` of pip-audit; none: there is no Python")
	strict := flag.Bool("strict", false, "fail if something can't be asked")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	accepted, err := acceptedFindings(acceptedText)
	if err == nil {
		err = run(ctx, os.Stdout, tools(v, flag.Args()), accepted, *strict)
	}
	stop()
	if err != nil {
		_, _ = fmt.Fprintln(os.Stderr, "audit:", err)
		os.Exit(1)
	}
}

func tools(v versions, modules []string) []tool {
	return []tool{
		{"govulncheck", func(ctx context.Context) ([]finding, string, error) { return govulncheck(ctx, v.govulncheck, modules) }},
		{"gosec", func(ctx context.Context) ([]finding, string, error) { return gosec(ctx, v.golangci, modules) }},
		{"npm", npm},
		{"pip-audit", func(ctx context.Context) ([]finding, string, error) { return pip(ctx, v.pipAudit) }},
	}
}

// run asks all tools and prints what they find.
func run(ctx context.Context, out io.Writer, all []tool, accepted map[finding]string, strict bool) error {
	bad := 0
	for _, t := range all {
		found, missing, err := t.ask(ctx)
		if err != nil {
			return fmt.Errorf("%s: %w", t.name, err)
		}
		seen := map[finding]bool{}
		for _, f := range found {
			known := finding{f.tool, f.id, ""}
			if seen[known] {
				continue
			}
			seen[known] = true
			if why, ok := accepted[known]; ok {
				_, _ = fmt.Fprintf(out, "%s: accepted %s: %s (%s)\n", t.name, f.id, f.what, why)
				continue
			}
			bad++
			_, _ = fmt.Fprintf(out, "%s: FOUND %s: %s\n", t.name, f.id, f.what)
		}
		if missing != "" {
			_, _ = fmt.Fprintf(out, "NOTE: %s: %s\n", t.name, missing)
			if strict {
				bad++
			}
			continue
		}
		for _, f := range sorted(accepted) {
			if f.tool == t.name && !seen[f] {
				bad++
				_, _ = fmt.Fprintf(out, "%s: accepted.txt has %s, which is found no more: remove it\n", t.name, f.id)
			}
		}
		_, _ = fmt.Fprintf(out, "%s: asked, %d found\n", t.name, len(seen))
	}
	if bad > 0 {
		return fmt.Errorf("%d to be looked at", bad)
	}
	return nil
}

func sorted(accepted map[finding]string) []finding {
	return slices.SortedFunc(maps.Keys(accepted), func(a, b finding) int { return strings.Compare(a.id, b.id) })
}

// acceptedFindings reads lines of a tool, an id and a reason.
func acceptedFindings(text string) (map[finding]string, error) {
	accepted := map[finding]string{}
	lines := bufio.NewScanner(strings.NewReader(text))
	for lines.Scan() {
		line := strings.TrimSpace(lines.Text())
		if line == "" || line[0] == '#' {
			continue
		}
		words := strings.Fields(line)
		if len(words) < 5 {
			return nil, fmt.Errorf("accepted.txt: %q needs a tool, an id, and a reason in words", line)
		}
		accepted[finding{words[0], words[1], ""}] = strings.Join(words[2:], " ")
	}
	return accepted, nil
}
