package main

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/headwayhq/headway/pkg/diagnostics"
)

// sayAll prints what people read at each question of the stories whose names hold one of the words; of all without any.
func sayAll(out io.Writer, dir string, words []string) error {
	stories, err := readStories(dir)
	if err != nil {
		return err
	}
	for _, s := range stories {
		if len(words) > 0 && !slices.ContainsFunc(words, func(w string) bool { return strings.Contains(s.name, w) }) {
			continue
		}
		fmt.Fprintf(out, "\n%s: %s\n", s.name, s.about)
		for _, q := range s.asks {
			a, err := s.answerAt(q.at)
			if err != nil {
				return err
			}
			v := s.viewAt(q.at)
			x := diagnostics.Explain(v, q.at, diagnostics.DefaultPolicy(), diagnostics.Meta{})
			fmt.Fprintf(out, "  after %v: %s %s, %s\n", q.at.Sub(origin), a.Status, a.Health, a.code())
			a.write(out)
			for _, step := range x.Steps {
				fmt.Fprintln(out, "    because:", step.Says)
			}
			if x.NextCheck != nil {
				fmt.Fprintln(out, "    next:", x.NextCheck.At.Sub(origin), x.NextCheck.Health, x.NextCheck.Because)
			}
		}
	}
	return nil
}

func (a *answer) write(out io.Writer) {
	put := func(what, text string) {
		if text != "" {
			fmt.Fprintf(out, "    %s: %s\n", what, text)
		}
	}
	put("blocked", a.Blocked)
	if a.Cause != nil {
		put("cause", a.Cause.Sentence)
		for _, asked := range a.Cause.Asked {
			put("asked", asked.Answer)
		}
	}
	for _, d := range a.Doubts {
		put("doubt", d.Code+": "+d.Sentence)
	}
	for _, text := range a.NextActions {
		put("do", text)
	}
	for _, i := range a.Insights {
		put("insight", i.Message+" "+i.Recommendation)
	}
}
