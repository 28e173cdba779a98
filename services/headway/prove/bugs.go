package main

import (
	"context"
	"fmt"
	"os"
	"slices"
	"text/tabwriter"
	"time"
)

// seededBug is a fault of the product's code that is planted on purpose, under the build tag seeded.
type seededBug struct {
	name, what string
	only       []string // faults that bring it out
	seams      []string
	rate       float64
	long       float64 // share of long pauses and cuts; 0: as usual
}

// seededBugs are planted one at a time. Each undoes one thing that a rule of docs/protocol.md asks for.
func seededBugs() []seededBug {
	return []seededBug{
		{"acknowledge-before-store", "POST answers 202 while the event is still on its way to the log", []string{"kill", "natskill"}, []string{"api.keep", "api.kept"}, 6, 0},
		{"no-compare-and-set", "a commit doesn't compare the fence (rule 1)", []string{"pause"}, []string{"ingest.commit"}, 8, 1},
		{"read-before-subscribe", "a topic is read before it is subscribed to, and nothing compares later", []string{"pause"}, []string{"api.subscribe"}, 6, 0},
		{"no-repair", "after a lost connection nothing compares what is held with the store", []string{"cut"}, []string{"api.push", "api.look"}, 6, 0},
		{"cursor-before-dead-letter", "the cursor passes poison that isn't kept aside yet (rule 12)", []string{"kill", "cut"}, []string{"ingest.bury"}, 6, 0},
		{"dead-letter-again", "a dead letter doesn't expect to be the first on its subject (rule 12)", []string{"wipe", "empty"}, nil, 3, 0},
		{"announce-without-expectation", "an announcement doesn't say after which it comes (rule 10)", []string{"nothing"}, nil, 3, 0},
		{"return-at-first-error", "the detector's round ends with the first partition that fails", []string{"due-unreadable"}, nil, 3, 0},
		{"absence-from-empty", "404 while views are being rebuilt (rule 15)", []string{"wipe", "empty"}, nil, 3, 0},
		{"watermark-is-now", "a reader that is behind says that it has caught up (rule 7)", []string{"wipe", "empty", "kill"}, nil, 6, 0},
		{"cursor-passes-queue", "a heartbeat moves the cursor past what is queued (rule 6)", []string{"kill", "wipe"}, []string{"ingest"}, 8, 0},
		{"unordered-overwrite", "an older frame replaces a newer one (rule 14)", []string{"wipe", "empty"}, nil, 4, 0},
		{"ahead-not-held", "a client that has seen more is shown what there is (rule 14)", []string{"wipe", "empty"}, nil, 4, 0},
		{"namespace-from-query", "the namespace is what the query says, whatever the credential says", []string{"nothing"}, nil, 3, 0},
	}
}

// proveBugs plants one bug after the other, and sees that the checks catch each.
func proveBugs(ctx context.Context, o options, b *built) int {
	type result struct {
		bug, check, says string
		after            time.Duration
	}
	var results []result
	missed := 0
	// Without a bug nothing may be found by the same faults: else what is found proves nothing.
	all := append([]seededBug{{name: "none", what: "nothing is planted: the faults of all bugs find nothing", only: everyFault()}}, seededBugs()...)
	for _, bug := range all {
		if len(o.Bug) > 0 && !slices.Contains(o.Bug, bug.name) || ctx.Err() != nil {
			continue
		}
		fmt.Printf("\nplanted: %s: %s\n", bug.name, bug.what)
		with := o
		with.Time, with.Round, with.First, with.Only, with.Seam = o.Limit, 30*time.Second, true, bug.only, bug.seams
		if bug.name == "none" {
			with.Time, with.Round = controlTime, controlTime
		}
		if bug.rate > 0 {
			with.Rate = bug.rate
		}
		if bug.long > 0 {
			with.Long = bug.long
		}
		r, err := newRun(ctx, with, b, bug.name)
		if err != nil {
			fmt.Fprintln(os.Stderr, "prove:", err)
			return 2
		}
		r.work(ctx)
		r.stop()
		x := result{bug: bug.name, check: "MISSED", after: time.Since(r.began)}
		for _, v := range r.violations {
			if v.check != "harness" && !r.ignored(v.check) {
				x.check, x.says, x.after = v.check, v.says, v.after
				break
			}
		}
		switch found := x.says != ""; {
		case bug.name == "none" && !found:
			x.check = "nothing, as it should be"
		case bug.name == "none" || !found:
			missed++
		}
		results = append(results, x)
	}
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "\nbug\tcaught by\tafter\t")
	for _, x := range results {
		fmt.Fprintf(w, "%s\t%s\t%.0f s\t%.90s\n", x.bug, x.check, x.after.Seconds(), x.says)
	}
	_ = w.Flush()
	if missed > 0 {
		fmt.Printf("%d results are not as they should be\n", missed)
		return 1
	}
	return 0
}

// controlTime is how long the faults of all bugs come where none is planted.
const controlTime = 2 * time.Minute

func everyFault() []string {
	var all []string
	for _, b := range seededBugs() {
		all = append(all, b.only...)
	}
	return all
}
