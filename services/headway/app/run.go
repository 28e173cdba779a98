package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/alecthomas/kong"

	"github.com/headwayhq/headway/pkg/client"
	"github.com/headwayhq/headway/pkg/simulator"
	"github.com/headwayhq/headway/services/api/access"
	"github.com/headwayhq/headway/services/headway/demo"
	"github.com/headwayhq/headway/services/internal/logging"
	"github.com/headwayhq/headway/services/internal/printable"
)

// Run is the command headway run: a Headway, its messages to the user, and the demo.
type Run struct {
	Config   kong.ConfigFlag `help:"Configuration file (YAML) with flags by name." env:"HEADWAY_CONFIG"`
	LogLevel string          `help:"debug, info, warn or error." default:"warn" env:"HEADWAY_LOG_LEVEL"`
	Flags

	Stdout io.Writer `kong:"-"`
	Stderr io.Writer `kong:"-"`
}

// Run is called by kong. It runs until ctx ends.
func (r *Run) Run(ctx context.Context) (err error) {
	log := logging.New(r.Stderr, r.LogLevel)
	logging.Adopt(log)
	h, err := New(r.Flags, log)
	if err != nil {
		return err
	}
	if err := h.Start(ctx); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, h.Stop()) }()
	if !h.awaitReady() {
		return nil // it was stopped meanwhile, or Stop returns why it ended
	}
	workload := demoConfig(time.Now())
	r.banner(h, workload)
	ops := ""
	if address := h.OpsAddr(); address != "" {
		ops = " ops=http://" + address
	}
	fmt.Fprintf(r.Stdout, "ready api=%s nats=%s%s\n", h.URL(), printable.Address(h.servers.natsURL), ops)
	if r.Demo {
		token, err := h.demoKey(ctx)
		if err != nil {
			return err
		}
		o := demo.Options{URL: h.URL(), Config: workload}
		if token != "" {
			o.Token = client.Key(token)
		}
		if r.TLS.On() {
			o.HTTP = &http.Client{Timeout: demoTimeout, Transport: &http.Transport{TLSClientConfig: r.TLS.Own(), ForceAttemptHTTP2: true}}
		}
		if err := runDemo(ctx, o, r.Stderr); err != nil {
			return err
		}
	}
	<-h.Done()
	return nil
}

// awaitReady waits until everything is ready. It returns false if the program ended first.
func (h *Headway) awaitReady() bool {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for h.Ready(context.Background()) != nil {
		select {
		case <-h.Done():
			return false
		case <-tick.C:
		}
	}
	return true
}

// accessLines say who may use the API. The first key is shown here, once, and stored nowhere.
func (h *Headway) accessLines() []string {
	switch {
	case h.keys == nil:
		return []string{
			"  access    no credentials configured: loopback only, any bearer token or none,",
			"            namespace from X-Namespace or ?namespace= (default \"default\")",
		}
	case h.firstKey == "":
		return []string{"  access    API keys: headway keys create makes one, with HEADWAY_TOKEN set to that of an administrator"}
	}
	return []string{
		"  access    API keys. This one is for the first administrator. It is shown only now:",
		"",
		"            " + h.firstKey,
		"",
		"            HEADWAY_TOKEN=… headway keys create --url " + h.URL() + " --namespace team-a --role writer --name nightly",
	}
}

// demoKey makes the key with which the demo sends its events; "" without access control.
func (h *Headway) demoKey(ctx context.Context) (string, error) {
	if h.keys == nil {
		return "", nil
	}
	_, text, err := h.keys.Create(ctx, access.Everybody(), access.Wanted{
		Name: "demo", Namespaces: []string{"default"}, Roles: []string{string(access.Writer)}, Expires: time.Now().Add(24 * time.Hour),
	})
	return text, err
}

func (r *Run) banner(h *Headway, workload simulator.Config) {
	example := "BATCH"
	if r.Demo {
		example = workload.BatchID(0)
	}
	url := h.URL()
	path := url + "/v1/analytics/performance/batches/" + example + "/diagnostics"
	curl := "curl "
	if h.keys != nil {
		curl += `-H "Authorization: Bearer $HEADWAY_TOKEN" `
	}
	lines := []string{
		"",
		"Headway is running.",
		"",
		"  API       " + url,
		"  NATS      " + printable.Address(h.servers.natsURL) + "   publish to headway.events.<namespace>.<batch>.<kind>",
		"  events    kept in " + h.servers.events,
		"  views     " + h.servers.views,
	}
	lines = append(lines, h.accessLines()...)
	lines = append(lines,
		"",
		"  snapshot  "+curl+path,
		"  stream    "+curl+"-N "+path+"/stream",
		"  batches   "+curl+url+"/v1/batches",
		"",
		"  Press Ctrl-C to end it. All data is still there when you run it again.",
		"",
	)
	if r.Demo {
		lines = append(lines, "A demo workload is being sent at four times real speed, with thresholds of seconds:", "", demoExamples(workload))
	}
	_, _ = fmt.Fprintln(r.Stderr, strings.Join(lines, "\n"))
}
