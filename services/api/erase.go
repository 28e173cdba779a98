package api

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/headwayhq/headway/pkg/diagnostics"
	"github.com/headwayhq/headway/pkg/eventlog"
	"github.com/headwayhq/headway/pkg/push"
	"github.com/headwayhq/headway/services/api/access"
)

// Eraser overwrites what the streams hold of a batch.
type Eraser interface {
	// Held counts what they hold.
	Held(ctx context.Context, namespace, batch string) (eventlog.Held, error)
	// Erase puts a tombstone in the place of the batch's checkpoint, unless it is nil because there is one already, overwrites everything else
	// except the events that erased the batch, and counts what it overwrote, also beside an error.
	Erase(ctx context.Context, namespace, batch string, tombstone *eventlog.Checkpoint) (eventlog.Held, error)
}

// Erasure is what was erased of a batch, or would be.
type Erasure struct {
	BatchID   string     `json:"batch_id"`
	Namespace string     `json:"namespace"`
	DryRun    bool       `json:"dry_run"`
	ErasedAt  *time.Time `json:"erased_at"` // null: it isn't erased
	Events    int        `json:"events"`
	History   int        `json:"history"` // checkpoints, their parts and list rows
	Health    int        `json:"health_changes"`
	Dead      int        `json:"dead_letters"`
}

// eraseWithin limits the work of one request. What isn't done by then is left to the next one.
const eraseWithin = 25 * time.Second

// eraseBatch erases a batch, or says what would be erased.
func (s *Service) eraseBatch(c echo.Context, p *access.Principal) error {
	// The route takes the rest of the path, slashes too.
	if c.Request().URL.RawPath == "" && strings.Contains(c.Param("batch_id"), "/") {
		c.Response().Header().Set(echo.HeaderAllow, "OPTIONS, GET, HEAD")
		return echo.ErrMethodNotAllowed
	}
	k, err := s.batchKey(c, p)
	if err != nil {
		return err
	}
	if err := onlyParameters(c, []string{"namespace", "dry_run"}); err != nil {
		return err
	}
	dry := c.QueryParam("dry_run")
	if dry != "" && dry != "true" && dry != "false" {
		return badRequest("dry_run", "must be true or false")
	}
	ctx, cancel := context.WithTimeout(c.Request().Context(), eraseWithin)
	defer cancel()
	out := Erasure{BatchID: diagnostics.DecodeID(k.Name), Namespace: k.Namespace, DryRun: dry == "true"}
	if err := s.known(ctx, k, &out); err != nil {
		return err
	}
	if !out.DryRun {
		err := s.erase(ctx, k, &out)
		s.audit(c, p, "batch erased", k.Namespace+" "+k.Name, err)
		if err != nil {
			return unfinished(err)
		}
	}
	return noStore(c, http.StatusOK, out)
}

// known fills in what there is of a batch. Errors: that of a batch that doesn't exist.
func (s *Service) known(ctx context.Context, k push.Key, out *Erasure) error {
	read, err := s.source.Read(ctx, k)
	if err != nil {
		return unavailable(err)
	}
	held, err := s.eraser.Held(ctx, k.Namespace, k.Name)
	if err != nil {
		return unavailable(err)
	}
	if read.Frame == nil && held == (eventlog.Held{}) {
		return read.Absent
	}
	out.take(held)
	if read.Frame != nil {
		if gone, is := read.Frame.Content.(goneContent); is {
			out.ErasedAt = &gone.at
		}
	}
	return nil
}

func (out *Erasure) take(held eventlog.Held) {
	out.Events, out.History, out.Health, out.Dead = held.Events, held.History, held.Health, held.Dead
}

// erase erases a batch (rule 28). Each step may be repeated, so a request that is sent again completes what another one has begun.
func (s *Service) erase(ctx context.Context, k push.Key, out *Erasure) error {
	if out.ErasedAt == nil {
		m := erasing(k)
		if _, err := s.events.Publish(ctx, m.subject, m.header, m.data); err != nil {
			return fmt.Errorf("storing the event that erases it: %w", err)
		}
	}
	held, err := s.eraser.Held(ctx, k.Namespace, k.Name)
	if err != nil {
		return fmt.Errorf("asking for what the log holds: %w", err)
	}
	tombstone, err := s.awaitErased(ctx, k, held.Last, out)
	if err != nil {
		return fmt.Errorf("waiting for the view: %w", err)
	}
	overwritten, err := s.eraser.Erase(ctx, k.Namespace, k.Name, tombstone)
	out.take(overwritten)
	if err != nil {
		return fmt.Errorf("overwriting what the streams hold: %w", err)
	}
	return nil
}

// erasing is the event that erases a batch.
func erasing(k push.Key) message {
	data, _ := json.Marshal(map[string]any{ //nolint:errchkjson // plain types
		"specversion": "1.0", "type": diagnostics.TypeEraseV1, "source": diagnostics.EraseSource, "id": k.Name + ".erase." + rand.Text(),
		"subject": k.Name, "time": time.Now().UTC().Format(time.RFC3339Nano), "data": struct{}{},
	})
	return message{subject: "headway.events." + k.Namespace + "." + k.Name + ".erase", header: eventlog.Structured(), data: data}
}

// awaitErased waits until the stored view is that of an erased batch, and its partition's cursor has passed everything that the log holds
// of it: then each dead letter of it is stored, and nobody will fold any of it again but from the log. It returns the view as the batch's
// tombstone, or nil if Redis doesn't have the view any more and the tombstone is in the history.
func (s *Service) awaitErased(ctx context.Context, k push.Key, last uint64, out *Erasure) (*eventlog.Checkpoint, error) {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		at, tombstone, err := s.erasedUpTo(ctx, k, last)
		if !at.IsZero() {
			out.ErasedAt = &at
			return tombstone, nil
		}
		select {
		case <-ctx.Done():
			return nil, errors.Join(err, ctx.Err())
		case <-tick.C:
		}
	}
}

// erasedUpTo is when a batch was erased; zero unless its view says so and has everything up to a sequence.
func (s *Service) erasedUpTo(ctx context.Context, k push.Key, last uint64) (at time.Time, tombstone *eventlog.Checkpoint, err error) {
	got := s.source.views.load(ctx, []ask{{partition: s.source.partition(k.Namespace, k.Name), keys: []push.Key{k}}})[0]
	if got.err != nil || got.fence == nil || got.fence.cursor < last {
		return at, nil, got.err
	}
	value, inRedis := got.views[0].value, got.views[0].held == present
	if !inRedis {
		if s.source.archive == nil {
			return at, nil, nil
		}
		c, err := s.source.archive.LastCheckpoint(ctx, k.Namespace, k.Name)
		if err != nil || c == nil || !c.Erased {
			return at, nil, err
		}
		value = c.Value
	}
	view, err := diagnostics.Parse(value)
	if err != nil {
		return at, nil, nil //nolint:nilerr // its partition's owner rebuilds it
	}
	at, erased := view.ErasedAt()
	if !erased || !inRedis {
		return at, nil, nil
	}
	return at, &eventlog.Checkpoint{
		Namespace: k.Namespace, Batch: k.Name, Identity: got.fence.identity, Covers: got.fence.cursor, Fold: got.fence.fold, Value: view.Append(nil),
	}, nil
}

func unfinished(err error) *problemError {
	return problem(http.StatusServiceUnavailable, "erasing_unfinished",
		"The batch isn't erased everywhere yet: "+err.Error()+". Send the same request again: it goes on where this one ended.").retry(time.Second).because(err)
}
