package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/headwayhq/headway/pkg/eventlog"
	"github.com/headwayhq/headway/services/api/access"
)

// Streams is headway streams.
type Streams struct {
	Show  StreamsShow  `cmd:"" default:"withargs" help:"List the settings of the streams, what is configured instead, and the servers that hold them."`
	Apply StreamsApply `cmd:"" help:"Change the streams to what is configured, and wait until their servers have everything."`
}

// streamsFlags are what is configured. Ingest creates streams by the same variables of the environment and lines of headway.yaml.
type streamsFlags struct {
	shared
	Replicas *int           `help:"Servers of the NATS cluster that hold each stream: 1, 3 or 5 (default: as it is)." placeholder:"N" env:"HEADWAY_REPLICAS"`
	MaxAge   *time.Duration `help:"Age at which the event log drops events; 0 keeps them (default: as it is)." placeholder:"DURATION" env:"HEADWAY_MAX_AGE"`
}

// open connects and reads. The connection has to be closed.
func (f *streamsFlags) open(ctx context.Context) (*nats.Conn, []eventlog.Settings, error) {
	nc, err := f.connect("streams")
	if err != nil {
		return nil, nil, err
	}
	all, err := f.read(ctx, nc)
	if err != nil {
		nc.Close()
		return nil, nil, err
	}
	return nc, all, nil
}

func (f *streamsFlags) read(ctx context.Context, nc *nats.Conn) ([]eventlog.Settings, error) {
	if f.Replicas != nil && (*f.Replicas < 1 || *f.Replicas > 5) {
		return nil, ExitError{Code: exitUsage, Err: fmt.Errorf("--replicas: %d is not between 1 and 5", *f.Replicas)}
	}
	if f.MaxAge != nil && *f.MaxAge < 0 {
		return nil, ExitError{Code: exitUsage, Err: fmt.Errorf("--max-age: %v is negative", *f.MaxAge)}
	}
	all, err := eventlog.ReadSettings(ctx, nc, eventlog.Wanted{Replicas: f.Replicas, MaxAge: f.MaxAge}, access.Stream)
	if err != nil {
		return nil, ExitError{Code: exitUnknown, Err: fmt.Errorf("--nats-url: %s: %s", bare(f.NATSURL), cause(err))}
	}
	return all, nil
}

// StreamsShow is headway streams show.
type StreamsShow struct{ streamsFlags }

// Run lists. Exit code 1: a stream is missing, or is not what is configured.
func (s *StreamsShow) Run(ctx context.Context) error {
	nc, all, err := s.open(ctx)
	if err != nil {
		return err
	}
	defer nc.Close()
	differs := false
	for i := range all {
		differs = differs || all[i].Missing || all[i].Wrong != "" || all[i].Changes()
	}
	if err := s.print(all); err != nil {
		return err
	}
	if !s.JSON {
		s.covered(ctx, nc)
	}
	if differs {
		return ExitError{Code: exitNo}
	}
	return nil
}

func (s *StreamsShow) print(all []eventlog.Settings) error {
	if s.JSON {
		for i := range all {
			if err := encodeJSON(all[i]); err != nil {
				return err
			}
		}
		return nil
	}
	w := tabwriter.NewWriter(stdout(), 2, 8, 2, ' ', 0)
	line := func(stream, name, is, then string) {
		_, _ = fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", plain(stream), name, plain(is), plain(then))
	}
	line("STREAM", "SETTING", "IS", "CONFIGURED")
	for _, one := range all {
		name := one.Stream
		if one.Missing {
			line(name, "", "doesn't exist", "ingest creates it")
			continue
		}
		for _, x := range one.Settings {
			then := ""
			if x.Changes() {
				then = x.Want
			}
			line(name, x.Name, x.Is, then)
			name = ""
		}
		if len(one.Servers) > 0 {
			line("", "servers", servers(one.Servers), "")
		}
		if one.Wrong != "" {
			line("", "WRONG", one.Wrong, "Headway can't use it")
		}
	}
	return w.Flush()
}

