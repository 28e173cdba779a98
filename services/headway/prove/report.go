package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// report prints what was done, and the results.
func (r *run) report(out io.Writer) {
	r.mu.Lock()
	defer r.mu.Unlock()
	fmt.Fprintf(out, "\nseed %d, %v, %d rounds, slack %g, Redis: %s\n", r.Seed, time.Since(r.began).Round(time.Second), r.rounds, r.Slack, r.Redis)
	r.table(out)
	j := r.journal
	fmt.Fprintf(out, "faults %d\nevents %d (%d of them in a log that was deleted before they were compared; attempts: %d acknowledged, %d failed, %d unknown), batches %d, announcements %d, frames %d\n",
		r.faults, j.events, j.void, j.acked, j.failed, j.unknown, r.batches, r.ledger.announce, r.clients.frames)
	fmt.Fprintf(out, "lost %d, wrong %d\n", r.counts["loss"]+r.counts["dead-letters"], r.counts["views"]+r.counts["model"])
	r.recoveryTimes(out, "recovery without wipes", func(x recovery) bool { return !x.wipes })
	r.recoveryTimes(out, "recovery after wipes", func(x recovery) bool { return x.wipes })
	r.recoveryTimes(out, "of these, after a primary was killed", func(x recovery) bool {
		return slices.ContainsFunc(strings.Split(x.fault, "+"), func(name string) bool { return seamFault{name: name}.needs() == replicas })
	})
	if n := len(r.announced); n > 0 {
		slices.Sort(r.announced)
		fmt.Fprintf(out, "announced after its time, of %d that no fault touched: p50 %.1f s, p99 %.1f s, slowest %.1f s\n", n,
			r.announced[n/2].Seconds(), r.announced[min(n-1, n*99/100)].Seconds(), r.announced[n-1].Seconds())
	}
	if r.rawRead > 0 {
		fmt.Fprintf(out, "raw read of the log %.2f s\n", r.rawRead.Seconds())
	}
	for _, c := range checkNames {
		if n := r.counts[c[0]]; n > 0 {
			ignored := ""
			if r.ignored(c[0]) {
				ignored = " (ignored)"
			}
			fmt.Fprintf(out, "BROKEN %-14s %4d times: %s%s\n", c[0], n, c[1], ignored)
		}
	}
	if len(r.violations) == 0 {
		fmt.Fprintln(out, "all promises kept")
	}
}

// wholeTable is how long a run must last for every fault to be expected at every seam.
const wholeTable = 40 * time.Minute

// checkTable checks that after a long run of everything no cell is empty.
func (r *run) checkTable() {
	if r.Time < wholeTable || len(r.Only)+len(r.Without)+len(r.Seam) > 0 {
		return
	}
	for _, f := range r.seamFaults() {
		for _, s := range seams() {
			if name := s.kind + "." + s.name; r.reached[[2]string{f.name, name}] == 0 {
				r.violate("harness", "%s never struck at %s", f.name, name)
			}
		}
	}
	for _, f := range r.otherFaults() {
		if r.reached[[2]string{f.name, ""}] == 0 && (f.name != clockName || r.Clocks) {
			r.violate("harness", "%s never happened", f.name)
		}
	}
}

// table prints how often each fault was injected at each seam: a dot for never, a dash if the seam never occurred.
func (r *run) table(out io.Writer) {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	faults := r.seamFaults()
	fmt.Fprint(w, "seam")
	for _, f := range faults {
		fmt.Fprint(w, "\t"+f.name)
	}
	fmt.Fprintln(w)
	for _, s := range seams() {
		name := s.kind + "." + s.name
		fmt.Fprint(w, name)
		for _, f := range faults {
			cell := [2]string{f.name, name}
			switch {
			case r.reached[cell] > 0:
				fmt.Fprintf(w, "\t%d", r.reached[cell])
			case r.unreached[cell] > 0:
				fmt.Fprint(w, "\t-")
			default:
				fmt.Fprint(w, "\t·")
			}
		}
		fmt.Fprintln(w)
	}
	_ = w.Flush()
	var others []string
	for _, f := range r.otherFaults() {
		others = append(others, fmt.Sprintf("%s %d", f.name, r.reached[[2]string{f.name, ""}]))
	}
	fmt.Fprintln(out, strings.Join(others, ", "))
	for _, not := range r.impossible() {
		fmt.Fprintln(out, "not here:", not)
	}
}

func (r *run) recoveryTimes(out io.Writer, what string, of func(recovery) bool) {
	var all []recovery
	for _, x := range r.recoveries {
		if of(x) && x.fault != "nothing" {
			all = append(all, x)
		}
	}
	if len(all) == 0 {
		return
	}
	slices.SortFunc(all, func(a, b recovery) int { return int(a.took - b.took) })
	at := func(part float64) float64 { return all[min(len(all)-1, int(part*float64(len(all))))].took.Seconds() }
	slowest := all[len(all)-1]
	fmt.Fprintf(out, "%s: p50 %.1f s, p99 %.1f s, slowest %.1f s (%s at %s)\n", what, at(0.5), at(0.99), slowest.took.Seconds(), slowest.fault, slowest.seam)
}
