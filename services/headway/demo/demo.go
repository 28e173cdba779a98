// Package demo sends the simulator's workload, or given events, to a running Headway through its HTTP API.
package demo

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/headwayhq/headway/pkg/client"
	"github.com/headwayhq/headway/pkg/diagnostics"
	"github.com/headwayhq/headway/pkg/simulator"
)

// Options of a demo. URL is required.
type Options struct {
	URL     string       // of the API
	Token   client.Token // nil: none is sent
	HTTP    *http.Client // default: one without certificates of its own
	Config  simulator.Config
	Events  []simulator.Event             // sent instead of those of Config, from Config.Start on; nil: those
	Refused func(simulator.Event, string) // called for each event that is refused, as the poison events should be
}

const (
	sendAtOnce = 200              // events
	sendWithin = 30 * time.Second // while the API is briefly unavailable
)

// Run sends the workload at its own pace and returns how many events were accepted.
func Run(ctx context.Context, o Options) (sent int, err error) {
	c, err := client.Post(client.HTTP{URL: o.URL, Token: o.Token, HTTP: o.HTTP}, client.Options{MaxElapsed: sendWithin})
	if err != nil {
		return 0, err
	}
	if o.Config.Start.IsZero() {
		o.Config.Start = time.Now()
	}
	events := o.Events
	if events == nil {
		events = simulator.Events(o.Config)
	}
	timer := time.NewTimer(0)
	defer timer.Stop()
	for len(events) > 0 {
		timer.Reset(time.Until(o.Config.Start.Add(events[0].At)))
		select {
		case <-ctx.Done():
			return sent, nil
		case <-timer.C:
		}
		now := time.Since(o.Config.Start)
		n := 1
		for n < len(events) && n < sendAtOnce && events[n].At <= now {
			n++
		}
		kept, err := send(ctx, c, o, events[:n])
		sent += kept
		if ctx.Err() != nil {
			return sent, nil
		}
		if err != nil {
			return sent, err
		}
		events = events[n:]
	}
	return sent, nil
}

// send sends events together, and waits until each is stored or refused.
func send(ctx context.Context, c *client.Client, o Options, events []simulator.Event) (kept int, err error) {
	acks := make([]*client.Ack, len(events))
	for i, e := range events {
		if acks[i], err = c.PublishRawAsync(ctx, e.Subject, nil, e.Data); err != nil {
			return 0, err
		}
	}
	for i, ack := range acks {
		no := ack.Wait(ctx)
		var rejection *diagnostics.Rejection
		switch {
		case no == nil:
			kept++
		case events[i].Poison && (errors.As(no, &rejection) || errors.Is(no, client.ErrRejected)):
			if o.Refused != nil {
				o.Refused(events[i], no.Error())
			}
		case err == nil:
			err = no
		}
	}
	return kept, err
}
