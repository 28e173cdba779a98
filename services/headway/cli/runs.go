package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/headwayhq/headway/pkg/client"
)

// Runs is headway runs.
type Runs struct {
	shared
	output
	Pipeline string `arg:"" help:"The pipeline."`
	Limit    int    `help:"At most this many; 0: all of the last 400 days." default:"30"`
}

// maxRuns is how many runs one request may ask for.
const maxRuns = 100

// Validate is called by kong.
func (r *Runs) Validate() error {
	if r.Limit < 0 {
		return errors.New("--limit: must not be negative; 0 lists all")
	}
	return nil
}

// Run prints the runs of a pipeline.
func (r *Runs) Run(ctx context.Context) error {
	form, err := r.as(r.JSON)
	if err != nil {
		return err
	}
	from, err := r.reader(nil)
	if err != nil {
		return err
	}
	size := maxRuns
	if r.Limit > 0 {
		size = min(maxRuns, r.Limit)
	}
	var runs []client.Run
	for run, err := range from.Runs(ctx, r.Pipeline, size) {
		if err != nil {
			return r.failed(err, "")
		}
		if _, err := printed(form, run.BatchID, func() []byte { return jsonOf(&run) }); err != nil {
			return err
		}
		if runs = append(runs, run); len(runs) == r.Limit {
			break
		}
	}
	if form != "text" && form != "wide" {
		return nil
	}
	if len(runs) == 0 {
		fmt.Fprintf(os.Stderr, "No run of the pipeline %s in %s.\n", plain(r.Pipeline), place(r.known()))
		return nil
	}
	p := onPaper()
	if form == "wide" {
		p.width = 0
	}
	return p.runs(stdout(), runs, form == "wide", time.Now())
}

func jsonOf(run *client.Run) []byte {
	b, _ := json.Marshal(run) //nolint:errchkjson // plain types
	return b
}

// runs prints runs as a table.
func (p paper) runs(out io.Writer, runs []client.Run, wide bool, now time.Time) error {
	columns := []column{{name: "STATE"}, {name: "BATCH", cut: true}, {name: "STARTED", drop: 3}, {name: "TOOK"}, {name: "WAITED", drop: 5}, {name: "LONGEST WAIT", drop: 4}, {name: "FAILED", drop: 2}}
	if wide {
		columns = append(columns, column{name: "TIERS"}, column{name: "CAUSE"})
	}
	columns = append(columns, column{name: "REASON", drop: 1, cut: true})
	cells := make([][]string, len(runs))
	for i := range runs {
		r := &runs[i]
		state, sign, style := standing(r.Health.String(), plain(r.Status))
		if state == "completed with errors" { // the column is as wide as its widest
			state = "with errors"
		}
		took, failed := "", ""
		if r.DurationSeconds != nil {
			if took = span(*r.DurationSeconds); r.CompletedAt == nil {
				took += " so far"
			}
		}
		if r.FailedDocuments > 0 {
			failed = grouped(r.FailedDocuments)
		}
		cells[i] = []string{p.styled(style, sign+" "+state), plain(r.BatchID), ago(r.StartedAt, now), took, span(r.QueueSeconds), longestWait(r), failed}
		if wide {
			cells[i] = append(cells[i], tierTimes(r), orNothing(r.Cause))
		}
		why := ""
		if r.Sentence != nil {
			why = localized(*r.Sentence, now)
		}
		cells[i] = append(cells[i], why)
	}
	return p.table(out, columns, cells)
}

// waitWords is what jobs wait for in their phases, as the dashboard says it.
var waitWords = map[string]string{
	"queued": "its turn", "quota": "quota", "node_launch": "a node to start", "image": "an image to be pulled", "environment": "its runtime environment", "starting": "its program to start",
}

// longestWait says which tier of a run waited longest, and for what.
func longestWait(r *client.Run) string {
	var most client.RunWait
	tier := 0
	for i := range r.Tiers {
		for _, w := range r.Tiers[i].Waits {
			if w.Seconds > most.Seconds {
				most, tier = w, r.Tiers[i].TierNum
			}
		}
	}
	if most.Seconds == 0 {
		return ""
	}
	what, known := waitWords[most.Phase]
	if !known { // of a later version
		what = plain(strings.ReplaceAll(most.Phase, "_", " "))
	}
	return fmt.Sprintf("%s for %s (tier %d)", span(most.Seconds), what, tier+1)
}

// tierTimes is how long each tier took, one after another.
func tierTimes(r *client.Run) string {
	var out []string
	for i := range r.Tiers {
		t := &r.Tiers[i]
		took := "–"
		if t.DurationSeconds != nil {
			took = span(*t.DurationSeconds)
		}
		if t.Status == "FAILED" {
			took += " (failed)"
		}
		out = append(out, fmt.Sprintf("%d: %s", t.TierNum+1, took))
	}
	return strings.Join(out, ", ")
}
