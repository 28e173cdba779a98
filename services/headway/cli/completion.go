package cli

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/alecthomas/kong"
)

// Completion is headway completion.
type Completion struct {
	Shell choice `arg:"" help:"${enum}." enum:"bash,zsh,fish"`
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
	_, err = fmt.Fprintf(os.Stdout, completions[string(c.Shell)], path, filepath.Base(path))
	return err
}

// Complete answers a shell that asks with COMP_LINE, and returns whether one did: it writes what the last word of the line may become, a
// word a line. Where it writes nothing, the shell offers files.
func Complete(w io.Writer, app *kong.Application) bool {
	line, asked := os.LookupEnv("COMP_LINE")
	if !asked {
		return false
	}
	if n, err := strconv.Atoi(os.Getenv("COMP_POINT")); err == nil && n >= 0 && n < len(line) {
		line = line[:n] // up to the cursor
	}
	words := strings.Fields(line)
	last := ""
	if n := len(words); n > 0 && !strings.HasSuffix(line, " ") {
		words, last = words[:n-1], words[n-1]
	}
	for _, c := range candidates(app.Node, words, last) {
		if c != "" && strings.HasPrefix(c, last) {
			fmt.Fprintln(w, c)
		}
	}
	return true
}

// candidates are the words that may stand after those before: values of a flag, flags, verbs or values of an argument.
func candidates(node *kong.Node, before []string, last string) (out []string) {
	var flag *kong.Flag // that the word before wants a value for
	arguments := 0
	for _, word := range before[min(1, len(before)):] {
		switch child := verb(node, word); {
		case flag != nil:
			flag = nil
		case strings.HasPrefix(word, "-"):
			flag = wantsValue(node, word)
		case child != nil:
			node, arguments = child, 0
		default:
			arguments++
		}
	}
	switch {
	case flag != nil:
		return flag.EnumSlice()
	case strings.HasPrefix(last, "-"):
		for n := node; n != nil; n = n.Parent {
			for _, f := range n.Flags {
				if !f.Hidden {
					out = append(out, "--"+f.Name)
				}
			}
		}
		return out
	}
	for _, child := range node.Children {
		if !child.Hidden {
			out = append(out, child.Name)
		}
	}
	if arguments < len(node.Positional) {
		out = append(out, node.Positional[arguments].EnumSlice()...)
	}
	return out
}

func verb(node *kong.Node, word string) *kong.Node {
	if i := slices.IndexFunc(node.Children, func(c *kong.Node) bool { return c.Name == word }); i >= 0 {
		return node.Children[i]
	}
	return nil
}

// wantsValue returns the flag whose value is the next word; nil where the word has it already, or the flag takes none.
func wantsValue(node *kong.Node, word string) *kong.Flag {
	for ; node != nil; node = node.Parent {
		for _, f := range node.Flags {
			if (word == "--"+f.Name || f.Short != 0 && word == "-"+string(f.Short)) && !f.IsBool() {
				return f
			}
		}
	}
	return nil
}
