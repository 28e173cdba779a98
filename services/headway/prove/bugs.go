package main

import (
	"context"
	"fmt"
	"os"
	"slices"
	"text/tabwriter"
	"time"
)

// seededBug is a deliberate bug in the product's code, compiled in with the build tag seeded.
type seededBug struct {
	name, what string
	only       []string // faults that expose it
	seams      []string
	long       float64 // share of long pauses and cuts
	dense      int     // reports of a batch, for bugs that show only while there is much to read again
}

// seededBugs are activated one at a time. Each breaks one thing that a rule of docs/protocol.md requires.
func seededBugs() []seededBug {
	wipes := []string{"wipe", "empty", outageName}
	return []seededBug{
		{"acknowledge-before-store", "POST answers 202 while the event is still on its way to the log", []string{"kill", "natskill"}, []string{"api.keep", "api.kept"}, 0, 1},
		{"no-compare-and-set", "a commit doesn't compare the fence (rule 1)", []string{"pause"}, []string{"ingest.read", "ingest.load"}, 1, 4},
		{"read-before-subscribe", "a topic is read before it is subscribed to, and nothing compares later", []string{"pause"}, []string{"api.subscribe"}, 1, 1},
		{"no-repair", "after a lost connection nothing compares what is held with the store", []string{"cut"}, []string{"api.push", "api.look"}, 0.25, 1},
		{"cursor-before-dead-letter", "the cursor passes poison that isn't kept aside yet (rule 12)", []string{"kill", "cut"}, []string{"ingest.bury"}, 0, 1},
		{"dead-letter-again", "a dead letter doesn't expect to be the first on its subject (rule 12)", wipes, nil, 0, 1},
		{"announce-without-expectation", "an announcement doesn't say after which it comes (rule 10)", []string{"pause"}, []string{"detector.announce"}, 0, 1},
		{"return-at-first-error", "the detector's round ends with the first partition that fails", []string{"due-unreadable"}, nil, 0, 1},
		{"absence-from-empty", "404 while views are being rebuilt (rule 15)", wipes, nil, 0, 1},
		{"watermark-is-now", "a reader that is behind says that it has caught up (rule 7)", []string{outageName}, nil, 0, 6},
		{"cursor-passes-queue", "a heartbeat moves the cursor past what is queued (rule 6)", wipes, nil, 0, 6},
		{"unordered-overwrite", "an older frame replaces a newer one (rule 14)", wipes, nil, 0, 1},
		{"ahead-not-held", "a client that has seen more is shown what there is (rule 14)", []string{"rollback", "kill", "pause"}, []string{"api.look", "ingest.commit", "detector.due"}, 1, 4},
		{"namespace-from-query", "the namespace is what the query says, whatever the credential says", []string{"nothing"}, nil, 0, 1},
	}
}

// bugRate is how many batches begin per second while a bug is active.
const bugRate = 6

// bugBeside is how many scoped faults then happen concurrently. A damaged due index is repaired many times a second,
// so a single fault is rarely noticed.
const bugBeside = 8

// proveBugs activates one bug after the other, and checks that the checks detect each.
func proveBugs(ctx context.Context, o options, b *built) int {
	type result struct {
		bug, check, says string
		after            time.Duration
	}
	var results []result
	missed := 0
	// Without a bug the same faults must not lead to any finding; otherwise the other findings prove nothing.
	all := append([]seededBug{{name: "none", what: "nothing is planted: the faults of all bugs find nothing", only: everyFault(), long: 0.25, dense: 4}}, seededBugs()...)
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
		with.Rate, with.Long, with.Dense, with.AtOnce, with.Beside = bugRate, bug.long, bug.dense, 3, bugBeside
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

// controlTime is how long the faults of all bugs are injected without a bug.
const controlTime = 2 * time.Minute

func everyFault() []string {
	var all []string
	for _, b := range seededBugs() {
		all = append(all, b.only...)
	}
	return all
}
