// Package cli holds the verbs of the headway binary that talk to a running Headway.
package cli

import (
	"fmt"

	"github.com/nats-io/nats.go"
)

// Commands are the verbs.
type Commands struct {
	Demo    Demo    `cmd:"" help:"Send a simulated workload to a running Headway."`
	Get     Get     `cmd:"" help:"Print the diagnosis of a batch."`
	Explain Explain `cmd:"" help:"Print why the health of a batch is what it is."`
	List    List    `cmd:"" help:"List batches, those in need first."`
	Publish Publish `cmd:"" help:"Publish events from a file or standard input, one JSON object a line."`
	Health  Health  `cmd:"" help:"Print changes of health."`
	DLQ     DLQ     `cmd:"" name:"dlq" help:"Look at dead-lettered events, and publish one that was mended."`
}

// ExitError ends the program with a code of its own.
type ExitError struct {
	Code int
	Err  error // nil: all was said already
}

func (e ExitError) Error() string { return fmt.Sprintf("exit code %d: %v", e.Code, e.Err) }

func (e ExitError) Unwrap() error { return e.Err }

// server is the flag of all verbs that talk to NATS.
type server struct {
	NATSURL string `name:"nats-url" help:"NATS server." default:"nats://127.0.0.1:4222" env:"HEADWAY_NATS_URL"`
}

func (s server) connect(name string) (*nats.Conn, error) {
	nc, err := nats.Connect(s.NATSURL, nats.Name("headway "+name), nats.MaxReconnects(-1))
	if err != nil {
		return nil, ExitError{Code: exitUnreachable, Err: fmt.Errorf("%s: %w", s.NATSURL, err)}
	}
	return nc, nil
}

const (
	exitRefused     = 1 // some of what was asked for was refused
	exitUnreachable = 2 // the server could not be reached
)
