package cli

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/alecthomas/kong"

	"github.com/headwayhq/headway/pkg/client"
	"github.com/headwayhq/headway/services/headway/contexts"
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
func Complete(w io.Writer, parser *kong.Kong) bool {
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
	if flag, assigned, found := strings.Cut(last, "="); found && strings.HasPrefix(flag, "--") { // bash takes = as a word of its own
		words, last = append(words, flag), assigned
	}
	for _, c := range candidates(parser, words, last) {
		if c != "" && strings.HasPrefix(c, last) {
			fmt.Fprintln(w, c)
		}
	}
	return true
}

// candidates are the words that may stand after those before: values of a flag, flags, verbs or values of an argument.
func candidates(parser *kong.Kong, before []string, last string) (out []string) {
	node := parser.Model.Node
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
	case flag != nil && slices.Contains([]string{"batch", "namespace", "context"}, flag.Name):
		return knownTo(parser, before[:len(before)-1], flag.Name, last)
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
	if n := len(node.Positional); n > 0 && (arguments < n || node.Positional[n-1].IsCumulative()) {
		argument := node.Positional[min(arguments, n-1)]
		out = append(out, argument.EnumSlice()...)
		if argument.Name == "batch" {
			out = append(out, knownTo(parser, before, "batch", last)...)
		}
	}
	return out
}

const (
	completeWithin = 2 * time.Second
	maxCompleted   = 100
)

// where gives a verb's flags for where to ask; see knownTo.
func (s *shared) where() *shared { return s }

// knownTo asks the API that the line names for its batches or namespaces that begin with what was typed, or lists the contexts. Nobody can
// read errors here, so there is nothing to choose from then.
func knownTo(parser *kong.Kong, before []string, what, last string) (out []string) {
	if what == "context" {
		stored, err := contexts.Load()
		if err != nil {
			return nil
		}
		return slices.Sorted(maps.Keys(stored.Contexts))
	}
	args := slices.Clone(before[min(1, len(before)):])
	k, err := parser.Parse(args)
	if err != nil { // an argument is still missing
		if k, err = parser.Parse(append(args, "x")); err != nil {
			return nil
		}
	}
	verb, ok := k.Selected().Target.Addr().Interface().(interface{ where() *shared })
	if !ok {
		return nil
	}
	s := verb.where()
	r, err := s.reader(nil)
	if err != nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), completeWithin)
	defer cancel()
	if what == "namespace" {
		var answer struct {
			Namespaces []struct{ Namespace string }
		}
		if r.Call(ctx, http.MethodGet, "/v1/namespaces", nil, &answer) != nil {
			return nil
		}
		for _, one := range answer.Namespaces {
			out = append(out, one.Namespace)
		}
		return out
	}
	for row, err := range r.List(ctx, client.ListOptions{Text: last, Sort: "newest", PageSize: maxPage}) {
		if err != nil || len(out) == maxCompleted {
			break
		}
		if strings.HasPrefix(row.BatchID, last) && quoted(row.BatchID) == row.BatchID { // a shell would need quotes for others
			out = append(out, row.BatchID)
		}
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
