package relay

import (
	"context"

	"github.com/headwayhq/headway/services/relay/machine"
)

// The types that sources yield, and those that place jobs, are those of the state machine.
type (
	Observation = machine.Observation
	Status      = machine.Status
	Waits       = machine.Waits
	Asked       = machine.Asked
	Lines       = machine.Lines
	Rules       = machine.Rules
	Place       = machine.Place
	Found       = machine.Found
)

// Values of Status. An empty status means that an observation doesn't contain one.
const (
	Pending   = machine.Pending
	Running   = machine.Running
	Succeeded = machine.Succeeded
	Failed    = machine.Failed
	Stopped   = machine.Stopped
)

// EventSource is the source field of all events that relays publish.
const EventSource = machine.EventSource

// Yield takes observations. It returns once everything new in them is published, so that a source may then move its
// cursor past them. It fails only with the context's error.
type Yield func(ctx context.Context, seen ...Observation) error

// Source watches until ctx ends, and blocks until then. It reconnects by itself. An error stops the relay, so a source
// returns one only if retrying is pointless. Observations may be yielded in any order and more than once.
type Source interface {
	Run(ctx context.Context, yield Yield) error
}
