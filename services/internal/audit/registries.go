package main

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path"
	"slices"
	"strings"
)

// npm asks the registry about all packages of package-lock.json. They needn't be installed.
func npm(ctx context.Context) ([]finding, string, error) {
	if _, err := exec.LookPath("npm"); err != nil {
		return nil, "there is no npm", nil
	}
	out, _ := exec.CommandContext(ctx, "npm", "audit", "--json").Output() // its exit code says only that it found something
	return npmFindings(out)
}

func npmFindings(out []byte) (found []finding, missing string, err error) {
	var report struct {
		Message         string
		Metadata        *struct{}
		Vulnerabilities map[string]struct {
			Via []json.RawMessage
		}
	}
	if err := json.Unmarshal(out, &report); err != nil {
		return nil, "", fmt.Errorf("what npm says can't be read: %w: %.200s", err, out)
	}
	if report.Metadata == nil {
		return nil, "the registry didn't answer: " + report.Message, nil
	}
	for _, name := range slices.Sorted(maps.Keys(report.Vulnerabilities)) {
		for _, via := range report.Vulnerabilities[name].Via {
			var advisory struct{ URL, Title, Severity, Range string }
			if json.Unmarshal(via, &advisory) != nil {
				continue // the name of another package, which has the advisory
			}
			found = append(found, finding{"npm", path.Base(advisory.URL), fmt.Sprintf("%s %s (%s): %s", name, advisory.Range, advisory.Severity, advisory.Title)})
		}
	}
	return found, "", nil
}

// requirements of our Python code. The client itself requires nothing: these test and measure.
var requirements = []string{
	"clients/python/requirements-dev.txt", "services/internal/audit/requirements.txt",
	"services/api/compat/requirements.txt", "services/api/fuzz/requirements.txt", "services/relay/requirements.txt",
}

// pip asks the index about the requirements, and about what they require if it answers at all: that takes minutes to find out.
func pip(ctx context.Context, program string) (found []finding, missing string, err error) {
	if program == "" {
		return nil, "there is no Python with venv, or no package index", nil
	}
	probe := []string{"--no-deps", "--disable-pip", "-r", requirements[0]}
	if _, missing, err := pipAudit(ctx, program, probe); err != nil || missing != "" {
		return nil, missing, err
	}
	for _, r := range requirements {
		of, no, err := pipAudit(ctx, program, []string{"-r", r})
		if err != nil {
			return nil, "", err
		}
		found = append(found, of...)
		if no != "" {
			missing = strings.TrimPrefix(missing+"; ", "; ") + r + ": " + no
		}
	}
	return found, missing, nil
}

func pipAudit(ctx context.Context, program string, arguments []string) ([]finding, string, error) {
	c := exec.CommandContext(ctx, program, append([]string{"-f", "json", "--progress-spinner", "off"}, arguments...)...)
	var said strings.Builder
	c.Stderr = &said
	out, err := c.Output()
	if len(out) == 0 {
		return nil, fmt.Sprintf("no answer (%v): %s", err, last(said.String())), nil
	}
	found, missing, err := pipFindings(out)
	if err != nil {
		_, _ = fmt.Fprint(os.Stderr, said.String())
	}
	return found, missing, err
}

// last is the last line of a text.
func last(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return lines[len(lines)-1]
}

// pipFindings reads a report of pip-audit. It calls packages that the index doesn't answer about skipped, and the rest clean.
func pipFindings(out []byte) (found []finding, missing string, err error) {
	var report struct {
		Dependencies []struct {
			Name, Version string
			Skipped       string `json:"skip_reason"`
			Vulns         []struct {
				ID    string
				Fixed []string `json:"fix_versions"`
			}
		}
	}
	if err := json.Unmarshal(out, &report); err != nil {
		return nil, "", fmt.Errorf("what pip-audit says can't be read: %w: %.200s", err, out)
	}
	var skipped []string
	for _, d := range report.Dependencies {
		if d.Skipped != "" {
			skipped = append(skipped, d.Name)
		}
		for _, v := range d.Vulns {
			found = append(found, finding{"pip-audit", v.ID, fmt.Sprintf("%s %s, fixed in %s", d.Name, d.Version, strings.Join(v.Fixed, ", "))})
		}
	}
	if len(skipped) > 0 {
		missing = "the package index says nothing of vulnerabilities in " + strings.Join(skipped, ", ")
	}
	return found, missing, nil
}
