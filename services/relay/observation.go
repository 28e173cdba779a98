package relay

import (
	"context"

	"github.com/headwayhq/headway/services/relay/machine"
)

// What sources yield, and where jobs belong, in the words of the state machine that takes it in.
type (
	Observation = machine.Observation
	Status      = machine.Status
	Waits       = machine.Waits
	Rules       = machine.Rules
	Place       = machine.Place
	Found       = machine.Found
)

// Statuses. Empty means that an observation says nothing of it.
const (
	Pending   = machine.Pending
	Running   = machine.Running
	Succeeded = machine.Succeeded
	Failed    = machine.Failed
	Stopped   = machine.Stopped
)

// EventSource is the source of all events that relays publish.
const EventSource = machine.EventSource

// Yield takes observations in. It returns once what they say for the first time is published, so that a source may
// move its cursor behind them; its error is the context's.
type Yield func(ctx context.Context, seen ...Observation) error

// Source watches until ctx ends, and blocks as long. It reconnects by itself; an error that it returns ends its relay, so
// that only what can't get better is one. It may yield in any order, and again what it yielded before.
type Source interface {
	Run(ctx context.Context, yield Yield) error
}
