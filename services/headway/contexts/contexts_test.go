package contexts

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

func TestPath(t *testing.T) {
	t.Setenv("HOME", "/home/u")
	t.Setenv("HEADWAY_CONTEXTS", "")
	for dir, want := range map[string]string{"": "/home/u/.config/headway/contexts.yaml", "/x": "/x/headway/contexts.yaml"} {
		t.Setenv("XDG_CONFIG_HOME", dir)
		if got, err := Path(); err != nil || got != want {
			t.Errorf("%q: %s, %v", dir, got, err)
		}
	}
	t.Setenv("HEADWAY_CONTEXTS", "/y/z")
	if got, err := Path(); err != nil || got != "/y/z" {
		t.Errorf("%s, %v", got, err)
	}
}

// Changes made at the same time are all kept, a reader never sees half of one, and nobody else may read the file.
func TestUpdatesAreAtomic(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a", "contexts.yaml")
	t.Setenv("HEADWAY_CONTEXTS", path)
	if f, err := Load(); err != nil || len(f.Contexts) != 0 {
		t.Fatalf("%+v, %v", f, err)
	}
	const writers, changes = 4, 10
	var all sync.WaitGroup
	for w := range writers {
		all.Go(func() {
			for i := range changes {
				err := Update(func(f *File) error {
					f.Contexts[fmt.Sprintf("c%d-%d", w, i)] = Context{URL: "http://x", Token: strings.Repeat("k", 100)}
					return nil
				})
				if err != nil {
					t.Error(err)
				}
				if _, err := Load(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	f, err := Load()
	if err != nil || len(f.Contexts) != writers*changes {
		t.Errorf("%d contexts, %v", len(f.Contexts), err)
	}
	for p, want := range map[string]os.FileMode{path: 0o600, filepath.Dir(path): 0o700} {
		if info, err := os.Stat(p); err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: %v, %v", p, info.Mode(), err)
		}
	}
	failed := errors.New("no")
	if err := Update(func(f *File) error { f.Contexts = nil; return failed }); !errors.Is(err, failed) {
		t.Error(err)
	}
	if again, err := Load(); err != nil || len(again.Contexts) != len(f.Contexts) {
		t.Errorf("after a change that failed: %d contexts, %v", len(again.Contexts), err)
	}
	left, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(left) != 2 { // the file and its lock
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// A link, as programs that keep settings in a repository make, stays one.
func TestUpdateKeepsALink(t *testing.T) {
	dir := t.TempDir()
	file, link := filepath.Join(dir, "real.yaml"), filepath.Join(dir, "link.yaml")
	if err := errors.Join(os.WriteFile(file, nil, 0o600), os.Symlink(file, link)); err != nil {
		t.Fatal(err)
	}
	t.Setenv("HEADWAY_CONTEXTS", link)
	if err := Update(func(f *File) error { f.Current = "c"; return nil }); err != nil {
		t.Fatal(err)
	}
	info, err := os.Lstat(link)
	if err != nil || info.Mode()&os.ModeSymlink == 0 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	if f, err := load(file); err != nil || f.Current != "c" {
		t.Errorf("%+v, %v", f, err)
	}
}

// A file that others may read is refused, and no error shows what stands in a file.
func TestUnfitFiles(t *testing.T) {
	path := filepath.Join(t.TempDir(), "contexts.yaml")
	t.Setenv("HEADWAY_CONTEXTS", path)
	for _, c := range []struct {
		mode os.FileMode
		text string
		says string
	}{
		{0o644, "{}", "chmod 600"}, {0o620, "{}", "chmod 600"}, {0o604, "{}", "chmod 600"}, {0o600, "hw_secret: 1", "fields"},
		{0o600, "contexts: {a: hw_secret}", "another type"}, {0o600, "contexts: {a: {token: \"hw_secret", "valid YAML"},
	} {
		if err := os.WriteFile(path, []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, c.mode); err != nil {
			t.Fatal(err)
		}
		_, err := Load()
		if err == nil || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%v %q: %v", c.mode, c.text, err)
		}
	}
}
