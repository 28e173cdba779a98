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

	"github.com/alecthomas/kong"
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

	to     *client.Client
	http   bool
	close  func()
	sent   []sentLine // not answered yet
	stored int
	no     int // refused
}

// Help is called by kong.
func (Publish) Help() string {
	return "Events go through the API if a context, --url or a credential is given, else, or with --nats-url, to NATS."
}

// maxLine bounds one line: an event and its envelope.
const maxLine = 1 << 20

// Run publishes each line. A refused line is reported with its number, field and reason, and the others are
// still published. Exit codes: 0 all acknowledged, 1 some refused, 3 not all could be acknowledged.
func (p *Publish) Run(ctx context.Context, k *kong.Context) error {
	in, size, err := p.open()
	if err != nil {
		return err
	}
	defer in.Close()
	if p.overHTTP(k) {
		err = p.post(ctx)
	} else {
		err = p.direct()
	}
	if err != nil {
		return err
	}
	defer p.close()
	bar, done := p.bar(size)
	defer done()
	lines := bufio.NewScanner(io.TeeReader(in, bar))
	lines.Buffer(make([]byte, 64<<10), maxLine)
	var decoder diagnostics.Decoder
	n := 0
	for lines.Scan() {
		n++
		line := strings.TrimSpace(lines.Text())
		if line == "" {
			continue
		}
		subject, hints, rejection := p.subject(&decoder, []byte(line))
		if rejection != nil {
			if err := p.refuse(n, rejection); err != nil {
				return err
			}
			continue
		}
		ack, err := p.to.PublishRawAsync(ctx, subject, nil, []byte(line))
		if err != nil {
			return ExitError{Code: exitUnknown, Err: fmt.Errorf("line %d: %w", n, err)}
		}
		p.sent = append(p.sent, sentLine{n, ack})
		p.warn(n, hints)
		if err := p.acknowledged(ctx, false); err != nil {
			return err
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("line %d: %w", n+1, err)
	}
	if err := p.acknowledged(ctx, true); err != nil {
		return err
	}
	done()
	if p.JSON {
		if err := encodeJSON(map[string]int{"acknowledged": p.stored, "refused": p.no}); err != nil {
			return err
		}
	} else {
		fmt.Fprintf(os.Stderr, "%d events acknowledged, %d refused\n", p.stored, p.no)
	}
	if p.no > 0 {
		return ExitError{Code: exitNo}
	}
	return nil
}

// sentLine is a line on its way.
type sentLine struct {
	line int
	ack  *client.Ack
}

// overHTTP reports whether events go through the API instead of to NATS: if an API or a credential is given, and no NATS.
func (p *Publish) overHTTP(k *kong.Context) bool {
	return !given(k, "nats-url") && (p.in.context != "" || p.in.credential.token != nil || given(k, "url"))
}

// post sends through the API.
func (p *Publish) post(ctx context.Context) (err error) {
	if p.http = true; p.known() == "" { // only the API knows
		who := whose{shared: p.shared}
		if err := who.ask(ctx); err != nil {
			return p.refused(err)
		}
		if p.Namespace = who.used(); p.Namespace == "" {
			return ExitError{Code: exitUsage, Err: errors.New("--namespace: the credential has several, so name one; headway whoami lists them")}
		}
	}
	p.Namespace, p.close = p.namespace(), func() {}
	if _, err := p.reader(nil); err != nil { // checks the flags
		return err
	}
	over, err := p.client(postWithin)
	if err != nil {
		return err
	}
	p.to, err = client.Post(client.HTTP{URL: p.URL, Token: p.in.credential.token, HTTP: over}, client.Options{Namespace: p.Namespace, MaxElapsed: p.Wait})
	return err
}

// direct sends to NATS.
func (p *Publish) direct() error {
	p.Namespace = p.namespace()
	nc, err := p.connect("publish")
	if err != nil {
		return err
	}
	p.close = nc.Close
	p.to, err = client.New(nc, client.Options{Namespace: p.Namespace, MaxElapsed: p.Wait})
	return err
}

// acknowledged counts the lines that were answered: all of them, after waiting, or those at the front that were answered already.
func (p *Publish) acknowledged(ctx context.Context, all bool) error {
	for len(p.sent) > 0 {
		first := p.sent[0]
		if !all {
			select {
			case <-first.ack.Done():
			default:
				return nil
			}
		}
		err := first.ack.Wait(ctx)
		var rejection *diagnostics.Rejection
		switch {
		case err == nil:
			p.stored++
		case errors.As(err, &rejection):
			if err := p.refuse(first.line, rejection); err != nil {
				return err
			}
		default:
			return p.lost(first.line, err)
		}
		p.sent = p.sent[1:]
	}
	return nil
}

// lost says that an event wasn't acknowledged. Those after it may or may not be stored.
func (p *Publish) lost(line int, err error) error {
	var status *client.StatusError
	why := err
	if p.http && errors.As(err, &status) {
		if why = said(p.failed(status, "")); errors.Is(err, client.ErrNotFound) {
			why = fmt.Errorf("--namespace: %s isn't the credential's; headway whoami lists those that are", p.Namespace)
		}
	}
	return ExitError{Code: exitUnknown, Err: fmt.Errorf("line %d wasn't acknowledged: %w; send the file again from there, or all of it: equal events count once (%d events acknowledged, %d refused)", line, why, p.stored, p.no)}
}

// refuse reports and counts a line that isn't valid.
func (p *Publish) refuse(line int, r *diagnostics.Rejection) error {
	p.no++
	if p.JSON {
		return encodeJSON(map[string]any{"line": line, "field": r.Field, "reason": r.Reason})
	}
	fmt.Fprintf(os.Stderr, "line %d: %s: %s\n", line, plain(r.Field), plain(r.Reason))
	if p.no == 1 && r.Field == noEvent {
		fmt.Fprintln(os.Stderr, "  Each line must be one event as a JSON object, such as")
		fmt.Fprintln(os.Stderr, `  {"specversion":"1.0","id":"1","source":"nightly","type":"dev.headway.batch.v1","subject":"nightly-42","time":"2026-03-01T12:00:00Z","data":{"status":"PROCESSING"}}`)
	}
	return nil
}

func (p *Publish) open() (io.ReadCloser, int64, error) {
	if p.File == "-" {
		return io.NopCloser(os.Stdin), 0, nil
	}
	f, err := os.Open(p.File)
	if err != nil {
		return nil, 0, ExitError{Code: exitUsage, Err: fmt.Errorf("<file>: %w", err)}
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
	if !p.http { // the API takes the batch from the event alone
		_ = json.Unmarshal(line, &own) // what isn't JSON is refused below, with a reason
	}
	if what := notEvent(line); what != "" {
		return "", nil, &diagnostics.Rejection{Field: noEvent, Reason: what}
	}
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

// noEvent is the field of a line that isn't an object of JSON.
const noEvent = "event"

// notEvent says what a line is that isn't an object of JSON, and what may have happened; "" if it is one.
func notEvent(line []byte) string {
	var shape map[string]json.RawMessage
	err := json.Unmarshal(line, &shape)
	if err == nil && shape != nil {
		return ""
	}
	const shown = 40
	begins := string(line)
	if runes := []rune(begins); len(runes) > shown {
		begins = string(runes[:shown]) + "…"
	}
	there := fmt.Sprintf("%q", begins)
	var wrong *json.SyntaxError
	switch {
	case json.Valid(line) && line[0] == '[':
		return "is an array: " + there + "; write each event on a line of its own, as jq -c '.[]' FILE does"
	case json.Valid(line):
		return "is no object: " + there
	case errors.As(err, &wrong) && wrong.Offset >= int64(len(line)) && (line[0] == '{' || line[0] == '['):
		return "begins here and doesn't end in the same line: " + there + "; write each event on one line, as jq -c . FILE does"
	case line[0] == '{' && wrong != nil:
		return fmt.Sprintf("isn't JSON from byte %d on: %s", wrong.Offset, there)
	}
	return "isn't JSON: " + there
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
