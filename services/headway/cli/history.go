package cli

import (
	"context"
	"errors"

	"github.com/headwayhq/headway/pkg/client"
)

// History is headway history.
type History struct {
	shared
	output
	Since    when              `help:"Only batches that ended since then: 30d ago, yesterday, 2026-03-01, 2026-03-01T12:00:00Z. Without it, the last seven days." placeholder:"TIME"`
	Until    when              `help:"Only batches that ended before then." placeholder:"TIME"`
	Status   []choice          `help:"Only these: ${enum}." enum:"COMPLETED,COMPLETED_WITH_ERRORS,FAILED,CANCELED,SKIPPED"`
	Health   []choice          `help:"Only these: ${enum}." enum:"ok,scaling,stuck,degraded"`
	Pipeline string            `help:"Only this pipeline."`
	Label    map[string]string `help:"Only with all of these, key=value."`
	Text     string            `name:"search" short:"q" help:"Text in the id, name, pipeline, owner or a label."`
	Limit    int               `help:"At most this many; 0: all." default:"50"`
}

// Validate is called by kong.
func (h *History) Validate() error {
	switch {
	case h.Limit < 0:
		return errors.New("--limit: must not be negative; 0 lists all")
	case !h.Since.IsZero() && !h.Until.IsZero() && h.Until.Before(h.Since.Time):
		return errors.New("--until: is before --since")
	}
	return nil
}

// Run prints the finished batches that fit, the latest end first.
func (h *History) Run(ctx context.Context) error {
	form, err := h.as(h.JSON)
	if err != nil {
		return err
	}
	r, err := h.reader(nil)
	if err != nil {
		return err
	}
	return h.listed(r.History(ctx, client.HistoryOptions{
		From: h.Since.Time, To: h.Until.Time, Status: texts(h.Status), Health: texts(h.Health), Pipeline: h.Pipeline, Labels: h.Label, Text: h.Text,
		PageSize: pageSize(h.Limit),
	}), form, h.Limit)
}
