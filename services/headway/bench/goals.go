package main

import (
	"fmt"
	"os"
	"text/tabwriter"
)

// goal is a target for a figure.
type goal struct {
	what   string
	is     float64
	unit   string
	target float64
	most   bool // the target is the most that it may be, else the least
}

// goals are those of the parts that have run, in their order.
var goals []goal

func atMost(target float64, what string, is float64, unit string) {
	goals = append(goals, goal{what, is, unit, target, true})
}

func atLeast(target float64, what string, is float64, unit string) {
	goals = append(goals, goal{what, is, unit, target, false})
}

func (g goal) met() bool {
	if g.most {
		return g.is <= g.target
	}
	return g.is >= g.target
}

// printGoals prints all goals with what was measured.
func printGoals() {
	if len(goals) == 0 {
		return
	}
	fmt.Println()
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "goal\tmeasured\ttarget\t")
	for _, g := range goals {
		sign, says := "≥", "not met"
		if g.most {
			sign = "≤"
		}
		if g.met() {
			says = "met"
		}
		fmt.Fprintf(w, "%s\t%.3g%s\t%s %g%s\t%s\n", g.what, g.is, g.unit, sign, g.target, g.unit, says)
	}
	_ = w.Flush()
}
