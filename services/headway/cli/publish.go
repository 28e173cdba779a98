package cli

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"

	"github.com/headwayhq/headway/pkg/client"
	"github.com/headwayhq/headway/pkg/diagnostics"
)

// Publish is headway publish.
type Publish struct {
	shared
	File  string        `arg:"" optional:"" help:"File of JSON lines; - or nothing reads standard input." default:"-"`
	Wait  time.Duration `help:"How long to wait for a lost connection to come back." default:"2m"`
	Quiet bool          `help:"No progress bar."`
}

// maxLine bounds one line: an event and its envelope.
const maxLine = 1 << 20

// Run publishes each line. A refused line is reported with its number, field and reason, and the others are
// still published. Exit codes: 0 all acknowledged, 1 some refused, 3 not all could be acknowledged.
func (p *Publish) Run(ctx context.Context) error {
	in, size, err := p.open()
	if err != nil {
		return err
	}
	defer in.Close()
	nc, err := p.connect("publish")
	if err != nil {
		return err
	}
	defer nc.Close()
	c, err := client.New(nc, client.Options{Namespace: p.Namespace, MaxElapsed: p.Wait})
	if err != nil {
		return err
	}
	bar, done := p.bar(size)
	defer done()
	lines := bufio.NewScanner(io.TeeReader(in, bar))
	lines.Buffer(make([]byte, 64<<10), maxLine)
	var decoder diagnostics.Decoder
	sent, refused, n := 0, 0, 0
	for lines.Scan() {
		n++
		line := strings.TrimSpace(lines.Text())
		if line == "" {
			continue
		}
		subject, hints, rejection := p.subject(&decoder, []byte(line))
		if rejection != nil {
			refused++
			if err := p.refused(n, rejection); err != nil {
				return err
			}
			continue
		}
		if err := c.PublishRaw(ctx, subject, nil, []byte(line)); err != nil {
			return ExitError{Code: exitUnknown, Err: fmt.Errorf("line %d: %w", n, err)}
		}
		sent++
		p.warn(n, hints)
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("line %d: %w", n+1, err)
	}
	if err := c.Flush(ctx); err != nil {
		return ExitError{Code: exitUnknown, Err: fmt.Errorf("not all of the %d events sent were acknowledged: %w; send the file again, equal events count once", sent, err)}
	}
	done()
	if p.JSON {
		if err := encodeJSON(map[string]int{"acknowledged": sent, "refused": refused}); err != nil {
			return err
		}
	} else {
		fmt.Fprintf(os.Stderr, "%d events acknowledged, %d refused\n", sent, refused)
	}
	if refused > 0 {
		return ExitError{Code: exitNo}
	}
	return nil
}

func (p *Publish) refused(line int, r *diagnostics.Rejection) error {
	if p.JSON {
		return encodeJSON(map[string]any{"line": line, "field": r.Field, "reason": r.Reason})
	}
	fmt.Fprintf(os.Stderr, "line %d: %s: %s\n", line, plain(r.Field), plain(r.Reason))
	return nil
}

func (p *Publish) open() (io.ReadCloser, int64, error) {
	if p.File == "-" {
		return io.NopCloser(os.Stdin), 0, nil
	}
	f, err := os.Open(p.File)
	if err != nil {
		return nil, 0, err
	}
	s, err := f.Stat()
	if err != nil {
		return nil, 0, errors.Join(err, f.Close())
	}
	return f, s.Size(), nil
}

// warn reports fields on standard error that the event type doesn't have.
func (p *Publish) warn(line int, hints []string) {
	for _, hint := range hints {
		fmt.Fprintf(os.Stderr, "line %d: warning: %s\n", line, plain(hint))
	}
}

// subject validates a line and finds where it belongs: its own nats_subject, else what its content says. Hints are about
// fields that the event type doesn't have.
func (p *Publish) subject(d *diagnostics.Decoder, line []byte) (subject string, hints []string, rejection *diagnostics.Rejection) {
	var own struct {
		Subject string `json:"nats_subject"`
	}
	_ = json.Unmarshal(line, &own) // what isn't JSON is refused below, with a reason
	e, rejection := d.Decode(diagnostics.Message{Subject: own.Subject, Namespace: p.Namespace, Data: line, Stored: time.Now()})
	if rejection != nil {
		return "", nil, rejection
	}
	for _, field := range d.Unknown() {
		hints = append(hints, diagnostics.Hint(e.Type, field))
	}
	if own.Subject != "" {
		return own.Subject, hints, nil
	}
	return e.Subject(), hints, nil
}

// bar shows progress by bytes, on a terminal only.
func (p *Publish) bar(size int64) (io.Writer, func()) {
	s, err := os.Stderr.Stat()
	if p.Quiet || size == 0 || err != nil || s.Mode()&os.ModeCharDevice == 0 {
		return io.Discard, func() {}
	}
	progress := mpb.New(mpb.WithOutput(os.Stderr))
	bar := progress.AddBar(size, mpb.PrependDecorators(decor.Name("publishing "), decor.CountersKibiByte("% .1f / % .1f")),
		mpb.AppendDecorators(decor.Percentage()))
	return writerFunc(func(b []byte) (int, error) { bar.IncrBy(len(b)); return len(b), nil }), func() {
		bar.SetTotal(-1, true)
		progress.Wait()
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(b []byte) (int, error) { return f(b) }