// covered says up to where checkpoints cover the log. Which partition and batch end that is in /metrics of ingest, because it is in Redis.
func (s *StreamsShow) covered(ctx context.Context, nc *nats.Conn) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	c, err := eventlog.ReadCovered(ctx, nc)
	if err != nil {
		return // the streams' own lines say what is wrong
	}
	say := func(format string, args ...any) { _, _ = fmt.Fprintf(stdout(), format+"\n", args...) }
	say("")
	switch {
	case c.Last < c.First:
		say("The log has no events.")
	case c.Floor.Covered < c.First:
		say("No checkpoint covers an event of the log yet: all of %d are kept.", c.Last-c.First+1)
	default:
		say("Checkpoints cover %d of the log's %d events.", min(c.Floor.Covered, c.Last)-c.First+1, c.Last-c.First+1)
	}
	if h := c.Floor.Hole; h != nil {
		say("Somebody else removed events that none covered: batches that began before %s may be incomplete.", "event "+strconv.FormatUint(h.Noted, 10))
	}
	say("The history has %d messages, %d MB.", c.History.Messages, (c.History.Bytes+500_000)/1_000_000)
}

func servers(all []eventlog.Server) string {
	out := make([]string, len(all))
	for i, s := range all {
		out[i] = s.Name
		switch {
		case s.Leader:
			out[i] += " (leader)"
		case s.Offline:
			out[i] += " (offline)"
		case !s.Current:
			out[i] += fmt.Sprintf(" (%d messages behind)", s.Behind)
		}
	}
	return strings.Join(out, ", ")
}

// StreamsApply is headway streams apply.
type StreamsApply struct {
	streamsFlags
	Timeout time.Duration `help:"How long the servers may take to get everything." default:"5m"`
}

// spreadEvery is how often it is asked whether the servers have everything.
const spreadEvery = 200 * time.Millisecond

// Run changes what differs. Exit code 1: a stream can't be changed, or its servers don't have everything in time.
func (s *StreamsApply) Run(ctx context.Context) error {
	nc, all, err := s.open(ctx)
	if err != nil {
		return err
	}
	defer nc.Close()
	for i := range all {
		if all[i].Missing {
			fmt.Fprintf(os.Stderr, "%s doesn't exist: ingest creates it\n", all[i].Stream)
			continue
		}
		if !all[i].Changes() && all[i].Wrong == "" {
			continue
		}
		if err := eventlog.ApplySettings(ctx, nc, &all[i]); err != nil {
			return s.refusal(all[i].Stream, err)
		}
		for _, x := range all[i].Settings {
			if !x.Changes() {
				continue
			}
			if s.JSON {
				err = encodeJSON(appliedJSON{all[i].Stream, x})
			} else {
				_, err = fmt.Fprintf(stdout(), "%s  %s: %s → %s\n", plain(all[i].Stream), x.Name, plain(x.Is), plain(x.Want))
			}
			if err != nil {
				return err
			}
		}
	}
	return s.spread(ctx, nc)
}

type appliedJSON struct {
	Stream string `json:"stream"`
	eventlog.Setting
}

// Codes of the server for numbers of replicas that it can't have.
const (
	codeNoCluster = 10074
	codeNoPeers   = 10005
)

func (s *StreamsApply) refusal(stream string, err error) error {
	var api *jetstream.APIError
	switch {
	case errors.As(err, &api) && api.ErrorCode == codeNoCluster:
		return ExitError{Code: exitNo, Err: fmt.Errorf("--replicas: %s is a single server, which holds 1: several need a NATS cluster", bare(s.NATSURL))}
	case errors.As(err, &api) && api.ErrorCode == codeNoPeers:
		return ExitError{Code: exitNo, Err: fmt.Errorf("--replicas: the NATS cluster has too few servers for the replicas of %s: %s", stream, plain(api.Description))}
	case errors.As(err, &api), errors.Is(err, eventlog.ErrMismatch):
		return ExitError{Code: exitNo, Err: fmt.Errorf("%s was not changed: %s", stream, plain(err.Error()))}
	}
	return ExitError{Code: exitUnknown, Err: fmt.Errorf("--nats-url: %s: %s", bare(s.NATSURL), cause(err))}
}

// spread waits until the servers of each stream have all of it.
func (s *StreamsApply) spread(ctx context.Context, nc *nats.Conn) error {
	limit := time.NewTimer(s.Timeout)
	defer limit.Stop()
	tick := time.NewTicker(spreadEvery)
	defer tick.Stop()
	for {
		all, err := s.read(ctx, nc)
		if err != nil {
			return err
		}
		var waits []string
		for i := range all {
			if !all[i].Missing && !all[i].Spread() {
				waits = append(waits, all[i].Stream+" on "+servers(all[i].Servers))
			}
		}
		if len(waits) == 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return ExitError{Code: exitUnknown, Err: errors.New("interrupted")}
		case <-limit.C:
			return ExitError{Code: exitNo, Err: fmt.Errorf("the change was made, but after %v not every server has everything: %s", s.Timeout, plain(strings.Join(waits, "; ")))}
		case <-tick.C:
		}
	}
}
