package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/alecthomas/kong"
	"github.com/nats-io/nats.go"

	"github.com/headwayhq/headway/pkg/client"
	"github.com/headwayhq/headway/pkg/diagnostics"
	"github.com/headwayhq/headway/pkg/eventlog"
	"github.com/headwayhq/headway/services/internal/backend"
)

// shared are the flags of all verbs that talk to a running Headway: one set, whichever of them a verb needs.
type shared struct {
	target
	NATSURL   string            `name:"nats-url" group:"Where" help:"NATS server, for health, dlq, publish and doctor." default:"nats://127.0.0.1:4222" env:"HEADWAY_NATS_URL"`
	NATS      backend.NATSLogin `embed:"" group:"Where"`
	Namespace string            `short:"n" group:"Where" help:"Namespace of the batches (default: that of the context, else the only one of the credential, else default)." placeholder:"NAME" env:"HEADWAY_NAMESPACE"`
	JSON      bool              `name:"json" help:"Print one JSON object per line, for programs."`
}

// AfterApply is called by kong.
func (s *shared) AfterApply(k *kong.Context) error { return s.choose(k, "namespace", &s.Namespace) }

// namespace is the one to use where the API isn't asked.
func (s *shared) namespace() string { return cmp.Or(s.Namespace, "default") }

// place says where a batch is looked for. Without a name the API takes the only namespace of the credential, else default.
func place(namespace string) string {
	if namespace == "" {
		return "the namespace of the credential"
	}
	return "the namespace " + namespace
}

// flags are those with which a command finds the same Headway and namespace, to be printed after a verb. Each begins with a space.
func (s *shared) flags() string {
	out := s.target.flags()
	if s.Namespace != "" && (s.Namespace != "default" || s.in.context != "") {
		out += " --namespace " + quoted(s.Namespace)
	}
	return out
}

// known is the namespace if it is known here; "" if only the API knows it.
func (s *shared) known() string {
	if s.in.credential.token == nil {
		return s.namespace()
	}
	return s.Namespace
}

// reader asks the API. connection may be nil.
func (s *shared) reader(connection func(client.Connection)) (*client.Reader, error) {
	return s.watcher(connection, 0)
}

// watcher is a reader that waits at most so long for a batch to begin; 0: without a limit.
func (s *shared) watcher(connection func(client.Connection), begin time.Duration) (*client.Reader, error) {
	if s.Namespace != "" && !diagnostics.ValidNamespace(s.Namespace) {
		return nil, ExitError{Code: exitUsage, Err: errors.New("--namespace: must match ^[A-Za-z0-9_-]{1,128}$")}
	}
	over, err := s.client(0)
	if err != nil {
		return nil, err
	}
	r, err := client.NewReader(client.ReaderOptions{
		HTTP: over, URL: s.URL, Namespace: s.Namespace, Token: s.in.credential.token, Connection: connection, BeginWithin: begin,
	})
	if err != nil {
		return nil, ExitError{Code: exitUsage, Err: fmt.Errorf("--url: %s is not an http or https address", bare(s.URL))}
	}
	return r, nil
}

// failed turns an error of the reader into a message and an exit code. batch is "" if none was named.
func (s *shared) failed(err error, batch string) error {
	if !errors.Is(err, client.ErrNotFound) {
		return s.refused(err)
	}
	what := ""
	if batch != "" {
		what = "no batch " + plain(batch) + " in "
	}
	return ExitError{Code: exitUnknown, Err: fmt.Errorf("%s%s, or none that you may see; --namespace names another, and headway whoami%s lists yours", cmp.Or(what, "no "), place(s.known()), s.target.flags())}
}

func (s *shared) connect(verb string) (*nats.Conn, error) {
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
	return nil, ExitError{Code: exitUnknown, Err: fmt.Errorf("--nats-url: %s can't be reached (%s): is NATS running there? headway doctor%s finds out more",
		bare(s.NATSURL), strings.TrimPrefix(cause(err), "nats: "), s.busFlags())}
}

// busFlags are those with which headway doctor finds the same NATS.
func (s *shared) busFlags() string {
	out := s.target.flags()
	if s.NATSURL != defaultNATS {
		out += " --nats-url " + quoted(bare(s.NATSURL))
	}
	return out
}

const defaultNATS = "nats://127.0.0.1:4222"

func (s *shared) log(ctx context.Context, verb string) (*eventlog.Log, func(), error) {
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
