package cli

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/headwayhq/headway/services/internal/printable"
)

// output is how a verb that reads prints what it read.
type output struct {
	Output choice `name:"output" short:"o" help:"How to print it: ${enum}; json is the same as --json." enum:"text,wide,json,yaml,name" default:"text"`
}

// as is the chosen form.
func (o output) as(json bool) (string, error) {
	switch {
	case !json:
		return string(o.Output), nil
	case o.Output == "text" || o.Output == "json":
		return "json", nil
	}
	return "", ExitError{Code: exitUsage, Err: errors.New("--output: give either --json or --output")}
}

// printed writes one answer as a program reads it, and reports whether that was asked for.
func printed(form, name string, json func() []byte) (bool, error) {
	switch form {
	case "json":
		return true, writeJSON(os.Stdout, json())
	case "yaml":
		text, err := asYAML(json())
		if err == nil {
			_, err = os.Stdout.Write(text)
		}
		return true, err
	case "name":
		_, err := fmt.Fprintln(stdout(), plain(name))
		return true, err
	}
	return false, nil
}

// asYAML is a JSON text as a document of YAML, with the keys in the same order.
func asYAML(json []byte) ([]byte, error) {
	var node yaml.Node
	if err := yaml.Unmarshal(printable.JSON(json), &node); err != nil {
		return nil, err
	}
	blocks(&node)
	var b bytes.Buffer
	b.WriteString("---\n")
	e := yaml.NewEncoder(&b)
	e.SetIndent(2)
	if err := e.Encode(&node); err != nil {
		return nil, err
	}
	return b.Bytes(), e.Close()
}

// oldBools are words that YAML 1.1 reads as true and false. What is a word of 1.2 too, the library quotes itself.
var oldBools = []string{"y", "n", "yes", "no", "on", "off"}

// blocks takes the braces and quotes of JSON away where YAML needs none.
func blocks(n *yaml.Node) {
	n.Style &^= yaml.FlowStyle
	if n.Kind == yaml.ScalarNode && n.Tag == "!!str" && !slices.Contains(oldBools, strings.ToLower(n.Value)) {
		n.Style &^= yaml.DoubleQuotedStyle
	}
	if (n.Kind == yaml.MappingNode || n.Kind == yaml.SequenceNode) && len(n.Content) == 0 {
		n.Style |= yaml.FlowStyle
	}
	for _, c := range n.Content {
		blocks(c)
	}
}
