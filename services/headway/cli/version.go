package cli

import (
	"fmt"
	"os"

	"github.com/headwayhq/headway/pkg/buildinfo"
)

// Version prints from what the program was built.
type Version struct {
	JSON bool `name:"json" help:"Print one JSON object."`
}

// Run prints the version, the commit and the version of Go.
func (v *Version) Run() error {
	info := buildinfo.Read()
	if v.JSON {
		return encodeJSON(map[string]any{"version": info.Version, "commit": info.Commit, "modified": info.Modified, "go": info.Go})
	}
	_, err := fmt.Fprintln(os.Stdout, "headway", info)
	return err
}
