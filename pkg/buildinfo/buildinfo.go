// Package buildinfo reports version, commit and Go version of a program.
package buildinfo

import (
	"runtime"
	"runtime/debug"
)

// Info is what the Go toolchain recorded in the program.
type Info struct {
	Version  string // of the module, or "devel"
	Commit   string // 12 hex digits; "" if it was built outside a repository
	Modified bool   // the work tree had changes that aren't in the commit
	Go       string // such as "go1.26.8"
}

// Read reads the information of the running program.
func Read() Info {
	i := Info{Version: "devel", Go: runtime.Version()}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return i
	}
	if v := info.Main.Version; v != "" && v != "(devel)" {
		i.Version = v
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			i.Commit = s.Value[:min(12, len(s.Value))]
		case "vcs.modified":
			i.Modified = s.Value == "true"
		}
	}
	return i
}

// String is one line: version, commit and Go.
func (i Info) String() string {
	out := i.Version
	if i.Commit != "" {
		out += ", commit " + i.Commit
		if i.Modified {
			out += " with changes"
		}
	}
	return out + ", " + i.Go
}
