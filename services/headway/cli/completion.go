package cli

import (
	"fmt"
	"os"
	"path/filepath"
)

// Completion is headway completion.
type Completion struct {
	Shell string `arg:"" help:"${enum}." enum:"bash,zsh,fish"`
}

// Help is called by kong.
func (Completion) Help() string {
	return `Prints what makes the shell complete verbs, flags and their values:

  bash: source <(headway completion bash)      in ~/.bashrc
  zsh:  source <(headway completion zsh)       in ~/.zshrc
  fish: headway completion fish | source       in ~/.config/fish/config.fish`
}

// The shells ask the program itself, with COMP_LINE set: see main.
var completions = map[string]string{
	"bash": "complete -o default -o bashdefault -C %[1]q %[2]s\n",
	"zsh":  "autoload -U +X compinit && compinit\nautoload -U +X bashcompinit && bashcompinit\ncomplete -o default -o bashdefault -C %[1]q %[2]s\n",
	"fish": "function __%[2]s_complete\n  set -lx COMP_LINE (commandline -cp)\n  test -z (commandline -ct); and set COMP_LINE \"$COMP_LINE \"\n  %[1]q\nend\ncomplete -f -c %[2]s -a '(__%[2]s_complete)'\n",
}

// Run prints the code.
func (c *Completion) Run() error {
	path, err := os.Executable()
	if err != nil {
		return fmt.Errorf("completion: %w", err)
	}
	_, err = fmt.Fprintf(os.Stdout, completions[c.Shell], path, filepath.Base(path))
	return err
}
