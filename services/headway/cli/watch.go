package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"github.com/charmbracelet/x/term"

	"github.com/headwayhq/headway/pkg/client"
)

// Watch is headway watch.
type Watch struct {
	shared
	Batches []string      `arg:"" optional:"" name:"batch" help:"The batches."`
	All     bool          `help:"Show all batches of the namespace, those that need somebody first, until you interrupt it."`
	Health  []choice      `help:"With --all: only these: ${enum}." enum:"ok,scaling,stuck,degraded"`
	Lines   bool          `help:"Print lines instead of a live view, as without a terminal."`
	Wait    time.Duration `help:"How long to wait for an unreachable API before giving up." default:"2m"`
	Timeout time.Duration `help:"How long to wait for a batch that nobody has heard of before giving up; 0: until you interrupt it." default:"0s"`
}

// defaultPatience is the default of --wait.
const defaultPatience = 2 * time.Minute

// as is how get and list watch.
func (w *Watch) as(ctx context.Context, form string) error {
	switch form {
	case "json":
		w.JSON = true
	case "yaml", "name", "wide":
		return ExitError{Code: exitUsage, Err: errors.New("--output: with --watch only text and json are possible")}
	}
	return w.Run(ctx)
}

// maxWatched bounds the batches named: each is a connection.
const maxWatched = 100

// Validate is called by kong.
func (w *Watch) Validate() error {
	switch {
	case w.All && len(w.Batches) > 0:
		return errors.New("name batches or give --all, not both")
	case !w.All && len(w.Batches) == 0:
		return errors.New("name a batch, or give --all; headway list shows the batches")
	case !w.All && len(w.Health) > 0:
		return errors.New("--health: can only be used with --all")
	case len(w.Batches) > maxWatched:
		return fmt.Errorf("at most %d batches at once; --all shows any number", maxWatched)
	case w.Timeout < 0:
		return errors.New("--timeout: must not be negative")
	case w.Timeout > 0 && w.All:
		return errors.New("--timeout: can only be used with the names of batches: a list waits for none")
	case w.Wait <= 0:
		return errors.New("--wait: must be more than 0")
	}
	return nil
}

// Run shows the batches until all have ended. The exit code tells how they ended.
func (w *Watch) Run(ctx context.Context) error {
	slices.Sort(w.Batches)
	w.Batches = slices.Compact(w.Batches)
	if _, err := w.reader(nil); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s := newScene(w.Batches, w.known(), texts(w.Health))
	switch {
	case w.JSON:
		w.follow(ctx, s, jsonLines(os.Stdout, os.Stderr, s))
	case w.Lines || !liveTerminal():
		w.follow(ctx, s, textLines(os.Stdout, os.Stderr, s))
	default:
		if err := w.live(ctx, cancel, s); err != nil {
			return err
		}
		// The last state stays on the screen.
		if err := s.summary(os.Stdout); err != nil {
			return err
		}
	}
	return w.verdict(ctx, s)
}

// liveTerminal reports whether standard output can show a view that updates in place.
func liveTerminal() bool {
	return os.Getenv("TERM") != "dumb" && os.Getenv("TERM") != "" && term.IsTerminal(os.Stdout.Fd())
}

// follow applies updates one by one until there are no more, and hands each on.
func (w *Watch) follow(ctx context.Context, s *scene, told func(update) error) {
	updates := make(chan update)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		defer close(updates)
		w.feed(ctx, func(u update) {
			select {
			case updates <- u:
			case <-ctx.Done():
			}
		})
	}()
	for u := range updates {
		s.apply(u, time.Now())
		if told(u) != nil { // standard output was closed
			cancel()
		}
	}
}

// verdict is the exit code: no answer outweighs a failure, and a failure outweighs errors.
func (w *Watch) verdict(ctx context.Context, s *scene) error {
	if err := ctx.Err(); err != nil {
		return ExitError{Code: exitUnknown, Err: errors.New("interrupted")}
	}
	if s.list != nil {
		return w.failed(s.list.err, "")
	}
	worst := 0
	rank := map[int]int{0: 0, exitErrors: 1, exitNo: 2, exitUnknown: 3}
	var failures []error
	for _, b := range s.batches {
		code := exitUnknown
		if b.err != nil {
			failures = append(failures, said(w.gaveUp(b.err, b.name)))
		} else if b.snapshot != nil {
			code = codeOf(b.snapshot.Status)
		}
		if rank[code] > rank[worst] {
			worst = code
		}
	}
	if worst == 0 {
		return nil
	}
	return ExitError{Code: worst, Err: errors.Join(failures...)}
}

// gaveUp is what failed says, and how long was waited for a batch that didn't begin.
func (w *Watch) gaveUp(err error, batch string) error {
	if w.Timeout > 0 && errors.Is(err, client.ErrNotFound) {
		return fmt.Errorf("waited %v in vain: %w", w.Timeout, said(w.failed(err, batch)))
	}
	return w.failed(err, batch)
}

// said is the message of an error, without its exit code.
func said(err error) error {
	var exit ExitError
	if errors.As(err, &exit) && exit.Err != nil {
		return exit.Err
	}
	return err
}

func codeOf(status string) int {
	switch status {
	case "COMPLETED", "SKIPPED":
		return 0
	case "COMPLETED_WITH_ERRORS":
		return exitErrors
	case "FAILED", "CANCELED":
		return exitNo
	}
	return exitUnknown
}

// summary prints the last state as plain lines.
func (s *scene) summary(out io.Writer) error {
	for _, line := range s.last() {
		if _, err := fmt.Fprintln(out, line); err != nil {
			return err
		}
	}
	return nil
}
