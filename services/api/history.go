package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/headwayhq/headway/pkg/diagnostics"
	"github.com/headwayhq/headway/pkg/eventlog"
	"github.com/headwayhq/headway/pkg/push"
)

// Archive has the last state of batches that Redis doesn't have any more.
type Archive interface {
	// LastCheckpoint reads a batch's checkpoint; nil if there is none.
	LastCheckpoint(ctx context.Context, namespace, batch string) (*eventlog.Checkpoint, error)
}

// recall looks in the history for a batch that Redis certainly doesn't have, before anybody is told that it doesn't exist (rule 22).
func (s *source) recall(ctx context.Context, k push.Key, f *fence) (*push.Frame, error) {
	if s.archive == nil {
		return nil, nil
	}
	ctx, cancel := context.WithTimeout(ctx, storeWithin)
	defer cancel()
	c, err := s.archive.LastCheckpoint(ctx, k.Namespace, k.Name)
	if err != nil {
		return nil, fmt.Errorf("api: history: %w", err)
	}
	if c == nil {
		return nil, nil
	}
	value := c.Value
	if c.Identity != f.identity {
		// Its numbers are those of a log that doesn't exist any more.
		h, err := diagnostics.ParseHeader(value)
		if err != nil {
			return nil, fmt.Errorf("api: history: %w", err)
		}
		value = append(diagnostics.Header{Revision: 1, Incomplete: h.Incomplete}.Append(nil), value[diagnostics.HeaderSize:]...)
	}
	return s.frame(k, value, f)
}

// certain reports whether an absence says that there is no such batch, rather than that it isn't known.
func certain(absent error) bool {
	var p *problemError
	return errors.As(absent, &p) && p.p.Status == http.StatusNotFound
}
