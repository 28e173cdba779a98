package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/headwayhq/headway/pkg/client"
)

// Wait is headway wait.
type Wait struct {
	shared
	Batches []string      `arg:"" name:"batch" help:"The batches."`
	For     choice        `help:"Until each is completed, stuck, or over, that is ended in any way." enum:"completed,stuck,over" default:"completed"`
	Timeout time.Duration `help:"How long at most, also for a batch that nobody has heard of yet." default:"30m"`
	Wait    time.Duration `help:"How long to wait for an unreachable API before giving up." default:"2m"`
	Report  string        `help:"Write what came of each batch as JUnit XML to this file." placeholder:"FILE"`
	Quiet   bool          `help:"Print no changes on the way."`
}

// Help is called by kong.
func (Wait) Help() string {
	return "Changes on the way go to standard error, what came of each batch to standard output.\n\n" +
		"Exit codes: 0 reached by all batches; 1 a batch ended otherwise; 3 can't be told: unreachable, no access, interrupted; 4 the time is over. Of several, the first of 3, 4, 1, 0 counts."
}

// Validate is called by kong.
func (w *Wait) Validate() error {
	switch {
	case len(w.Batches) > maxWatched:
		return fmt.Errorf("at most %d batches at once", maxWatched)
	case w.Timeout <= 0:
		return errors.New("--timeout: must be more than 0")
	case w.Wait <= 0:
		return errors.New("--wait: must be more than 0")
	}
	return nil
}

// The outcomes of a wait for a batch.
const (
	outcomeReached = "reached"
	outcomeEnded   = "ended"   // otherwise
	outcomeTimeout = "timeout" // neither, and the server was heard until then
	outcomeUnknown = "unknown" // the server wasn't heard, or gave no answer
)

var outcomeCodes = map[string]int{outcomeReached: 0, outcomeEnded: exitNo, outcomeTimeout: exitTimeout, outcomeUnknown: exitUnknown}

// outcome is what came of the wait for one batch.
type outcome struct {
	Batch   string  `json:"batch_id"`
	For     string  `json:"for"`
	Outcome string  `json:"outcome"`
	Status  *string `json:"status"` // null: nobody has heard of the batch
	Health  *string `json:"health"`
	Cause   *string `json:"cause"`
	Says    string  `json:"says"`
	Seconds float64 `json:"waited_seconds"`

	next []string // actions, for the report
}

// reached reports whether a batch is as it was waited for.
func reached(what string, s *client.Snapshot) bool {
	switch what {
	case "stuck":
		return s.Health.String() == "stuck"
	case "over":
		return over(s.Status)
	}
	return s.Status == "COMPLETED" || s.Status == "SKIPPED"
}

func over(status string) bool { return codeOf(status) != exitUnknown }

// Run waits for all batches, and prints what came of each.
func (w *Wait) Run(ctx context.Context) error {
	slices.Sort(w.Batches)
	w.Batches = slices.Compact(w.Batches)
	if _, err := w.reader(nil); err != nil {
		return err
	}
	var report *os.File
	if w.Report != "" { // now, instead of after half an hour
		var err error
		if report, err = os.Create(w.Report); err != nil {
			return ExitError{Code: exitUsage, Err: fmt.Errorf("--report: %w", err)}
		}
		defer report.Close()
	}
	began := time.Now()
	outcomes := w.all(ctx, began)
	var unknown []error
	worst := 0
	rank := map[int]int{0: 0, exitNo: 1, exitTimeout: 2, exitUnknown: 3}
	for i := range outcomes {
		o := &outcomes[i]
		if code := outcomeCodes[o.Outcome]; rank[code] > rank[worst] {
			worst = code
		}
		if w.JSON {
			if err := encodeJSON(o); err != nil {
				return err
			}
			continue
		}
		line := plain(o.Batch) + "  " + o.Outcome
		if o.Outcome == outcomeUnknown { // why goes to standard error
			unknown = append(unknown, fmt.Errorf("%s: %s", plain(o.Batch), o.Says))
		} else {
			line += ": " + o.Says
		}
		if _, err := fmt.Fprintln(stdout(), line); err != nil {
			return err
		}
	}
	if report != nil {
		if err := writeReport(report, w.known(), began, outcomes); err != nil {
			return fmt.Errorf("--report: %w", err)
		}
	}
	if worst == 0 {
		return nil
	}
	return ExitError{Code: worst, Err: errors.Join(unknown...)}
}

