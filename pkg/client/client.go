package client

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/headwayhq/headway/pkg/diagnostics"
)

// Options of a Client. The zero value is usable.
type Options struct {
	Namespace   string        // of the events; default "default"
	Source      string        // of the events; default "go-client"
	MaxInFlight int           // events queued and not acknowledged; default 1024. PublishAsync waits while there are more
	MaxElapsed  time.Duration // how long one event is retried; default: until its context ends
	NoStream    time.Duration // how long to retry on a server without Headway's stream, which may be just starting; default 15 s
}

// Client publishes events. Safe for concurrent use.
type Client struct {
	deliver  func(context.Context, *nats.Msg) (uint64, error) // returns once the event is stored or refused
	o        Options
	slots    chan struct{}
	own      *nats.Conn // connected by Connect
	decoders sync.Pool  // of *diagnostics.Decoder, each with its own buffers

	mu       sync.Mutex
	inFlight map[*Ack]struct{}
	failed   error // the first failure since the last Flush
	failures int
}

// Connect connects to a NATS server. A lost connection is reopened, without a limit of attempts.
func Connect(url string, o Options) (*Client, error) {
	nc, err := nats.Connect(url, nats.Name("headway client"), nats.MaxReconnects(-1),
		nats.ReconnectWait(250*time.Millisecond), nats.ReconnectJitter(200*time.Millisecond, time.Second),
		nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {})) // errors reach the caller through Ack and Flush; the default handler prints them
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

// New uses a connection of the caller. Open it with nats.MaxReconnects(-1): by default nats.go gives up for good
// after two minutes, and the client would stop working with it.
func New(nc *nats.Conn, o Options) (*Client, error) {
	js, err := jetstream.New(nc)
	if err != nil {
		return nil, fmt.Errorf("client: %w", err)
	}
	if o.NoStream <= 0 {
		o.NoStream = noStreamLimit
	}
	log := &natsLog{js, o}
	return newClient(log.deliver, o), nil
}

func newClient(deliver func(context.Context, *nats.Msg) (uint64, error), o Options) *Client {
	if o.Namespace == "" {
		o.Namespace = "default"
	}
	if o.Source == "" {
		o.Source = "go-client"
	}
	if o.MaxInFlight <= 0 {
		o.MaxInFlight = 1024
	}
	return &Client{
		deliver: deliver, o: o, slots: make(chan struct{}, o.MaxInFlight), inFlight: map[*Ack]struct{}{},
		decoders: sync.Pool{New: func() any { return new(diagnostics.Decoder) }},
	}
}

// Publish returns once the event is stored. It retries until ctx ends (or
// Options.MaxElapsed is over). After an error it is unknown whether the event was stored: publish the
// same event again. Errors: *diagnostics.Rejection (the event isn't valid; it names the field), ErrRejected,
// ErrNoStream, over HTTP a *StatusError, the context's.
func (c *Client) Publish(ctx context.Context, e Event) error {
	subject, data, err := c.encode(e)
	if err != nil {
		return err
	}
	_, err = c.deliver(ctx, &nats.Msg{Subject: subject, Data: data})
	return err
}

// PublishAsync queues an event and returns; it waits only while Options.MaxInFlight events are in
// flight. An error means that the event was not queued: *diagnostics.Rejection, or the context's. The Ack and
// Flush report the result. ctx bounds the retries too, not just the queueing.
func (c *Client) PublishAsync(ctx context.Context, e Event) (*Ack, error) {
	subject, data, err := c.encode(e)
	if err != nil {
		return nil, err
	}
	return c.PublishRawAsync(ctx, subject, nil, data)
}

// PublishRaw queues an already encoded event without checking it: a structured CloudEvent, or one in
// binary mode with its attributes in header. Flush reports the result.
func (c *Client) PublishRaw(ctx context.Context, subject string, header nats.Header, data []byte) error {
	_, err := c.PublishRawAsync(ctx, subject, header, data)
	return err
}

// PublishRawAsync is PublishRaw with an Ack.
func (c *Client) PublishRawAsync(ctx context.Context, subject string, header nats.Header, data []byte) (*Ack, error) {
	select {
	case c.slots <- struct{}{}:
	case <-ctx.Done():
		return nil, fmt.Errorf("client: publish %s: %w", subject, ctx.Err())
	}
	a := &Ack{done: make(chan struct{})}
	c.mu.Lock()
	c.inFlight[a] = struct{}{}
	c.mu.Unlock()
	go func() {
		a.seq, a.err = c.deliver(ctx, &nats.Msg{Subject: subject, Header: header, Data: data})
		c.mu.Lock()
		if a.err != nil {
			c.failures++
			if c.failed == nil {
				c.failed = a.err
			}
		}
		delete(c.inFlight, a)
		c.mu.Unlock()
		close(a.done)
		<-c.slots
	}()
	return a, nil
}

// Flush waits until every event queued before is acknowledged or given up. It returns the
// first failure since the last Flush and the number of failures. If ctx ends first it returns the context's error, and some
// events may still be in flight.
func (c *Client) Flush(ctx context.Context) error {
	c.mu.Lock()
	waiting := make([]*Ack, 0, len(c.inFlight))
	for a := range c.inFlight {
		waiting = append(waiting, a)
	}
	c.mu.Unlock()
	for i, a := range waiting {
		select {
		case <-a.done:
		case <-ctx.Done():
			return fmt.Errorf("client: flush: of %d events %d may be in flight: %w", len(waiting), len(waiting)-i, ctx.Err())
		}
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

// Close flushes, and closes the connection if Connect opened it.
func (c *Client) Close(ctx context.Context) error {
	err := c.Flush(ctx)
	if c.own != nil {
		c.own.Close()
	}
	return err
}

// Ack reports the result of an event that was queued.
type Ack struct {
	done chan struct{}
	seq  uint64
	err  error
}

// Done is closed when the event is acknowledged or given up.
func (a *Ack) Done() <-chan struct{} { return a.done }

// Err is why the event was given up; nil when it was acknowledged, and before Done.
func (a *Ack) Err() error {
	select {
	case <-a.done:
		return a.err
	default:
		return nil
	}
}

// Sequence is the event's sequence number in the log; 0 if it wasn't stored, before Done, and over HTTP.
func (a *Ack) Sequence() uint64 {
	select {
	case <-a.done:
		return a.seq
	default:
		return 0
	}
}

// Wait waits for Done and returns Err, or the context's error.
func (a *Ack) Wait(ctx context.Context) error {
	select {
	case <-a.done:
		return a.err
	case <-ctx.Done():
		return fmt.Errorf("client: %w", ctx.Err())
	}
}
