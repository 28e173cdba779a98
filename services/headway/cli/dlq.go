package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"text/tabwriter"
	"time"

	"github.com/charmbracelet/x/term"

	"github.com/headwayhq/headway/pkg/diagnostics"
	"github.com/headwayhq/headway/pkg/eventlog"
	"github.com/headwayhq/headway/services/internal/printable"
)

// DLQ is headway dlq.
type DLQ struct {
	List      DLQList      `cmd:"" default:"withargs" help:"List dead letters."`
	Show      DLQShow      `cmd:"" help:"Print the event of a dead letter."`
	Republish DLQRepublish `cmd:"" help:"Publish a corrected event in place of a dead letter, and mark the letter."`
}

// DLQList is headway dlq list.
type DLQList struct {
	shared
	All bool `help:"Include those that a corrected event replaced."`
}

type letterJSON struct {
	ID        string     `json:"id"`
	Seq       uint64     `json:"sequence"`
	Subject   string     `json:"subject"`
	Field     string     `json:"field"`
	Reason    string     `json:"reason"`
	Stored    time.Time  `json:"stored"`
	Corrected *time.Time `json:"corrected"`
	Truncated bool       `json:"truncated"`
}

// Run lists.
func (d *DLQList) Run(ctx context.Context) error {
	l, stop, err := d.log(ctx, "dlq")
	if err != nil {
		return err
	}
	defer stop()
	w := tabwriter.NewWriter(stdout(), 2, 8, 2, ' ', 0)
	if !d.JSON {
		_, _ = fmt.Fprintln(w, "ID\tSEQUENCE\tSTORED\tSUBJECT\tREASON")
	}
	n := 0
	err = l.DeadLetters(ctx, func(x eventlog.DeadLetter) error {
		if !x.Corrected.IsZero() && !d.All {
			return nil
		}
		n++
		if d.JSON {
			out := letterJSON{x.ID(), x.Seq, x.Subject, x.Field, x.Reason, x.Stored, nil, x.Truncated}
			if !x.Corrected.IsZero() {
				out.Corrected = &x.Corrected
			}
			return encodeJSON(out)
		}
		corrected := ""
		if !x.Corrected.IsZero() {
			corrected = "  (corrected " + clock(&x.Corrected) + ")"
		}
		_, err := fmt.Fprintf(w, "%s\t%d\t%s\t%s\t%s: %s%s\n", plain(x.ID()), x.Seq, clock(&x.Stored), plain(x.Subject), plain(x.Field), plain(x.Reason), corrected)
		return err
	})
	if err == nil && n == 0 {
		fmt.Fprintln(os.Stderr, "No dead letters: every event was understood, or replaced by a corrected one (--all lists those).")
		return nil
	}
	return errors.Join(err, w.Flush())
}

// DLQShow is headway dlq show.
type DLQShow struct {
	shared
	ID string `arg:"" help:"The id, as listed by headway dlq."`
}

// Run prints the event as it arrived.
func (d *DLQShow) Run(ctx context.Context) error {
	l, stop, err := d.log(ctx, "dlq")
	if err != nil {
		return err
	}
	defer stop()
	x, err := l.DeadLetterByID(ctx, d.ID)
	if err != nil {
		return noLetter(d.ID, d.busFlags(), err)
	}
	if x.Truncated {
		fmt.Fprintf(os.Stderr, "truncated here; the whole event is message %d of %s\n", x.Seq, eventlog.EventsStream)
	}
	return showEvent(os.Stdout, x.Data, d.JSON || term.IsTerminal(os.Stdout.Fd()))
}

// showEvent writes an event as it arrived, so that it can be corrected in a file or a pipe. A terminal gets control
// characters as escapes, which mean the same in valid JSON.
func showEvent(out io.Writer, data []byte, escaped bool) error {
	switch {
	case !escaped:
	case json.Valid(data):
		data = printable.JSON(data)
	default:
		data = []byte(printable.Lines(string(data)))
	}
	_, err := out.Write(append(bytes.Clone(data), '\n'))
	return err
}

// noLetter says why a dead letter can't be had.
func noLetter(id, flags string, err error) error {
	if errors.Is(err, eventlog.ErrNoDeadLetter) {
		err = errors.New("there is no dead letter " + plain(id))
	}
	return ExitError{Code: exitUnknown, Err: fmt.Errorf("<id>: %w; headway dlq%s lists them", err, flags)}
}

// DLQRepublish is headway dlq republish.
type DLQRepublish struct {
	shared
	ID   string `arg:"" help:"The id, as listed by headway dlq."`
	File string `help:"File with the corrected event, a structured CloudEvent; - reads standard input." default:"-"`
}

// Run validates the corrected event, publishes it to its subject and marks the dead letter. It deletes nothing.
func (d *DLQRepublish) Run(ctx context.Context) error {
	l, stop, err := d.log(ctx, "dlq")
	if err != nil {
		return err
	}
	defer stop()
	x, err := l.DeadLetterByID(ctx, d.ID)
	if err != nil {
		return noLetter(d.ID, d.busFlags(), err)
	}
	in := os.Stdin
	if d.File != "-" {
		if in, err = os.Open(d.File); err != nil {
			return ExitError{Code: exitUsage, Err: fmt.Errorf("--file: %w", err)}
		}
		defer in.Close()
	}
	data, err := io.ReadAll(io.LimitReader(in, maxLine))
	if err != nil {
		return err
	}
	var decoder diagnostics.Decoder
	e, rejection := decoder.Decode(diagnostics.Message{Subject: x.Subject, Data: data, Stored: time.Now()})
	if rejection != nil {
		return ExitError{Code: exitNo, Err: fmt.Errorf("--file: the event is still not valid: %w", rejection)}
	}
	seq, err := l.Publish(ctx, e.Subject(), nil, data)
	if err != nil {
		return err
	}
	if err := l.MarkCorrected(ctx, d.ID, time.Now()); err != nil {
		return err
	}
	fmt.Fprintf(os.Stderr, "published as %d, marked dead letter %s as corrected\n", seq, d.ID)
	return nil
}
