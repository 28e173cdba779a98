// Command truth measures how true Headway's answers are: it plays labelled stories and compares what is said with what may
// be said. README.md says how to read the table.
package main

import (
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"text/tabwriter"
	"time"
)

func main() {
	dir := flag.String("cases", filepath.Join("truth", "cases"), "folder of stories")
	batches := flag.Int("healthy", healthyBatches, "healthy batches to look at")
	seed := flag.Uint64("seed", 1, "of the healthy batches")
	say := flag.Bool("say", false, "print what is said at each question instead")
	flag.Parse()
	if *say {
		if err := sayAll(os.Stdout, *dir, flag.Args()); err != nil {
			fmt.Fprintln(os.Stderr, "truth:", err)
			os.Exit(2)
		}
		return
	}
	met, err := run(os.Stdout, *dir, *batches, *seed)
	switch {
	case err != nil:
		fmt.Fprintln(os.Stderr, "truth:", err)
		os.Exit(2)
	case !met:
		os.Exit(1)
	}
}

// run prints the table and each miss, and tells whether the bar is met.
func run(out io.Writer, dir string, batches int, seed uint64) (met bool, err error) {
	stories, err := readStories(dir)
	if err != nil {
		return false, err
	}
	rows := map[string]*row{}
	all := &row{}
	var misses []finding
	for _, s := range stories {
		r := rows[s.source]
		if r == nil {
			r = &row{}
			rows[s.source] = r
		}
		found, delays, err := measure(s)
		if err != nil {
			return false, err
		}
		for _, to := range []*row{r, all} {
			to.stories++
			to.take(found, delays)
		}
		for _, f := range found {
			if len(f.misses) > 0 {
				misses = append(misses, f)
			}
		}
	}
	wrong, first, err := falseStuck(seed, batches)
	if err != nil {
		return false, err
	}
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "source\tstories\tasked\tright\tgrounded\tfalse all-clears\tfalse waits\tp50\tp95")
	for _, name := range slices.Sorted(maps.Keys(rows)) {
		rows[name].write(t, name)
	}
	all.write(t, "all")
	if err := t.Flush(); err != nil {
		return false, err
	}
	fmt.Fprintf(out, "called stuck though healthy: %d of %d simulated batches (%.2f %%)\n", wrong, batches, 100*share(wrong, batches))
	if first != "" {
		fmt.Fprintln(out, "  the first:", first)
	}
	for _, f := range misses {
		for _, m := range f.misses {
			fmt.Fprintf(out, "MISS %s line %d: %s\n", f.story.name, f.ask.line, m)
		}
	}
	return all.meetsBar() && share(wrong, batches) <= 0.001, nil
}

func measure(s *story) (found []finding, delays []time.Duration, err error) {
	for _, q := range s.asks {
		f, err := s.judge(q)
		if err != nil {
			return nil, nil, err
		}
		found = append(found, f)
	}
	delays, err = s.delays()
	return found, delays, err
}

// row is one line of the table.
type row struct {
	stories, asked, right, grounded, falseClears, falseWaits int

	delays []time.Duration
}

func (r *row) take(found []finding, delays []time.Duration) {
	for _, f := range found {
		r.asked++
		r.right += count(f.right)
		r.grounded += count(f.grounded)
		r.falseClears += count(f.falseClear)
		r.falseWaits += count(f.falseWait)
	}
	r.delays = append(r.delays, delays...)
}

func count(b bool) int {
	if b {
		return 1
	}
	return 0
}

func (r *row) write(w io.Writer, name string) {
	fmt.Fprintf(w, "%s\t%d\t%d\t%.1f %%\t%.1f %%\t%d\t%d\t%s\t%s\n", name, r.stories, r.asked, 100*share(r.right, r.asked), 100*share(r.grounded, r.asked),
		r.falseClears, r.falseWaits, r.quantile(0.5), r.quantile(0.95))
}

func (r *row) quantile(q float64) string {
	if len(r.delays) == 0 {
		return "-"
	}
	sorted := slices.Sorted(slices.Values(r.delays))
	return sorted[min(len(sorted)-1, int(q*float64(len(sorted))))].String()
}

func share(n, of int) float64 {
	if of == 0 {
		return 0
	}
	return float64(n) / float64(of)
}

// The bar: what has to hold for answers to be trusted.
const (
	leastRight    = 0.95
	leastGrounded = 0.95
	mostP50       = 10 * time.Second
	mostP95       = 90 * time.Second
)

func (r *row) meetsBar() bool {
	sorted := slices.Sorted(slices.Values(r.delays))
	fast := len(sorted) == 0 || sorted[len(sorted)/2] <= mostP50 && sorted[min(len(sorted)-1, len(sorted)*95/100)] <= mostP95
	return share(r.right, r.asked) >= leastRight && share(r.grounded, r.asked) >= leastGrounded && r.falseClears == 0 && r.falseWaits == 0 && fast
}
