package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"math/rand/v2"
	"net/http"
	"strings"
	"time"

	"github.com/cenkalti/backoff/v4"
	"github.com/tmaxmax/go-sse"

	"github.com/headwayhq/headway/pkg/diagnostics"
)

// Silence after which a stream is taken as dead: the API sends a comment every 15 s.
const silence = 45 * time.Second

// Watch yields the batch's snapshot, and a newer one whenever it changes, until the batch has ended, ctx ends
// or the caller stops. A connection that is lost is made again with back-off, resuming where it was; no older
// snapshot follows a newer one of the same stream. An error is the last thing yielded: ErrNotFound, a
// *StatusError that no retry would mend, or the context's.
func (r *Reader) Watch(ctx context.Context, batch string) iter.Seq2[Snapshot, error] {
	return func(yield func(Snapshot, error) bool) {
		w := watch{r: r, path: diagnosticsPath(batch) + "/stream"}
		for event, err := range w.events(ctx) {
			if err != nil {
				yield(Snapshot{}, err)
				return
			}
			var s Snapshot
			switch event.Type {
			case "snapshot", "update", "health", "end":
			default:
				continue // of a later version
			}
			if err := json.Unmarshal([]byte(event.Data), &s); err != nil {
				yield(Snapshot{}, fmt.Errorf("client: a snapshot that can't be read: %w", err))
				return
			}
			if w.newer(s.View) && !yield(s, nil) || event.Type == "end" {
				return
			}
		}
	}
}

// WatchList yields the rows of the namespace, newest 200 at first, and each row that changes. A reconnection
// yields all again. It never ends by itself. Errors: as Watch.
func (r *Reader) WatchList(ctx context.Context) iter.Seq2[[]Row, error] {
	return func(yield func([]Row, error) bool) {
		w := watch{r: r, path: "/v1/batches/stream"}
		for event, err := range w.events(ctx) {
			if err != nil {
				yield(nil, err)
				return
			}
			rows, err := rowsOf(event)
			if err != nil {
				yield(nil, err)
				return
			}
			if len(rows) > 0 && !yield(rows, nil) {
				return
			}
		}
	}
}

func rowsOf(event sse.Event) (rows []Row, err error) {
	switch event.Type {
	case "snapshot":
		var all struct {
			Batches []Row `json:"batches"`
		}
		err = json.Unmarshal([]byte(event.Data), &all)
		rows = all.Batches
	case "update":
		rows = make([]Row, 1)
		err = json.Unmarshal([]byte(event.Data), &rows[0])
	}
	if err != nil {
		return nil, fmt.Errorf("client: a row that can't be read: %w", err)
	}
	return rows, nil
}

// watch is one stream over all of its connections.
type watch struct {
	r      *Reader
	path   string
	lastID string
	shown  diagnostics.ViewInfo
}

// newer takes note of what is shown next. A reconnection repeats what was shown, and a server that is
// behind could show what was before.
func (w *watch) newer(v diagnostics.ViewInfo) bool {
	if streamOf(v.ID) == streamOf(w.shown.ID) && v.Revision <= w.shown.Revision {
		return false
	}
	w.shown = v
	return true
}

// streamOf is a revision id without its sequence: what makes two of them comparable.
func streamOf(id string) string { return id[:strings.LastIndexByte(id, '-')+1] }

// events yields what is received, over as many connections as it takes. Iteration ends with a 204 (the
// batch has ended) or an error.
func (w *watch) events(ctx context.Context) iter.Seq2[sse.Event, error] {
	return func(yield func(sse.Event, error) bool) {
		wait := backoff.NewExponentialBackOff(backoff.WithInitialInterval(w.r.firstRetry),
			backoff.WithMaxInterval(15*time.Second), backoff.WithMaxElapsedTime(0), backoff.WithRandomizationFactor(0.5))
		for {
			more, received, err := w.connect(ctx, yield)
			var status *StatusError
			switch {
			case !more:
				return
			case ctx.Err() != nil:
				yield(sse.Event{}, ctx.Err())
				return
			case errors.As(err, &status) && !status.passes():
				yield(sse.Event{}, err)
				return
			}
			w.r.o.Connection(err)
			if received {
				wait.Reset()
			}
			pause := wait.NextBackOff()
			if status != nil && status.RetryAfter > pause {
				pause = status.RetryAfter + rand.N(status.RetryAfter/2+1)
			}
			timer := time.NewTimer(pause)
			select {
			case <-ctx.Done():
				timer.Stop()
				yield(sse.Event{}, ctx.Err())
				return
			case <-timer.C:
			}
		}
	}
}

// connect reads one connection to its end. more is false when the caller stopped or the server said that
// there is nothing more.
func (w *watch) connect(ctx context.Context, yield func(sse.Event, error) bool) (more, received bool, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	quiet := time.AfterFunc(silence, cancel)
	defer quiet.Stop()
	response, err := w.r.ask(ctx, w.path, "text/event-stream", w.lastID)
	if err != nil {
		return true, false, err
	}
	defer response.Body.Close()
	if response.StatusCode == http.StatusNoContent {
		return false, false, nil
	}
	w.r.o.Connection(nil)
	body := &heard{response.Body, quiet}
	for event, err := range sse.Read(body, &sse.ReadConfig{MaxEventSize: maxAnswer}) {
		if err != nil {
			return true, received, fmt.Errorf("client: stream: %w", err)
		}
		received = true
		if event.LastEventID != "" {
			w.lastID = event.LastEventID
		}
		if !yield(event, nil) {
			return false, received, nil
		}
	}
	return true, received, errors.New("client: the stream was cut")
}

// heard puts the end of patience off whenever something comes.
type heard struct {
	r     io.Reader
	quiet *time.Timer
}

func (h *heard) Read(p []byte) (int, error) {
	n, err := h.r.Read(p)
	if n > 0 {
		h.quiet.Reset(silence)
	}
	return n, err
}
