package relay

import (
	"context"
	"sync"

	"github.com/nats-io/nats.go"

	"github.com/headwayhq/headway/pkg/client"
)

// Log publishes on the caller's NATS connection, with one client per namespace.
type Log struct {
	conn *nats.Conn
	mu   sync.Mutex
	by   map[string]*client.Client
}

// NewLog returns a Log. The connection should be made with nats.MaxReconnects(-1).
func NewLog(conn *nats.Conn) *Log { return &Log{conn: conn, by: map[string]*client.Client{}} }

// Publish publishes all events concurrently and waits for their acknowledgements.
func (l *Log) Publish(ctx context.Context, namespace string, events ...client.Event) error {
	c, err := l.client(namespace)
	if err != nil {
		return err
	}
	acks := make([]*client.Ack, 0, len(events))
	for _, e := range events {
		a, err := c.PublishAsync(ctx, e)
		if err != nil {
			return err
		}
		acks = append(acks, a)
	}
	for _, a := range acks {
		if err := a.Wait(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (l *Log) client(namespace string) (*client.Client, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if c := l.by[namespace]; c != nil {
		return c, nil
	}
	c, err := client.New(l.conn, client.Options{Namespace: namespace, Source: EventSource})
	if err != nil {
		return nil, err
	}
	l.by[namespace] = c
	return c, nil
}
