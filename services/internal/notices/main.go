// Command notices prints the licences of everything by others that is in Headway's programs and in its dashboard, as these licences
// demand of who passes it on: for each Go module of which a package is linked, Go itself, and each package that the dashboard bundles. It
// fails if one of them has no licence file.
//
//	notices [-lock package-lock.json] PACKAGE…
package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

func main() {
	lock := flag.String("lock", "", "`package-lock.json` whose packages, installed beside it, are in the dashboard")
	flag.Parse()
	if err := run(os.Stdout, *lock, flag.Args()); err != nil {
		_, _ = fmt.Fprintln(os.Stderr, "notices:", err)
		os.Exit(1)
	}
}

func run(to io.Writer, lock string, programs []string) error {
	all, err := linked(programs)
	if err != nil {
		return err
	}
	if lock != "" {
		more, err := bundled(lock)
		if err != nil {
			return err
		}
		maps.Copy(all, more)
	}
	out := bufio.NewWriter(to)
	_, _ = fmt.Fprint(out, "Headway contains software by others, under the licences below.\n")
	for _, name := range slices.Sorted(maps.Keys(all)) {
		files := all[name]
		if len(files) == 0 {
			return fmt.Errorf("%s has no licence file", name)
		}
		for _, file := range slices.Compact(slices.Sorted(slices.Values(files))) {
			text, err := os.ReadFile(file)
			if err != nil {
				return err
			}
			_, _ = fmt.Fprintf(out, "\n%s\n%s, %s\n\n%s\n", strings.Repeat("=", 100), name, filepath.Base(file), bytes.TrimSpace(text))
		}
	}
	return out.Flush()
}

// linked returns the licence files of each module of which the programs link a package: those in the package's folder, and in the
// folders above it up to the module's.
func linked(programs []string) (map[string][]string, error) {
	c := exec.Command("go", append([]string{"list", "-deps", "-json=Dir,Module,Standard"}, programs...)...)
	c.Stderr = os.Stderr
	out, err := c.Output()
	if err != nil {
		return nil, err
	}
	root, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		return nil, err
	}
	all := map[string][]string{"Go's standard library": licences(strings.TrimSpace(string(root)))}
	read := json.NewDecoder(bytes.NewReader(out))
	for {
		var p struct {
			Dir      string
			Standard bool
			Module   *struct {
				Path, Version, Dir string
				Main               bool
			}
		}
		if err := read.Decode(&p); errors.Is(err, io.EOF) {
			return all, nil
		} else if err != nil {
			return nil, fmt.Errorf("what go list says can't be read: %w", err)
		}
		if p.Standard || p.Module == nil || p.Module.Main {
			continue
		}
		name := p.Module.Path + " " + p.Module.Version
		all[name] = append(all[name], licences(p.Module.Dir)...)
		for dir := p.Dir; len(dir) > len(p.Module.Dir); dir = filepath.Dir(dir) {
			all[name] = append(all[name], licences(dir)...)
		}
	}
}

// bundled returns the licence files of the installed packages that aren't for development alone.
func bundled(lock string) (map[string][]string, error) {
	text, err := os.ReadFile(lock)
	if err != nil {
		return nil, err
	}
	var locked struct {
		Packages map[string]struct {
			Version             string
			Dev, Link, Optional bool
		}
	}
	if err := json.Unmarshal(text, &locked); err != nil {
		return nil, fmt.Errorf("%s: %w", lock, err)
	}
	all := map[string][]string{}
	for at, p := range locked.Packages {
		_, name, installed := strings.Cut(at, "node_modules/")
		if installed && !p.Dev && !p.Link && !p.Optional {
			all[name+" "+p.Version] = licences(filepath.Join(filepath.Dir(lock), at))
		}
	}
	return all, nil
}

var licence = regexp.MustCompile(`(?i)^(licen[cs]e|copying|notice|patents|unlicense)([.-].*)?$`)

// licences returns the files in a folder that are licences or notices by their names.
func licences(dir string) (files []string) {
	entries, _ := os.ReadDir(dir) // a folder that can't be read has none, which is reported
	for _, e := range entries {
		if !e.IsDir() && licence.MatchString(e.Name()) && filepath.Ext(e.Name()) != ".go" {
			files = append(files, filepath.Join(dir, e.Name()))
		}
	}
	return files
}
