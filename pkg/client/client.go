package client

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v4"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Options of a Client. The zero value is usable.
type Options struct {
	Namespace   string        // of the events; default "default"
	Source      string        // of the events; default "go-client"
	MaxInFlight int           // events handed over and not acknowledged; default 1024. Publish waits beyond it
	MaxElapsed  time.Duration // how long one event is tried; default 2 min
}

// Client publishes events. Safe for concurrent use.
type Client struct {
	js    jetstream.JetStream
	o     Options
	slots chan struct{}
	own   *nats.Conn // connected by Connect

	mu       sync.Mutex
	inFlight int
	idle     chan struct{} // closed when nothing is in flight
	failed   error         // the first failure since the last Flush
	failures int
}

// ErrRejected: the server stores no such subject. The stream takes headway.events.<namespace>.<batch>.<kind…>.
var ErrRejected = errors.New("client: no stream takes this subject")

// Connect connects to a NATS server; the connection is made again for ever.
func Connect(url string, o Options) (*Client, error) {
	nc, err := nats.Connect(url, nats.Name("headway client"), nats.MaxReconnects(-1), nats.ReconnectJitter(200*time.Millisecond, time.Second))
	if err != nil {
		return nil, fmt.Errorf("client: connect %s: %w", url, err)
	}
	c, err := New(nc, o)
	if err != nil {
		nc.Close()
		return nil, err
	}
	c.own = nc
	return c, nil
}

// New uses a connection of the caller's.
func New(nc *nats.Conn, o Options) (*Client, error) {
	js, err := jetstream.New(nc)
	if err != nil {
		return nil, fmt.Errorf("client: %w", err)
	}
	if o.Namespace == "" {
		o.Namespace = "default"
	}
	if o.Source == "" {
		o.Source = "go-client"
	}
	if o.MaxInFlight <= 0 {
		o.MaxInFlight = 1024
	}
	if o.MaxElapsed <= 0 {
		o.MaxElapsed = 2 * time.Minute
	}
	idle := make(chan struct{})
	close(idle)
	return &Client{js: js, o: o, slots: make(chan struct{}, o.MaxInFlight), idle: idle}, nil
}

// Publish hands an event over. It returns an error only for an event that can't be sent at all, or when
// ctx ends while too many are in flight; what becomes of the event is told by Flush.
func (c *Client) Publish(ctx context.Context, e Event) error {
	subject, data, err := e.encode(c.o)
	if err != nil {
		return err
	}
	return c.PublishRaw(ctx, subject, nil, data)
}

// PublishRaw hands over an event that is encoded already: a structured CloudEvent, or one in binary mode
// with its attributes in header.
func (c *Client) PublishRaw(ctx context.Context, subject string, header nats.Header, data []byte) error {
	select {
	case c.slots <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	c.mu.Lock()
	if c.inFlight == 0 {
		c.idle = make(chan struct{})
	}
	c.inFlight++
	c.mu.Unlock()
	go func() {
		err := c.send(ctx, &nats.Msg{Subject: subject, Header: header, Data: data})
		c.mu.Lock()
		if err != nil {
			c.failures++
			if c.failed == nil {
				c.failed = err
			}
		}
		if c.inFlight--; c.inFlight == 0 {
			close(c.idle)
		}
		c.mu.Unlock()
		<-c.slots
	}()
	return nil
}

// tryLimit bounds the wait for one acknowledgement.
const tryLimit = 5 * time.Second

// send tries until the event is acknowledged. What can't get better is an error at once.
func (c *Client) send(ctx context.Context, m *nats.Msg) error {
	retry := backoff.NewExponentialBackOff(backoff.WithInitialInterval(50*time.Millisecond),
		backoff.WithMaxInterval(2*time.Second), backoff.WithMaxElapsedTime(c.o.MaxElapsed))
	err := backoff.Retry(func() error {
		try, cancel := context.WithTimeout(ctx, tryLimit)
		defer cancel()
		_, err := c.js.PublishMsg(try, m)
		switch {
		case errors.Is(err, jetstream.ErrNoStreamResponse):
			return backoff.Permanent(fmt.Errorf("%w: %s", ErrRejected, m.Subject))
		case errors.Is(err, nats.ErrMaxPayload), errors.Is(err, nats.ErrBadSubject), errors.Is(err, nats.ErrConnectionClosed):
			return backoff.Permanent(err)
		}
		return err
	}, backoff.WithContext(retry, ctx))
	if err != nil {
		return fmt.Errorf("client: publish %s: %w", m.Subject, err)
	}
	return nil
}

// Flush waits until everything handed over is acknowledged or given up. It returns the first failure since
// the last Flush, with how many there were.
func (c *Client) Flush(ctx context.Context) error {
	c.mu.Lock()
	idle := c.idle
	c.mu.Unlock()
	select {
	case <-idle:
	case <-ctx.Done():
		return ctx.Err()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	err, n := c.failed, c.failures
	c.failed, c.failures = nil, 0
	if n > 1 {
		return fmt.Errorf("%d events failed, the first: %w", n, err)
	}
	return err
}

// Close flushes, and ends a connection that Connect made.
func (c *Client) Close(ctx context.Context) error {
	err := c.Flush(ctx)
	if c.own != nil {
		c.own.Close()
	}
	return err
}
