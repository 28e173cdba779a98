package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/charmbracelet/x/term"

	"github.com/headwayhq/headway/pkg/client"
	"github.com/headwayhq/headway/pkg/diagnostics"
)

// Erase is headway erase.
type Erase struct {
	shared
	Batches  []string          `arg:"" optional:"" help:"The batches; - reads them from standard input, one per line."`
	Status   []choice          `help:"Those with one of these: ${enum}." enum:"DRAFT,PENDING,PROCESSING,COMPLETED,COMPLETED_WITH_ERRORS,FAILED,CANCELED,SKIPPED,UNKNOWN"`
	Pipeline string            `help:"Those of this pipeline."`
	Label    map[string]string `help:"Those with all of these, key=value."`
	Text     string            `name:"search" short:"q" help:"Those with this text in the id, name, pipeline, owner or a label."`
	Since    when              `aliases:"created-after" help:"Those created since then, as for headway list." placeholder:"TIME"`
	Until    when              `aliases:"created-before" help:"Those created until then." placeholder:"TIME"`
	DryRun   bool              `help:"Only say what would be erased."`
	Yes      bool              `short:"y" help:"Don't ask."`
}

// Validate is called by kong.
func (e *Erase) Validate() error {
	filtered := len(e.Status)+len(e.Label) > 0 || e.Pipeline+e.Text != "" || !e.Since.IsZero() || !e.Until.IsZero()
	switch {
	case len(e.Batches) == 0 && !filtered:
		return errors.New("name batches, or choose them with --pipeline, --label, --status, --search, --since or --until")
	case len(e.Batches) > 0 && filtered:
		return errors.New("--pipeline, --label, --status, --search, --since and --until choose batches: leave out their names")
	case len(e.Batches) > 1 && slices.Contains(e.Batches, "-"):
		return errors.New("-: stands for a list on standard input: name no batches beside it")
	case !e.Since.IsZero() && !e.Until.IsZero() && e.Until.Before(e.Since.Time):
		return errors.New("--until: is before --since")
	}
	return nil
}

// erasure is the API's answer.
type erasure struct {
	BatchID   string     `json:"batch_id"`
	Namespace string     `json:"namespace"`
	DryRun    bool       `json:"dry_run"`
	ErasedAt  *time.Time `json:"erased_at"`
	Events    int        `json:"events"`
	History   int        `json:"history"`
	Health    int        `json:"health_changes"`
	Dead      int        `json:"dead_letters"`
}

// Run says what would be erased, asks, and erases it.
func (e *Erase) Run(ctx context.Context) error {
	r, err := e.reader(nil)
	if err != nil {
		return err
	}
	ids, err := e.chosen(ctx, r)
	if err != nil {
		return err
	}
	var would []erasure
	for _, id := range ids {
		one, err := e.remove(ctx, r, id, true)
		if err != nil {
			return e.failed(err, id)
		}
		would = append(would, one)
	}
	if e.DryRun {
		return e.print(would)
	}
	if !e.Yes {
		if err := e.ask(would); err != nil {
			return err
		}
	}
	var done []erasure
	for _, id := range ids {
		one, err := e.remove(ctx, r, id, false)
		if err != nil {
			return errors.Join(e.print(done), e.failed(err, id))
		}
		done = append(done, one)
	}
	return e.print(done)
}

// chosen are the ids of the batches to erase, each once.
func (e *Erase) chosen(ctx context.Context, r *client.Reader) (ids []string, err error) {
	switch {
	case slices.Equal(e.Batches, []string{"-"}):
		lines := bufio.NewScanner(os.Stdin)
		for lines.Scan() {
			if id := strings.TrimSpace(lines.Text()); id != "" {
				ids = append(ids, id)
			}
		}
		if err := lines.Err(); err != nil {
			return nil, fmt.Errorf("standard input: %w", err)
		}
	case len(e.Batches) > 0:
		ids = slices.Clone(e.Batches)
	default:
		if ids, err = e.found(ctx, r); err != nil {
			return nil, err
		}
	}
	seen := map[string]bool{}
	ids = slices.DeleteFunc(ids, func(id string) bool { again := seen[id]; seen[id] = true; return again })
	if len(ids) == 0 {
		return nil, ExitError{Code: exitUnknown, Err: fmt.Errorf("no batch to erase in %s", place(e.known()))}
	}
	return ids, nil
}

