package cli

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"text/tabwriter"

	"github.com/headwayhq/headway/pkg/diagnostics"
	"github.com/headwayhq/headway/pkg/policy"
)

// Policy is headway policy.
type Policy struct {
	Check PolicyCheck `cmd:"" help:"Check a policy file, and print what it sets."`
	Show  PolicyShow  `cmd:"" default:"withargs" help:"Print the thresholds of a namespace, and where each of them comes from."`
}

// PolicyCheck is headway policy check.
type PolicyCheck struct {
	File string `arg:"" help:"The policy file."`
	JSON bool   `name:"json" help:"Print one JSON object per line, for programs."`
}

// policyProblem is a problem as JSON.
type policyProblem struct {
	Line   int    `json:"line"`
	Field  string `json:"field"`
	Reason string `json:"reason"`
}

// policyValue is a value as JSON, with the section of the file that has it.
type policyValue struct {
	Section string `json:"section"`
	policy.Value
}

// Run prints each wrong field; without any, what the file sets.
func (c *PolicyCheck) Run() error {
	p, err := policy.Load(c.File)
	var problems policy.Problems
	switch {
	case errors.As(err, &problems):
		for _, one := range problems {
			if err := c.problem(one); err != nil {
				return err
			}
		}
		return ExitError{Code: exitNo}
	case err != nil:
		return ExitError{Code: exitNo, Err: err}
	}
	w := tabwriter.NewWriter(stdout(), 2, 8, 2, ' ', 0)
	if !c.JSON {
		fmt.Fprintln(w, c.File, "is valid, and sets:")
	}
	if err := c.section(w, "default", p.Values(""), policy.SourceFile); err != nil {
		return err
	}
	for _, namespace := range p.Namespaces() {
		if err := c.section(w, "namespaces."+namespace, p.Values(namespace), policy.SourceNamespace); err != nil {
			return err
		}
	}
	return w.Flush()
}

// section prints those of the values that come from one section of the file.
func (c *PolicyCheck) section(out io.Writer, section string, values []policy.Value, from policy.Source) (err error) {
	for _, v := range values {
		switch {
		case v.Source != from:
			continue
		case c.JSON:
			err = encodeJSON(policyValue{section, v})
		default:
			_, err = fmt.Fprintf(out, "  %s.%s\t%s\tline %d\n", section, v.Key, v.Value, v.Line)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (c *PolicyCheck) problem(p policy.Problem) error {
	if c.JSON {
		return encodeJSON(policyProblem(p))
	}
	where, what := c.File, p.Reason
	if p.Line > 0 {
		where += ":" + strconv.Itoa(p.Line)
	}
	if p.Field != "" {
		what = p.Field + ": " + what
	}
	_, err := fmt.Fprintln(stdout(), where+":", what)
	return err
}

// PolicyShow is headway policy show.
type PolicyShow struct {
	Policy    string `help:"The policy file, as the programs take it." type:"path" env:"HEADWAY_POLICY"`
	Namespace string `help:"Namespace whose thresholds to print." default:"default" env:"HEADWAY_NAMESPACE"`
	JSON      bool   `name:"json" help:"Print one JSON object per line, for programs."`
}

// Run prints every key.
func (s *PolicyShow) Run() error {
	if !diagnostics.ValidNamespace(s.Namespace) {
		return ExitError{Code: exitUsage, Err: errors.New("--namespace: must match ^[A-Za-z0-9_-]{1,128}$")}
	}
	p, err := policy.Load(s.Policy)
	if err != nil {
		return ExitError{Code: exitNo, Err: err}
	}
	if s.JSON {
		for _, v := range p.Values(s.Namespace) {
			if err := encodeJSON(v); err != nil {
				return err
			}
		}
		return nil
	}
	return s.write(stdout(), p)
}

func (s *PolicyShow) write(out io.Writer, p *policy.Set) error {
	w := tabwriter.NewWriter(out, 2, 8, 2, ' ', 0)
	fmt.Fprintln(w, "KEY\tVALUE\tFROM")
	for _, v := range p.Values(s.Namespace) {
		from := string(v.Source)
		switch v.Source {
		case policy.SourceFile:
			from = fmt.Sprintf("%s line %d, default", s.Policy, v.Line)
		case policy.SourceNamespace:
			from = fmt.Sprintf("%s line %d, namespaces.%s", s.Policy, v.Line, s.Namespace)
		}
		value := v.Value
		if value == "" {
			value = "–"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\n", v.Key, value, from)
	}
	return w.Flush()
}
