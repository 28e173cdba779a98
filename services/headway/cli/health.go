package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/headwayhq/headway/pkg/diagnostics"
	"github.com/headwayhq/headway/pkg/eventlog"
)

// Health is headway health.
type Health struct {
	shared
	AllNamespaces bool   `help:"Print changes of all namespaces that the NATS server lets us read."`
	Batch         string `help:"Only this batch."`
	FromStart     bool   `help:"Begin with the oldest stored change instead of the next one."`
	Once          bool   `help:"End after the newest change instead of waiting for more."`
}

// Run prints changes until ctx ends.
func (h *Health) Run(ctx context.Context) error {
	if h.Namespace != "" && !diagnostics.ValidNamespace(h.Namespace) { // NATS would take a wildcard as one
		return ExitError{Code: exitUsage, Err: errors.New("--namespace: must match ^[A-Za-z0-9_-]{1,128}$")}
	}
	if h.Batch != "" {
		id, ok := diagnostics.EncodeID(h.Batch)
		if !ok {
			return ExitError{Code: exitUsage, Err: errors.New("--batch: must have 1 to 128 bytes and no control characters")}
		}
		h.Batch = id
	}
	h.Namespace = h.namespace()
	if h.AllNamespaces {
		h.Namespace = ""
	}
	nc, err := h.connect("health")
	if err != nil {
		return err
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		return err
	}
	subject := "headway.health." + orStar(h.Namespace) + "." + orStar(h.Batch)
	policy := jetstream.DeliverNewPolicy
	if h.FromStart || h.Once {
		policy = jetstream.DeliverAllPolicy
	}
	c, err := js.OrderedConsumer(ctx, eventlog.HealthStream, jetstream.OrderedConsumerConfig{FilterSubjects: []string{subject}, DeliverPolicy: policy})
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return ExitError{Code: exitUnknown, Err: fmt.Errorf("--nats-url: %s has no stream %s: is Headway running there? headway doctor%s finds out more",
			bare(h.NATSURL), eventlog.HealthStream, h.busFlags())}
	}
	if err != nil {
		return err
	}
	info, err := c.Info(ctx)
	if err != nil {
		return err
	}
	left := info.NumPending
	if h.Once && left == 0 {
		return nil
	}
	it, err := c.Messages()
	if err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, it.Stop)
	defer stop()
	for {
		m, err := it.Next()
		if errors.Is(err, jetstream.ErrMsgIteratorClosed) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := h.print(m.Data()); err != nil {
			return err
		}
		if left--; h.Once && left == 0 {
			return nil
		}
	}
}

func orStar(s string) string {
	if s == "" {
		return "*"
	}
	return s
}

func (h *Health) print(event []byte) error {
	if h.JSON {
		return writeJSON(os.Stdout, event)
	}
	var e struct {
		Time time.Time `json:"time"`
		Data struct {
			Batch     string  `json:"batch_id"`
			Namespace string  `json:"namespace"`
			From      string  `json:"from"`
			To        string  `json:"to"`
			Reason    *string `json:"blocked_reason"`
			CauseFrom *string `json:"cause_from"`
			CauseTo   *string `json:"cause_to"`
		} `json:"data"`
	}
	if err := json.Unmarshal(event, &e); err != nil {
		return fmt.Errorf("a change of health can't be parsed: %w", err)
	}
	reason := ""
	if e.Data.Reason != nil {
		reason = "  " + reasonWords(*e.Data.Reason, e.Time)
	}
	change := e.Data.From + " → " + e.Data.To
	if e.Data.From == e.Data.To { // only the cause changed
		change = e.Data.To + ": " + causeOr(e.Data.CauseFrom) + " → " + causeOr(e.Data.CauseTo)
	}
	_, err := fmt.Fprintf(stdout(), "%s  %s/%s  %s%s\n", clock(&e.Time),
		plain(e.Data.Namespace), plain(e.Data.Batch), plain(change), reason)
	return err
}

func causeOr(code *string) string {
	if code == nil {
		return "no cause"
	}
	return *code
}
