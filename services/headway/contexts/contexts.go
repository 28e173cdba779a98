// Package contexts keeps to which Headways one has signed in: a file that only its owner may read, like kubectl's.
//
// # Contract
//
//   - The file has mode 0600 in a directory of mode 0700. One that others may read or write is refused, because it may have keys.
//   - A change replaces the whole file at once, and changes of several processes wait for one another: none is lost, and a reader never
//     sees half of one.
package contexts

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"runtime"

	"github.com/gofrs/flock"
	"go.yaml.in/yaml/v3"
)

// Context is one way to a Headway.
type Context struct {
	URL       string `yaml:"url"`
	Namespace string `yaml:"namespace,omitempty"` // "": the credential's default
	Token     string `yaml:"token,omitempty"`
	Command   string `yaml:"command,omitempty"` // for the shell; it prints a credential
	Files     Files  `yaml:"files,omitempty"`
}

// Files are those of TLS, as absolute paths; "": none.
type Files struct {
	CA   string `yaml:"ca,omitempty"`   // certificates of authorities
	Cert string `yaml:"cert,omitempty"` // of the client
	Key  string `yaml:"key,omitempty"`  // of that certificate
}

// File is what is stored.
type File struct {
	Current  string             `yaml:"current,omitempty"` // a name; "": none
	Contexts map[string]Context `yaml:"contexts,omitempty"`
}

var name = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._:@-]{0,63}$`)

// ValidName reports whether a context may have a name.
func ValidName(s string) bool { return name.MatchString(s) }

var errNoHome = errors.New("there is no home directory, so name the file of contexts")

// Path is HEADWAY_CONTEXTS, else contexts.yaml in $XDG_CONFIG_HOME/headway or ~/.config/headway.
func Path() (string, error) {
	if p := os.Getenv("HEADWAY_CONTEXTS"); p != "" {
		return p, nil
	}
	dir := os.Getenv("XDG_CONFIG_HOME")
	if dir == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return "", fmt.Errorf("HEADWAY_CONTEXTS: %w: %w", errNoHome, err)
		}
		dir = filepath.Join(home, ".config")
	}
	return filepath.Join(dir, "headway", "contexts.yaml"), nil
}

// Load reads the contexts. A file that doesn't exist has none.
func Load() (File, error) {
	path, err := Path()
	switch {
	case errors.Is(err, errNoHome):
		return File{}, nil
	case err != nil:
		return File{}, err
	}
	return load(path)
}

func load(path string) (f File, err error) {
	in, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return f, nil
	}
	if err != nil {
		return f, fmt.Errorf("contexts: %w", err)
	}
	defer in.Close()
	info, err := in.Stat()
	switch {
	case err != nil:
		return f, fmt.Errorf("contexts: %w", err)
	case !info.Mode().IsRegular():
		return f, fmt.Errorf("contexts: %s isn't a file", path)
	case runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0:
		return f, fmt.Errorf("contexts: %s may have keys, and others may read or change it (mode %04o): chmod 600 %s", path, info.Mode().Perm(), path)
	}
	d := yaml.NewDecoder(in)
	d.KnownFields(true) // what a later version wrote would be lost with the next change
	if err := d.Decode(&f); err != nil && !errors.Is(err, io.EOF) {
		return f, fmt.Errorf("contexts: %s can't be read: %s", path, shape(err))
	}
	return f, nil
}

// shape says what is wrong with a file without what stands in it, which may be a key.
func shape(err error) string {
	var wrong *yaml.TypeError
	if errors.As(err, &wrong) {
		return "it has fields that this version doesn't know, or values of another type"
	}
	return "it isn't valid YAML"
}

// Update changes the stored contexts. Nothing is stored if change fails.
func Update(change func(*File) error) error {
	path, err := Path()
	if err != nil {
		return err
	}
	if linked, err := filepath.EvalSymlinks(path); err == nil {
		path = linked // a link stays one
	}
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("contexts: %w", err)
	}
	lock := flock.New(path+".lock", flock.SetPermissions(0o600))
	if err := lock.Lock(); err != nil {
		return fmt.Errorf("contexts: %w", err)
	}
	defer func() { _ = lock.Close() }()
	f, err := load(path)
	if err != nil {
		return err
	}
	if f.Contexts == nil {
		f.Contexts = map[string]Context{}
	}
	if err := change(&f); err != nil {
		return err
	}
	return store(path, f)
}

func store(path string, f File) (err error) {
	var text bytes.Buffer
	e := yaml.NewEncoder(&text)
	e.SetIndent(2)
	if err := e.Encode(f); err != nil {
		return fmt.Errorf("contexts: %w", err)
	}
	out, err := os.CreateTemp(filepath.Dir(path), ".contexts-*") // mode 0600
	if err != nil {
		return fmt.Errorf("contexts: %w", err)
	}
	defer func() {
		if err != nil {
			_ = os.Remove(out.Name())
			err = fmt.Errorf("contexts: %w", err)
		}
	}()
	_, err = out.Write(text.Bytes())
	if err == nil {
		err = out.Sync()
	}
	if err = errors.Join(err, out.Close()); err != nil {
		return err
	}
	return os.Rename(out.Name(), path)
}
