package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"text/tabwriter"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/headwayhq/headway/services/internal/logging"
	"github.com/headwayhq/headway/services/relay"
	"github.com/headwayhq/headway/services/relay/rayapi"
)

// Attach is headway attach.
type Attach struct {
	shared
	URLs     []string `arg:"" name:"url" help:"Dashboards of Ray clusters, as http://ray-head:8265 or name=http://ray-head:8265." sep:"none"`
	Check    bool     `help:"End after the checks instead of relaying."`
	Listen   string   `help:"Address at which events that Ray exports are received, with --ray-events-secret." placeholder:"HOST:PORT" env:"HEADWAY_LISTEN"`
	LogLevel string   `help:"debug, info, warn or error." default:"info" env:"HEADWAY_LOG_LEVEL"`
	relay.ClusterFlags
}

// Run checks what the clusters offer, lists their jobs and relays until ctx ends. A cluster that wants a token isn't told from one
// that can't be reached by the exit code: in both cases there is no answer.
func (a *Attach) Run(ctx context.Context) error {
	o, err := a.Options("URL", a.URLs)
	if err != nil {
		return ExitError{Code: exitUsage, Err: err}
	}
	if (a.Listen == "") != (a.RaySecret == "" && a.RaySecretFile == "") {
		return ExitError{Code: exitUsage, Err: errors.New("--listen and --ray-events-secret: give both to receive events, or neither")}
	}
	nc, err := a.connect("attach")
	if err != nil {
		return err
	}
	defer nc.Close()
	o.Publisher, o.Proving.Health, o.Logger = relay.NewLog(nc), relay.Feed{Conn: nc}, logging.New(os.Stderr, a.LogLevel)
	r, err := relay.New(o)
	if err != nil {
		return ExitError{Code: exitUsage, Err: err}
	}
	ctx, end := context.WithCancel(ctx)
	defer end()
	g, running := errgroup.WithContext(ctx)
	if a.Listen != "" { // before the checks, which tell what was received
		g.Go(func() error { return receive(running, a.Listen, r) })
	}
	offers := r.Probe(running)
	if err := show(func(w io.Writer) {
		for i := range offers {
			writeOffer(w, r, &offers[i])
		}
	}); err != nil {
		return err
	}
	if err := unusable(offers); err != nil && ctx.Err() == nil {
		return err
	}
	if a.Check || running.Err() != nil {
		end()
		return g.Wait()
	}
	fmt.Fprintln(os.Stdout, "\nRelaying until stopped.")
	g.Go(func() error { return r.Run(running) })
	return g.Wait()
}

// unusable returns an error if no cluster answers. If one does, it is relayed and the others are tried again.
func unusable(offers []relay.Offer) error {
	var errs []error
	for i := range offers {
		switch err := offers[i].Err; {
		case err == nil:
			return nil
		case errors.Is(err, relay.ErrToken):
			errs = append(errs, fmt.Errorf("%w: give it with --ray-token or --ray-token-file", err))
		default:
			errs = append(errs, err)
		}
	}
	return ExitError{Code: exitUnknown, Err: errors.Join(errs...)}
}

func receive(ctx context.Context, listen string, r *relay.Relay) error {
	ln, err := net.Listen("tcp", listen)
	if err != nil {
		return ExitError{Code: exitUsage, Err: fmt.Errorf("--listen: %w", err)}
	}
	mux := http.NewServeMux()
	mux.Handle(relay.ReceiverPattern, r.Receiver())
	s := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: time.Minute, IdleTimeout: 2 * time.Minute}
	stop := context.AfterFunc(ctx, func() { _ = s.Close() })
	defer stop()
	if err := s.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("receiver: %w", err)
	}
	return nil
}

// listedJobs bounds how many jobs are printed; the rest are counted.
const listedJobs = 20

func writeOffer(out io.Writer, r *relay.Relay, o *relay.Offer) {
	w := writer{out}
	if o.Err != nil {
		w.linef("%s  ✗ %s", plain(o.Address), plain(o.Err.Error()))
		return
	}
	w.linef("%s  Ray %s at %s", plain(o.Cluster), plain(o.Ray), plain(o.Address))
	for _, c := range o.Checks {
		tick := "✓"
		if !c.OK {
			tick = "✗"
		}
		w.linef("  %s %-14s  %s", tick, c.Source, plain(c.Says))
		if c.Set != "" {
			w.linef("    %-14s  to get it: %s", "", c.Set)
		}
	}
	var relayed, not []jobLine
	for i := range o.Jobs {
		j := &o.Jobs[i]
		p, why := r.Place(j)
		line := jobLine{id: orID(j), status: j.Status, why: why}
		if why == "" {
			line.where = fmt.Sprintf("%s/%s tier %d", p.Namespace, p.Batch, p.Tier+1)
			relayed = append(relayed, line)
		} else {
			not = append(not, line)
		}
	}
	w.linef("\n  %d jobs are relayed", len(relayed))
	writeJobs(out, relayed, func(l jobLine) string { return l.where })
	if len(not) > 0 {
		w.linef("  %d jobs are not", len(not))
		writeJobs(out, not, func(l jobLine) string { return l.why })
	}
}

type jobLine struct{ id, status, where, why string }

func orID(j *rayapi.Job) string {
	if j.SubmissionID != "" {
		return j.SubmissionID
	}
	return "driver " + j.JobID
}

func writeJobs(out io.Writer, lines []jobLine, says func(jobLine) string) {
	w := tabwriter.NewWriter(out, 2, 8, 2, ' ', 0)
	for i, l := range lines {
		if i == listedJobs {
			_, _ = fmt.Fprintf(w, "    and %d more\n", len(lines)-i)
			break
		}
		_, _ = fmt.Fprintf(w, "    %s\t%s\t%s\n", plain(l.id), plain(l.status), plain(says(l)))
	}
	_ = w.Flush()
}