// all follows each batch until it is as wanted, has ended, or the time is over.
func (w *Wait) all(ctx context.Context, began time.Time) []outcome {
	limited, cancel := context.WithTimeout(ctx, w.Timeout)
	defer cancel()
	s := newScene(w.Batches, w.known(), nil)
	updates := make(chan update)
	enough := map[string]context.CancelFunc{}
	var feeds sync.WaitGroup
	watch := Watch{shared: w.shared, Wait: w.Wait}
	for _, batch := range w.Batches {
		one, stop := context.WithCancel(limited)
		enough[batch] = stop
		feeds.Go(func() { watch.one(one, batch, func(u update) { updates <- u }, watchBatch) })
	}
	go func() {
		feeds.Wait()
		close(updates)
	}()
	told := func(update) error { return nil }
	if !w.Quiet {
		told = textLines(os.Stderr, os.Stderr, s)
	}
	outcomes := map[string]outcome{}
	for u := range updates {
		if _, decided := outcomes[u.batch]; decided {
			continue
		}
		s.apply(u, time.Now())
		_ = told(u) // that standard error is closed is no reason to stop
		b := s.find(u.batch)
		switch {
		case u.snapshot != nil && reached(string(w.For), u.snapshot):
			outcomes[u.batch] = w.came(outcomeReached, b, nil, began)
		case u.snapshot != nil && over(u.snapshot.Status):
			outcomes[u.batch] = w.came(outcomeEnded, b, nil, began)
		case u.ended && ctx.Err() == nil && limited.Err() != nil && b.connection.Live:
			outcomes[u.batch] = w.came(outcomeTimeout, b, nil, began)
		case u.ended:
			err := u.err
			if ctx.Err() == nil && limited.Err() != nil { // not heard at the end
				err = errors.New("the time is over, and the API didn't answer at the end")
				if b.connection.Err != nil {
					err = errors.New(err.Error() + ": " + cause(b.connection.Err)) // as one message
				}
			}
			outcomes[u.batch] = w.came(outcomeUnknown, b, err, began)
		}
		if _, decided := outcomes[u.batch]; decided {
			enough[u.batch]()
		}
	}
	out := make([]outcome, len(w.Batches))
	for i, batch := range w.Batches {
		out[i] = outcomes[batch]
	}
	return out
}

// came tells what came of a batch.
func (w *Wait) came(what string, b *watched, err error, began time.Time) outcome {
	waited := time.Since(began)
	o := outcome{Batch: b.name, For: string(w.For), Outcome: what, Seconds: waited.Round(time.Millisecond).Seconds()}
	state := "nobody has reported this batch in " + place(w.known())
	if s := b.snapshot; s != nil {
		health := s.Health.String()
		o.Status, o.Health, o.next = &s.Status, &health, s.NextActions
		state = states(health, s.Status)
		if s.Cause != nil {
			code := string(s.Cause.Code)
			o.Cause = &code
			state += ", " + plain(code)
		}
		if why := reasonOf(s, s.View.AsOf); why != "" {
			state += ": " + why
		}
	}
	switch {
	case what == outcomeTimeout:
		o.Says = "not " + string(w.For) + " after " + span(w.Timeout.Seconds()) + "; " + state
	case err != nil:
		o.Says = plain(said(w.failed(err, b.name)).Error())
	default:
		o.Says = state
	}
	return o
}
