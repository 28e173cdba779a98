package relay

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/headwayhq/headway/pkg/diagnostics"
)

// Announced is a batch's health and the code of its cause, as the detector announced them.
type Announced struct {
	Namespace, Batch string
	Health, Cause    string
}

// HealthFeed passes the latest announcement of each batch of these namespaces to sink, and then each new one, until ctx ends or the
// feed fails. "*" stands for all namespaces.
type HealthFeed interface {
	Follow(ctx context.Context, namespaces []string, sink func(Announced)) error
}

// Feed is the HealthFeed of a NATS server with Headway's streams.
type Feed struct{ Conn *nats.Conn }

// healthStream and healthPrefix are part of what Headway offers on NATS: docs/events.md.
const (
	healthStream = "HEADWAY_HEALTH"
	healthPrefix = "headway.health."
)

// Follow implements HealthFeed.
func (f Feed) Follow(ctx context.Context, namespaces []string, sink func(Announced)) error {
	js, err := jetstream.New(f.Conn)
	if err != nil {
		return fmt.Errorf("relay: health: %w", err)
	}
	subjects := make([]string, 0, len(namespaces))
	for _, n := range namespaces {
		subjects = append(subjects, healthPrefix+n+".>")
	}
	consumer, err := js.OrderedConsumer(ctx, healthStream, jetstream.OrderedConsumerConfig{
		FilterSubjects: subjects, DeliverPolicy: jetstream.DeliverLastPerSubjectPolicy,
		MaxResetAttempts: 1, // a second try has the same name, which a lost server may hold: the next call has another one
	})
	if err != nil {
		return fmt.Errorf("relay: health: %w", err)
	}
	messages, err := consumer.Messages()
	if err != nil {
		return fmt.Errorf("relay: health: %w", err)
	}
	defer messages.Stop()
	for {
		m, err := messages.Next(jetstream.NextContext(ctx))
		if err != nil {
			return fmt.Errorf("relay: health: %w", err)
		}
		if a, ok := announced(m.Data()); ok {
			sink(a)
		}
	}
}

// announced reads an announcement. One of another version is left out rather than misread.
func announced(body []byte) (a Announced, ok bool) {
	var e struct {
		Type   string    `json:"type"`
		Source string    `json:"source"`
		Time   time.Time `json:"time"`
		Data   struct {
			Namespace string  `json:"namespace"`
			Batch     string  `json:"batch_id"`
			To        string  `json:"to"`
			CauseTo   *string `json:"cause_to"`
		} `json:"data"`
	}
	if json.Unmarshal(body, &e) != nil || e.Type != diagnostics.TypeHealthV1 || e.Source != diagnostics.DetectorSource || e.Data.Batch == "" {
		return a, false
	}
	a = Announced{Namespace: e.Data.Namespace, Batch: e.Data.Batch, Health: e.Data.To}
	if e.Data.CauseTo != nil {
		a.Cause = *e.Data.CauseTo
	}
	return a, true
}
