package cli

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"time"

	"github.com/alecthomas/kong"

	"github.com/headwayhq/headway/services/headway/app"
	"github.com/headwayhq/headway/services/headway/doctor"
	"github.com/headwayhq/headway/services/internal/backend"
)

// Doctor is headway doctor.
type Doctor struct {
	shared
	RedisURL string             `name:"redis-url" group:"Where" help:"Redis server (default: that of the headway run with this data directory or --url, else redis://127.0.0.1:6379/0)." placeholder:"URL" env:"HEADWAY_REDIS_URL"`
	Redis    backend.RedisLogin `embed:"" group:"Where"`
	DataDir  string             `group:"Where" help:"Data directory of a headway run (default ${data_dir})." placeholder:"DIR" env:"HEADWAY_DATA_DIR"`
	Monitor  string             `name:"nats-monitor-url" group:"Where" help:"Monitoring endpoint of a NATS server, such as http://127.0.0.1:8222: says what a power cut can cost." placeholder:"URL" env:"HEADWAY_NATS_MONITOR_URL"`
	Timeout  time.Duration      `help:"How long each server may take to answer." default:"5s"`
}

// Run looks at everything and says what to do. Exit code 1: something is wrong.
func (d *Doctor) Run(ctx context.Context, k *kong.Context) error {
	d.find(k)
	o, err := d.options()
	if err != nil {
		return err
	}
	wrong := 0
	var failed error
	doctor.Examine(ctx, o, func(f doctor.Finding) {
		if f.State == doctor.Wrong {
			wrong++
		}
		failed = errors.Join(failed, d.print(f))
	})
	switch {
	case failed != nil:
		return failed
	case ctx.Err() != nil:
		return ExitError{Code: exitUnknown, Err: errors.New("interrupted")}
	case wrong > 0:
		return ExitError{Code: exitNo}
	}
	return nil
}

// options are those of the examination.
func (d *Doctor) options() (doctor.Options, error) {
	r, err := d.reader(nil)
	return doctor.Options{
		API: r, As: d.as(), NATSURL: d.NATSURL, RedisURL: d.RedisURL, NATS: d.NATS, Redis: d.Redis, NATSMonitor: d.Monitor, Namespace: d.Namespace, Timeout: d.Timeout,
		BareURL: bare(d.URL), BareNATSURL: bare(d.NATSURL), BareRedisURL: bare(d.RedisURL),
	}, err
}

// as says whose credential is in use.
func (d *Doctor) as() string {
	from := d.in.credential.from
	switch {
	case from == "":
		return "no credential is in use"
	case d.in.context != "" && from != contextName(d.in.context):
		return "that of " + from + ", which outweighs that of " + contextName(d.in.context)
	}
	return "that of " + from
}

// find takes addresses that weren't given from a headway run on this machine: that of --data-dir, else that whose
// API is --url or the context's, else that of the default data directory. Where a context leads to a Headway elsewhere, NATS and Redis are
// examined only if they are given.
func (d *Doctor) find(k *kong.Context) {
	given := func(flag string) bool { return given(k, flag) || flag == "url" && d.in.context != "" }
	var r app.Running
	var err error
	switch {
	case d.DataDir != "":
		r, err = app.ReadRunning(d.DataDir)
	case given("url"):
		r, err = app.FindRunning(d.URL)
	default:
		r, err = app.ReadRunning(app.DefaultDataDir())
	}
	here := err == nil && listens(r.API)
	if here {
		take := func(flag string, to *string, found string) {
			if found != "" && !given(flag) {
				*to = found
			}
		}
		take("url", &d.URL, r.API)
		take("nats-url", &d.NATSURL, r.NATS)
		take("redis-url", &d.RedisURL, r.Redis)
	}
	elsewhere := d.in.context != "" && !here
	if elsewhere && !given("nats-url") {
		d.NATSURL = ""
	}
	if d.RedisURL == "" && !elsewhere {
		d.RedisURL = "redis://127.0.0.1:6379/0"
	}
}

// listens tells a headway run that is alive from the files of one that was killed.
func listens(api string) bool {
	u, err := url.Parse(api)
	if err != nil {
		return false
	}
	c, err := net.DialTimeout("tcp", u.Host, time.Second)
	if err != nil {
		return false
	}
	return c.Close() == nil
}

// given reports whether the user set a flag: on the command line, in the environment or in a file.
func given(k *kong.Context, name string) bool {
	by, _ := rank(k, name)
	return by != notGiven
}

func (d *Doctor) print(f doctor.Finding) error {
	if d.JSON {
		return encodeJSON(f)
	}
	sign := map[doctor.State]string{doctor.OK: "✓", doctor.Note: "!", doctor.Wrong: "✗", doctor.Unknown: "?"}[f.State]
	_, err := fmt.Fprintf(stdout(), "%s %-21s %s\n", sign, plain(f.Check), plain(f.Says))
	if err == nil && f.Do != "" {
		_, err = fmt.Fprintf(stdout(), "  %-21s → %s\n", "", plain(f.Do))
	}
	return err
}
