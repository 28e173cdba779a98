package cli

import (
	"cmp"
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
	Show  PolicyShow  `cmd:"" default:"withargs" help:"Print the thresholds of a namespace or a pipeline, and where each of them comes from."`
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
	for _, namespace := range append([]string{""}, p.Namespaces()...) {
		section := "namespaces." + namespace
		if namespace == "" {
			section = "default"
		}
		if err := c.section(w, section, p.Values(namespace, "")); err != nil {
			return err
		}
		for _, pipeline := range p.Pipelines(namespace) {
			if err := c.section(w, section+".pipelines."+pipeline, p.Values(namespace, pipeline)); err != nil {
				return err
			}
		}
	}
	return w.Flush()
}

// section prints those of the values that come from one section of the file.
func (c *PolicyCheck) section(out io.Writer, section string, values []policy.Value) (err error) {
	for _, v := range values {
		switch {
		case v.Section != section:
			continue
		case c.JSON:
			err = encodeJSON(v)
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
	Pipeline  string `help:"Pipeline of that namespace whose thresholds to print." placeholder:"NAME"`
	JSON      bool   `name:"json" help:"Print one JSON object per line, for programs."`
}

// Run prints every key.
func (s *PolicyShow) Run() error {
	if s.Namespace = cmp.Or(s.Namespace, "default"); !diagnostics.ValidNamespace(s.Namespace) { // the variable may be empty
		return ExitError{Code: exitUsage, Err: errors.New("--namespace: must match ^[A-Za-z0-9_-]{1,128}$")}
	}
	p, err := policy.Load(s.Policy)
	if err != nil {
		return ExitError{Code: exitNo, Err: err}
	}
	if s.JSON {
		for _, v := range p.Values(s.Namespace, s.Pipeline) {
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
	for _, v := range p.Values(s.Namespace, s.Pipeline) {
		from := string(v.Source)
		if v.Section != "" {
			from = fmt.Sprintf("%s line %d, %s", s.Policy, v.Line, v.Section)
		}
		value := v.Value
		if value == "" {
			value = "–"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\n", v.Key, value, from)
	}
	return w.Flush()
}
