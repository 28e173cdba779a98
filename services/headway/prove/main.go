package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"
	"unicode"

	"github.com/alecthomas/kong"
)

type options struct {
	Time     time.Duration `help:"How long batches and faults go on." default:"100s"`
	Seed     uint64        `help:"Of workload and faults; 0 takes one from the clock." default:"0"`
	Rate     float64       `help:"Batches that begin in a second." default:"3"`
	Dense    int           `help:"Multiplies the reports of a batch, in the same time." default:"1"`
	AtOnce   int           `help:"At most so many faults at seams strike side by side." default:"2"`
	Beside   int           `help:"So many faults that are aimed at one thing happen side by side." default:"2"`
	Fresh    bool          `help:"Delete the log and make it again at the beginning of each round: what a wipe takes grows with it."`
	Round    time.Duration `help:"How long a round's load lasts; by default at most 3m." default:"0"`
	Redis    string        `help:"What the views are kept on: ${enum}. With sentinels there is a primary and two replicas, a cluster has three primaries with a replica each." enum:"single,sentinel,cluster" default:"single"`
	Only     []string      `help:"Only faults whose names begin with one of these." sep:","`
	Without  []string      `help:"No faults whose names begin with one of these." sep:","`
	Seam     []string      `help:"Only at these seams: a program, or program.seam." sep:","`
	Ignore   []string      `help:"Checks that are counted and don't fail the run." sep:","`
	Bugs     bool          `help:"Plant one bug after the other, and see that each is caught."`
	Bug      []string      `help:"Of these, only." sep:","`
	Limit    time.Duration `help:"How long a planted bug may stay unnoticed." default:"5m"`
	Long     float64       `help:"Share of pauses and cuts that last longer than any lease." default:"0.25"`
	Slack    float64       `help:"Multiplies the limits of time, for a machine that has other things to do." default:"1"`
	Window   time.Duration `help:"Cut the log: events that checkpoints cover are removed after so long, such as 3s."`
	Clocks   bool          `help:"Build programs whose clock can be set wrong (compiles everything anew)."`
	Versions bool          `help:"Run ingest and detector of the fold version before beside the others: they fold everything, and must announce nothing."`
	List     bool          `help:"List faults, seams, checks and bugs, and do nothing."`
	Bin      string        `help:"Directory that has the programs and a nats-server already." type:"existingdir"`
	Keep     bool          `help:"Keep the directory with logs and data even if all is well."`
	First    bool          `help:"End at the first violation."`
}

func main() {
	var o options
	kong.Parse(&o, kong.Name("prove"), kong.Description("Runs Headway's programs, makes everything fail, and checks what was promised."))
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	code := prove(ctx, o)
	stop()
	os.Exit(code)
}

func prove(ctx context.Context, o options) int {
	if o.List {
		o.list()
		return 0
	}
	if o.Seed == 0 {
		o.Seed = uint64(time.Now().UnixNano() % 1_000_000)
	}
	if o.Window > 0 {
		_ = os.Setenv("HEADWAY_LOG_WINDOW", o.Window.String()) // of the programs
	}
	b, err := build(ctx, o)
	if err != nil {
		fmt.Fprintln(os.Stderr, "prove:", err)
		return 2
	}
	defer b.remove()
	if o.Bugs {
		return proveBugs(ctx, o, b)
	}
	r, err := newRun(ctx, o, b, "")
	if err != nil {
		b.keep = true
		fmt.Fprintln(os.Stderr, "prove:", err)
		return 2
	}
	r.work(ctx)
	r.stop()
	r.checkTable()
	r.report(os.Stdout)
	if r.failed() {
		b.keep = true
		fmt.Printf("\nagain: %s\nlogs of all programs: %s\n", again(os.Args[1:], o.Seed), r.dir)
		return 1
	}
	return 0
}

// again returns the command that repeats this run with the same flags and seed.
func again(args []string, seed uint64) string {
	line := []string{"go run ./services/headway/prove"}
	for _, a := range args {
		if strings.ContainsFunc(a, func(c rune) bool {
			return !strings.ContainsRune("-=.,/_", c) && !unicode.IsLetter(c) && !unicode.IsDigit(c)
		}) {
			a = "'" + strings.ReplaceAll(a, "'", `'\''`) + "'"
		}
		line = append(line, a)
	}
	if seeded := slices.ContainsFunc(args, func(a string) bool { return a == "--seed" || strings.HasPrefix(a, "--seed=") }); !seeded {
		line = append(line, fmt.Sprint("--seed ", seed))
	}
	return strings.Join(line, " ")
}

// chosen reports whether a name was selected.
func (o options) chosen(name string) bool {
	for _, w := range o.Without {
		if strings.HasPrefix(name, w) {
			return false
		}
	}
	for _, w := range o.Only {
		if strings.HasPrefix(name, w) {
			return true
		}
	}
	return len(o.Only) == 0
}

func (o options) list() {
	fmt.Println("faults at a seam:")
	for _, f := range o.seamFaults() {
		fmt.Printf("  %-18s %s\n", f.name, f.what)
	}
	fmt.Println("seams:")
	for _, s := range seams() {
		fmt.Printf("  %-18s %s\n", s.name, s.what)
	}
	fmt.Println("other faults:")
	for _, f := range o.otherFaults() {
		fmt.Printf("  %-18s %s\n", f.name, f.what)
	}
	for _, not := range o.impossible() {
		fmt.Println("not here:", not)
	}
	fmt.Println("checks:")
	for _, c := range checkNames {
		fmt.Printf("  %-18s %s\n", c[0], c[1])
	}
	fmt.Println("planted bugs:")
	for _, b := range seededBugs() {
		fmt.Printf("  %-28s %s\n", b.name, b.what)
	}
}
