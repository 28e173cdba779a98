package cli

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/headwayhq/headway/pkg/client"
	"github.com/headwayhq/headway/pkg/diagnostics"
	"github.com/headwayhq/headway/pkg/eventlog"
	"github.com/headwayhq/headway/services/internal/backend"
)

// shared are the flags of all verbs that talk to a running Headway: one set, whichever of them a verb needs.
type shared struct {
	URL       string            `name:"url" group:"Where" help:"Address of the API." default:"http://127.0.0.1:8080" env:"HEADWAY_URL"`
	NATSURL   string            `name:"nats-url" group:"Where" help:"NATS server, for health, dlq, publish and doctor." default:"nats://127.0.0.1:4222" env:"HEADWAY_NATS_URL"`
	NATS      backend.NATSLogin `embed:"" group:"Where"`
	Namespace string            `group:"Where" help:"Namespace of the batches." default:"default" env:"HEADWAY_NAMESPACE"`
	credential
	JSON bool `name:"json" help:"Print one JSON object per line, for programs."`
}

// credential is what a verb shows to the API.
type credential struct {
	Token     string `group:"Where" help:"API key; better given by the environment or by --token-file, since others can see command lines." env:"HEADWAY_TOKEN"`
	TokenFile string `group:"Where" help:"File with the API key. It is read for each connection, so that it can be replaced." placeholder:"FILE" env:"HEADWAY_TOKEN_FILE"`
}

// token is the credential; "" if there is none.
func (c credential) token() (string, error) {
	if c.TokenFile == "" {
		return c.Token, nil
	}
	text, err := os.ReadFile(c.TokenFile)
	if err != nil {
		return "", ExitError{Code: exitUsage, Err: fmt.Errorf("--token-file: %w", err)}
	}
	return strings.TrimSpace(string(text)), nil
}

// reader asks the API. connection may be nil.
func (s shared) reader(connection func(client.Connection)) (*client.Reader, error) {
	return s.watcher(connection, 0)
}

// watcher is a reader that waits at most so long for a batch to begin; 0: without a limit.
func (s shared) watcher(connection func(client.Connection), begin time.Duration) (*client.Reader, error) {
	if s.Namespace != "" && !diagnostics.ValidNamespace(s.Namespace) {
		return nil, ExitError{Code: exitUsage, Err: errors.New("--namespace: must match ^[A-Za-z0-9_-]{1,128}$")}
	}
	o := client.ReaderOptions{URL: s.URL, Namespace: s.Namespace, Connection: connection, BeginWithin: begin}
	if s.Token != "" || s.TokenFile != "" {
		o.Token = func(context.Context) (string, error) { return s.token() }
	}
	r, err := client.NewReader(o)
	if err != nil {
		return nil, ExitError{Code: exitUsage, Err: fmt.Errorf("--url: %s is not an http or https address", bare(s.URL))}
	}
	return r, nil
}

// failed turns an error of the reader into a message and an exit code. batch is "" if none was named.
func (s shared) failed(err error, batch string) error {
	var status *client.StatusError
	unknown := func(format string, args ...any) error {
		return ExitError{Code: exitUnknown, Err: fmt.Errorf(format, args...)}
	}
	switch {
	case err == nil:
		return nil
	case errors.Is(err, context.Canceled):
		return unknown("interrupted")
	case errors.Is(err, client.ErrNotFound):
		return unknown("no batch %s in the namespace %s, or none that you may see; --namespace names another", plain(batch), s.Namespace)
	case errors.As(err, &status) && (status.Status == http.StatusUnauthorized || status.Status == http.StatusForbidden):
		return unknown("--token: the API refused it (%d): %s", status.Status, plain(status.Detail))
	case errors.As(err, &status):
		return unknown("%s", plain(status.Error()))
	}
	return unknown("--url: %s can't be reached (%s): is Headway running there? headway doctor finds out more", bare(s.URL), cause(err))
}

func (s shared) connect(verb string) (*nats.Conn, error) {
	options, err := s.NATS.Options(s.NATSURL, "headway "+verb)
	if err != nil {
		return nil, ExitError{Code: exitUsage, Err: err}
	}
	nc, err := nats.Connect(s.NATSURL, append(options, nats.MaxReconnects(-1),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
			fmt.Fprintln(os.Stderr, "NATS:", plain(err.Error()))
		}))...)
	switch {
	case err == nil:
		return nc, nil
	case errors.Is(err, nats.ErrAuthorization):
		return nil, ExitError{Code: exitUnknown, Err: fmt.Errorf("--nats-url: %s refuses the credentials: give them with --nats-creds-file, --nats-nkey-file, --nats-user or --nats-token-file", bare(s.NATSURL))}
	}
	return nil, ExitError{Code: exitUnknown, Err: fmt.Errorf("--nats-url: %s can't be reached (%s): is NATS running there? headway doctor finds out more",
		bare(s.NATSURL), strings.TrimPrefix(cause(err), "nats: "))}
}

func (s shared) log(ctx context.Context, verb string) (*eventlog.Log, func(), error) {
	nc, err := s.connect(verb)
	if err != nil {
		return nil, nil, err
	}
	l, err := eventlog.Open(ctx, nc, eventlog.Config{})
	if err != nil {
		nc.Close()
		return nil, nil, ExitError{Code: exitUnknown, Err: fmt.Errorf("--nats-url: %s: %w", bare(s.NATSURL), err)}
	}
	return l, nc.Close, nil
}
