package cli

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/headwayhq/headway/services/headway/contexts"
)

// Contexts is headway contexts.
type Contexts struct {
	List   ContextsList   `cmd:"" default:"withargs" help:"List the contexts."`
	Use    ContextsUse    `cmd:"" help:"Make a context the current one."`
	Delete ContextsDelete `cmd:"" help:"Delete a context, with its credential."`
}

// ContextsList is headway contexts list.
type ContextsList struct {
	JSON bool `name:"json" help:"Print one JSON object per line, for programs."`
}

type contextJSON struct {
	Name       string `json:"name"`
	Current    bool   `json:"current"`
	URL        string `json:"url"`
	Namespace  string `json:"namespace"`
	Credential string `json:"credential"`
}

// Run lists the contexts. No key is shown, but its id.
func (c *ContextsList) Run() error {
	stored, err := contexts.Load()
	if err != nil {
		return ExitError{Code: exitUsage, Err: err}
	}
	if len(stored.Contexts) == 0 {
		fmt.Fprintln(os.Stderr, "No contexts: headway login --url URL makes one.")
		return nil
	}
	w := tabwriter.NewWriter(stdout(), 2, 8, 2, ' ', 0)
	if !c.JSON {
		_, _ = fmt.Fprintln(w, "CURRENT\tNAME\tURL\tNAMESPACE\tCREDENTIAL")
	}
	for _, name := range slices.Sorted(maps.Keys(stored.Contexts)) {
		x := stored.Contexts[name]
		line := contextJSON{name, name == stored.Current, bare(x.URL), x.Namespace, kindOf(x)}
		if c.JSON {
			if err := encodeJSON(line); err != nil {
				return err
			}
			continue
		}
		current := ""
		if line.Current {
			current = "*"
		}
		_, _ = fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", current, plain(name), line.URL, plain(x.Namespace), plain(line.Credential))
	}
	return w.Flush()
}

// kindOf says what a context signs in with, without its secret.
func kindOf(c contexts.Context) string {
	switch {
	case c.Command != "":
		return "command"
	case c.Token == "":
		return "none"
	}
	if parts := strings.Split(c.Token, "_"); len(parts) == 3 && parts[0] == "hw" {
		return "key " + parts[1]
	}
	return "token"
}

// ContextsUse is headway contexts use.
type ContextsUse struct {
	Name string `arg:"" help:"The context."`
}

// Run makes a context the current one.
func (c *ContextsUse) Run() error {
	return contexts.Update(func(f *contexts.File) error {
		if _, known := f.Contexts[c.Name]; !known {
			return noContext("name", c.Name)
		}
		f.Current = c.Name
		return nil
	})
}

// ContextsDelete is headway contexts delete.
type ContextsDelete struct {
	Name string `arg:"" help:"The context."`
}

// Run deletes a context.
func (c *ContextsDelete) Run() error {
	return contexts.Update(func(f *contexts.File) error {
		if _, known := f.Contexts[c.Name]; !known {
			return noContext("name", c.Name)
		}
		delete(f.Contexts, c.Name)
		if f.Current == c.Name {
			f.Current = ""
		}
		return nil
	})
}
