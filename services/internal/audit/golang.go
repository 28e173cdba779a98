package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"golang.org/x/mod/semver"
)

// The database of Go's vulnerabilities, and the module that has the same reports, for where only a module proxy can be reached.
const (
	liveDatabase   = "https://vuln.go.dev"
	databaseModule = "golang.org/x/vulndb@latest"
	answersWithin  = 10 * time.Second
)

func govulncheck(ctx context.Context, version string, modules []string) (found []finding, missing string, err error) {
	reports, from, err := database(ctx)
	if err != nil {
		return nil, err.Error(), nil
	}
	_, _ = fmt.Fprintln(os.Stdout, "govulncheck: with", from)
	old := map[string]string{} // of the standard library: in which version each is fixed
	for _, m := range modules {
		c := exec.CommandContext(ctx, "go", "run", version, "-C", m, "-db", reports, "-format", "json", "./...")
		c.Stderr = os.Stderr
		out, err := c.Output()
		if err != nil {
			return nil, "", fmt.Errorf("in %s: %w", m, err)
		}
		of, err := calledVulnerabilities(out, old)
		if err != nil {
			return nil, "", err
		}
		found = append(found, of...)
	}
	return found, oldGo(old), nil
}

// oldGo says which version of Go has no vulnerability that our code calls. It isn't the tree but the installed Go that has these, and the
// image is built with the newest one.
func oldGo(fixes map[string]string) string {
	if len(fixes) == 0 {
		return ""
	}
	in := slices.SortedFunc(maps.Values(fixes), semver.Compare)
	return fmt.Sprintf("the standard library of %s has %s, all fixed in go%s: build with that or a later one",
		runtime.Version(), strings.Join(slices.Sorted(maps.Keys(fixes)), ", "), strings.TrimPrefix(in[len(in)-1], "v"))
}

// database is where govulncheck finds the vulnerabilities.
func database(ctx context.Context) (url, from string, err error) {
	within, cancel := context.WithTimeout(ctx, answersWithin)
	defer cancel()
	request, err := http.NewRequestWithContext(within, http.MethodGet, liveDatabase+"/index/db.json", nil)
	if err != nil {
		return "", "", err
	}
	if response, err := http.DefaultClient.Do(request); err == nil {
		_ = response.Body.Close()
		if response.StatusCode == http.StatusOK {
			return liveDatabase, "the live database", nil
		}
	}
	out, err := exec.CommandContext(ctx, "go", "mod", "download", "-json", databaseModule).Output()
	var module struct{ Dir, Version, Error string }
	if json.Unmarshal(out, &module) != nil || module.Dir == "" {
		return "", "", fmt.Errorf("neither the live database nor the module %s can be reached (%w)", databaseModule, errors.Join(err, errors.New(module.Error)))
	}
	reports := filepath.Join(module.Dir, "data", "osv")
	if _, err := os.Stat(reports); err != nil {
		return "", "", fmt.Errorf("the module %s has no reports where they were: %w", databaseModule, err)
	}
	return "file://" + filepath.ToSlash(reports), "the reports of " + databaseModule + ", which is " + module.Version + ", because the live database can't be reached", nil
}

// calledVulnerabilities reads the output of govulncheck: the vulnerabilities of which our code calls something. Those of the standard
// library that are fixed are added to old instead.
func calledVulnerabilities(out []byte, old map[string]string) (found []finding, err error) {
	summaries := map[string]string{}
	read := json.NewDecoder(bytes.NewReader(out))
	for {
		var message struct {
			OSV *struct {
				ID, Summary string
			}
			Finding *struct {
				OSV   string
				Fixed string `json:"fixed_version"`
				Trace []struct{ Module, Version, Package, Function string }
			}
		}
		if err := read.Decode(&message); errors.Is(err, io.EOF) {
			return found, nil
		} else if err != nil {
			return nil, fmt.Errorf("what govulncheck says can't be read: %w", err)
		}
		if message.OSV != nil {
			summaries[message.OSV.ID] = message.OSV.Summary
		}
		f := message.Finding
		if f == nil || len(f.Trace) == 0 || f.Trace[0].Function == "" {
			continue // it is only required, or imported
		}
		fixed := "without a fix"
		if f.Fixed != "" {
			fixed = "fixed in " + f.Fixed
		}
		at := f.Trace[0]
		if at.Module == "stdlib" && f.Fixed != "" {
			old[f.OSV] = f.Fixed
			continue
		}
		found = append(found, finding{"govulncheck", f.OSV, fmt.Sprintf("%s: %s.%s of %s@%s, %s", summaries[f.OSV], at.Package, at.Function, at.Module, at.Version, fixed)})
	}
}

// gosec runs the linter as `make lint` does, with the same exceptions.
func gosec(ctx context.Context, version string, modules []string) (found []finding, missing string, err error) {
	config, err := filepath.Abs(".golangci.yml")
	if err != nil {
		return nil, "", err
	}
	for _, m := range modules {
		c := exec.CommandContext(ctx, "go", "run", version, "run", "--allow-parallel-runners", "-c", config, "--enable-only", "gosec",
			"--output.json.path", "stdout", "--show-stats=false", "./...")
		c.Dir = m
		var said strings.Builder
		c.Stderr = &said
		out, err := c.Output()
		of, no := gosecFindings(out)
		if no != "" {
			return found, fmt.Sprintf("%s in %s (%v): %s", no, m, err, last(said.String())), nil
		}
		found = append(found, of...)
	}
	return found, "", nil
}

// gosecFindings reads the report of the linter, which fails both where it finds something and where it can't run.
func gosecFindings(out []byte) (found []finding, missing string) {
	var report struct {
		Issues []struct {
			Text string
			Pos  struct {
				Filename string
				Line     int
			}
		}
		Report *struct{}
	}
	if json.Unmarshal(out, &report) != nil || report.Report == nil {
		return nil, "the linter couldn't run"
	}
	for _, i := range report.Issues {
		rule, _, _ := strings.Cut(i.Text, ":")
		found = append(found, finding{"gosec", fmt.Sprintf("%s@%s:%d", rule, i.Pos.Filename, i.Pos.Line), i.Text})
	}
	return found, ""
}
