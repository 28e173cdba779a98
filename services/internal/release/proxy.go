// Package release builds what a tagged release offers to other people's go command, from the present tree: a module
// proxy on disk. The modules of this repository require one another at the version of the next release, which can't be
// downloaded before it is tagged. So `make tidy` and the tests of installing Headway use this proxy instead.
package release

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/mod/modfile"
	"golang.org/x/mod/module"
	"golang.org/x/mod/zip"
)

// modules are the folders of the released modules, in the order of their dependencies.
var modules = []string{"pkg/diagnostics", "pkg/client", "."}

// Version returns the version at which the modules of the tree at root require one another.
func Version(root string) (string, error) {
	f, err := parse(root)
	if err != nil {
		return "", err
	}
	for _, r := range f.Require {
		if r.Mod.Path == f.Module.Mod.Path+"/pkg/client" {
			return r.Mod.Version, nil
		}
	}
	return "", errors.New("release: go.mod doesn't require pkg/client")
}

func parse(dir string) (*modfile.File, error) {
	data, err := os.ReadFile(filepath.Join(dir, "go.mod"))
	if err != nil {
		return nil, fmt.Errorf("release: %w", err)
	}
	f, err := modfile.Parse("go.mod", data, nil)
	if err != nil {
		return nil, fmt.Errorf("release: %w", err)
	}
	return f, nil
}

// Proxy writes the modules of the tree at root to dir, in the layout of a module proxy (GOPROXY=file://dir), as if
// their version were tagged now. It includes all files that git tracks or would add.
func Proxy(ctx context.Context, root, dir string) error {
	version, err := Version(root)
	if err != nil {
		return err
	}
	files, err := treeFiles(ctx, root)
	if err != nil {
		return err
	}
	for _, folder := range modules {
		if err := write(root, dir, folder, version, files); err != nil {
			return fmt.Errorf("release: %s: %w", folder, err)
		}
	}
	return nil
}

// treeFiles returns the paths of the tree's files, relative to root, with slashes.
func treeFiles(ctx context.Context, root string) ([]string, error) {
	c := exec.CommandContext(ctx, "git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
	c.Dir = root
	out, err := c.Output()
	if err != nil {
		return nil, fmt.Errorf("release: git ls-files: %w", err)
	}
	var files []string
	for name := range strings.SplitSeq(strings.TrimRight(string(out), "\x00"), "\x00") {
		if info, err := os.Lstat(filepath.Join(root, name)); err == nil && info.Mode().IsRegular() {
			files = append(files, name)
		}
	}
	return files, nil
}

func write(root, dir, folder, version string, files []string) error {
	f, err := parse(filepath.Join(root, folder))
	if err != nil {
		return err
	}
	m := module.Version{Path: f.Module.Mod.Path, Version: version}
	at := filepath.Join(dir, filepath.FromSlash(m.Path), "@v")
	if err := os.MkdirAll(at, 0o750); err != nil {
		return err
	}
	var archive bytes.Buffer
	if err := zip.Create(&archive, m, members(root, folder, files)); err != nil {
		return err
	}
	goMod, err := os.ReadFile(filepath.Join(root, folder, "go.mod"))
	if err != nil {
		return err
	}
	info, err := json.Marshal(map[string]any{"Version": version, "Time": time.Now().UTC()})
	if err != nil {
		return err
	}
	for name, data := range map[string][]byte{
		"list": []byte(version + "\n"), version + ".info": info, version + ".mod": goMod, version + ".zip": archive.Bytes(),
	} {
		if err := os.WriteFile(filepath.Join(at, name), data, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// members returns the files of one module: those in its folder and in no other module's, and the repository's license,
// which the go command adds to modules without their own.
func members(root, folder string, files []string) []zip.File {
	nested := map[string]bool{}
	for _, name := range files {
		if path.Base(name) == "go.mod" && path.Dir(name) != folder {
			nested[path.Dir(name)] = true
		}
	}
	var out []zip.File
	licensed := false
	for _, name := range files {
		inner, below := name, true
		if folder != "." {
			inner, below = strings.CutPrefix(name, folder+"/")
		}
		for d := path.Dir(name); below && d != folder && d != "."; d = path.Dir(d) {
			below = !nested[d]
		}
		if below {
			licensed = licensed || inner == "LICENSE"
			out = append(out, member{inner, filepath.Join(root, name)})
		}
	}
	if !licensed {
		out = append(out, member{"LICENSE", filepath.Join(root, "LICENSE")})
	}
	return out
}

type member struct{ name, file string }

func (m member) Path() string                 { return m.name }
func (m member) Lstat() (os.FileInfo, error)  { return os.Lstat(m.file) }
func (m member) Open() (io.ReadCloser, error) { return os.Open(m.file) }