// historyReach is how far back a search of finished batches may go.
const historyReach = 400 * 24 * time.Hour

// found are the ids of the batches that fit the conditions, also of those that ended long ago and are in the history only.
func (e *Erase) found(ctx context.Context, r *client.Reader) (ids []string, err error) {
	listed := client.ListOptions{
		Status: texts(e.Status), Pipeline: e.Pipeline, Labels: e.Label, Text: e.Text,
		CreatedAfter: e.Since.Time, CreatedBefore: e.Until.Time, PageSize: maxPage,
	}
	all := []iter.Seq2[client.Row, error]{r.List(ctx, listed)}
	over := slices.DeleteFunc(texts(e.Status), func(s string) bool { return !diagnostics.Over(s) })
	if len(e.Status) == 0 || len(over) > 0 {
		now := time.Now()
		from := now.Add(-historyReach)
		if e.Since.After(from) {
			from = e.Since.Time
		}
		all = append(all, r.History(ctx, client.HistoryOptions{
			From: from, To: now, Status: over, Pipeline: e.Pipeline, Labels: e.Label, Text: e.Text, PageSize: maxPage,
		}))
	}
	for _, rows := range all {
		for row, err := range rows {
			if err != nil {
				return nil, e.failed(err, "")
			}
			if e.created(row) {
				ids = append(ids, row.BatchID)
			}
		}
	}
	return ids, nil
}

// created reports whether a batch was created in the time asked for. The history is searched by ends.
func (e *Erase) created(row client.Row) bool {
	return !row.OrderedAt.Before(e.Since.Time) && (e.Until.IsZero() || !row.OrderedAt.After(e.Until.Time))
}

// eraseTries is how often an erasure is begun that didn't get to its end within one request.
const eraseTries = 20

// remove erases a batch, or asks what would be erased.
func (e *Erase) remove(ctx context.Context, r *client.Reader, id string, dry bool) (out erasure, err error) {
	path := "/v1/batches/" + url.PathEscape(id)
	if dry {
		path += "?dry_run=true"
	}
	for try := 1; ; try++ {
		err = r.Call(ctx, http.MethodDelete, path, nil, &out)
		var refused *client.StatusError
		if err == nil || try == eraseTries || !errors.As(err, &refused) || refused.Kind != "erasing_unfinished" {
			return out, err
		}
		select {
		case <-ctx.Done():
			return out, ctx.Err()
		case <-time.After(refused.RetryAfter):
		}
	}
}

// ask shows what would be erased, and waits for a yes.
func (e *Erase) ask(would []erasure) error {
	if !term.IsTerminal(os.Stdin.Fd()) || slices.Equal(e.Batches, []string{"-"}) {
		return ExitError{Code: exitUsage, Err: errors.New("--yes: is needed where nobody can be asked; --dry-run says what would be erased")}
	}
	if err := table(os.Stderr, would); err != nil {
		return err
	}
	fmt.Fprintf(os.Stderr, "Erase %d? This can't be taken back. Type yes: ", len(would))
	answer, err := bufio.NewReader(os.Stdin).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("standard input: %w", err)
	}
	if strings.TrimSpace(answer) != "yes" {
		return ExitError{Code: exitNo, Err: errors.New("nothing was erased")}
	}
	return nil
}

func (e *Erase) print(all []erasure) error {
	if !e.JSON {
		return table(stdout(), all)
	}
	for _, one := range all {
		if err := encodeJSON(one); err != nil {
			return err
		}
	}
	return nil
}

func table(to io.Writer, all []erasure) error {
	if len(all) == 0 {
		return nil
	}
	w := tabwriter.NewWriter(to, 2, 8, 2, ' ', 0)
	_, _ = fmt.Fprintln(w, "BATCH\tNAMESPACE\tEVENTS\tHISTORY\tHEALTH CHANGES\tDEAD LETTERS\tERASED")
	for _, one := range all {
		at := "no"
		if one.ErasedAt != nil {
			at = clock(one.ErasedAt)
		}
		_, _ = fmt.Fprintf(w, "%s\t%s\t%d\t%d\t%d\t%d\t%s\n", plain(one.BatchID), plain(one.Namespace), one.Events, one.History, one.Health, one.Dead, at)
	}
	return w.Flush()
}
