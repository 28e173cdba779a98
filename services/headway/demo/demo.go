// Package demo sends the simulator's workload to a running Headway through its HTTP API.
package demo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/cenkalti/backoff/v4"

	"github.com/headwayhq/headway/pkg/simulator"
)

// Options of a demo. URL is required.
type Options struct {
	URL     string // of the API
	Token   string // "": none is sent
	Config  simulator.Config
	Client  *http.Client
	Refused func(simulator.Event, string) // called for each event that the API rejects, as it should reject the poison events
}

// postAtOnce is the largest number of events in one request.
const postAtOnce = 200

// Run sends the workload at its own pace and returns how many events were accepted.
func Run(ctx context.Context, o Options) (sent int, err error) {
	if o.Client == nil {
		o.Client = &http.Client{Timeout: 15 * time.Second}
	}
	if o.Config.Start.IsZero() {
		o.Config.Start = time.Now()
	}
	events := simulator.Events(o.Config)
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
		for n < len(events) && n < postAtOnce && events[n].At <= now && events[n].Namespace == events[0].Namespace && !events[n].Poison && !events[0].Poison {
			n++
		}
		kept, err := post(ctx, o, events[:n])
		if err != nil {
			if ctx.Err() != nil {
				return sent, nil
			}
			return sent, err
		}
		sent += kept
		events = events[n:]
	}
	return sent, nil
}

// post sends events in one request, and retries while the API is briefly unavailable.
func post(ctx context.Context, o Options, events []simulator.Event) (kept int, err error) {
	var body bytes.Buffer
	body.WriteByte('[')
	for i, e := range events {
		if i > 0 {
			body.WriteByte(',')
		}
		body.Write(e.Data)
	}
	body.WriteByte(']')
	retry := backoff.NewExponentialBackOff(backoff.WithInitialInterval(100*time.Millisecond), backoff.WithMaxElapsedTime(30*time.Second))
	err = backoff.Retry(func() error {
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, o.URL+"/v1/events", bytes.NewReader(body.Bytes()))
		if err != nil {
			return backoff.Permanent(err)
		}
		req.Header.Set("Content-Type", "application/cloudevents-batch+json")
		req.Header.Set("X-Namespace", events[0].Namespace)
		if o.Token != "" {
			req.Header.Set("Authorization", "Bearer "+o.Token)
		}
		res, err := o.Client.Do(req)
		if err != nil {
			return err
		}
		defer res.Body.Close()
		answer, _ := io.ReadAll(io.LimitReader(res.Body, 1<<16))
		switch {
		case res.StatusCode == http.StatusAccepted:
			kept = len(events)
			return nil
		case res.StatusCode == http.StatusBadRequest && events[0].Poison:
			if o.Refused != nil {
				o.Refused(events[0], string(answer))
			}
			return nil
		case res.StatusCode >= 500 || res.StatusCode == http.StatusTooManyRequests:
			return errors.New(res.Status)
		default:
			return backoff.Permanent(fmt.Errorf("demo: %s: %s", res.Status, answer))
		}
	}, backoff.WithContext(retry, ctx))
	return kept, err
}
