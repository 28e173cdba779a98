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

// silence is the time without a byte after which a connection counts as lost: the API sends a comment every 15 s.
const silence = 45 * time.Second

// Watch yields the batch's snapshot, and a newer one whenever it changes, until the batch has ended, ctx ends
// or the caller stops. A lost connection is reopened with backoff and resumes from the last snapshot. No older
// snapshot follows a newer one of the same stream identity. For a batch that nobody has heard of it waits until the
// batch begins; BeginWithin limits that. An error is the last value yielded: ErrNotFound, a *StatusError that a retry
// can't fix, or the context's. If the credential ends while the stream is open, Token is asked for a new one. Snapshots share what is the same in
// them, so don't modify the lists in one.
func (r *Reader) Watch(ctx context.Context, batch string) iter.Seq2[Snapshot, error] {
	return func(yield func(Snapshot, error) bool) {
		path := diagnosticsPath(batch) + "/stream"
		w := watch{r: r, path: path + "?wait=false", waitPath: path, rows: true}
		for event, err := range w.events(ctx) {
			if err != nil {
				yield(Snapshot{}, err)
				return
			}
			kind, changes := strings.CutSuffix(event.Type, "-rows")
			switch kind {
			case "snapshot", "update", "health", "end":
			default:
				continue // an event of a later version
			}
			s, err := w.snapshot(event.Data, changes)
			if err != nil {
				yield(Snapshot{}, fmt.Errorf("client: a snapshot can't be parsed: %w", err))
				return
			}
			if w.newer(s.View) && !yield(s, nil) || kind == "end" {
				return
			}
		}
	}
}

var errNoBase = errors.New("a change of nothing")

// snapshot reads an event's data: a snapshot, or what makes one of that of the event before.
func (w *watch) snapshot(data string, changes bool) (s Snapshot, err error) {
	switch {
	case !changes:
		err = json.Unmarshal([]byte(data), &s)
	case w.base == nil:
		err = errNoBase
	default:
		s, err = w.base.Apply([]byte(data))
	}
	if err == nil && w.rows {
		w.base = &s
	}
	return s, err
}

// WatchList yields first the newest 200 rows of the namespace, then each row that changes. After a reconnection it
// yields all rows again. It never ends by itself. Errors: those of Watch.
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
		return nil, fmt.Errorf("client: a row can't be parsed: %w", err)
	}
	return rows, nil
}

// watch is one stream, over all of its connections.
type watch struct {
	r      *Reader
	path   string
	lastID string
	shown  diagnostics.ViewInfo
	heard  time.Time // when the server last sent something, comments included

	sent  string       // the credential of the last connection
	ended *StatusError // why that credential ended; nil if it didn't

	rows bool      // changes are asked for as rows, unless the server knows no such format
	base *Snapshot // of the previous event on the connection

	waitPath string      // of a stream that is open although there is no such batch yet; "" if there is no such stream
	waiting  bool        // the server knows no such batch, and nothing was received yet
	begin    *time.Timer // while waiting, ends it; nil without a limit
}

// newer records the snapshot that is shown next, and rejects older ones. After a reconnection the server may repeat a
// snapshot, and one that lags may send an older one. What changes with time alone comes as the same revision at a later moment.
func (w *watch) newer(v diagnostics.ViewInfo) bool {
	if identityOf(v.ID) == identityOf(w.shown.ID) &&
		(v.Revision < w.shown.Revision || v.ID == w.shown.ID && !v.AsOf.After(w.shown.AsOf)) {
		return false
	}
	w.shown = v
	return true
}

// identityOf is the stream identity of a revision id. Revisions of one identity are comparable, across fold versions too.
func identityOf(id string) string {
	identity, _, _ := strings.Cut(id, "-")
	return identity
}

// events yields the received events, over as many connections as necessary. Iteration ends with a 204 (the
// batch has ended) or an error.
func (w *watch) events(ctx context.Context) iter.Seq2[sse.Event, error] {
	return func(yield func(sse.Event, error) bool) {
		ctx, cancel := context.WithCancelCause(ctx)
		defer cancel(nil)
		defer func() {
			if w.begin != nil {
				w.begin.Stop()
			}
		}()
		wait := backoff.NewExponentialBackOff(backoff.WithInitialInterval(w.r.o.FirstRetry),
			backoff.WithMaxInterval(15*time.Second), backoff.WithMaxElapsedTime(0), backoff.WithRandomizationFactor(0.5))
		var why error
		for {
			w.tell(Connection{StaleSince: w.heard, Err: why})
			more, opened, err := w.connect(ctx, yield)
			var status *StatusError
			switch {
			case !more:
				return
			case ctx.Err() != nil:
				yield(sse.Event{}, w.over(ctx))
				return
			case errors.Is(err, ErrNotFound) && w.mayWait() && !w.waiting:
				w.wait(cancel, err)
				continue // the stream that waits can be had at once
			case errors.As(err, &status) && w.rows && status.Status == http.StatusBadRequest && strings.HasPrefix(status.Detail, "format:"):
				w.rows = false // a server that knows no rows: whole events will do
				continue
			case errors.As(err, &status) && !w.passes(status):
				yield(sse.Event{}, w.refusal(status))
				return
			}
			why = err
			if opened {
				wait.Reset()
			}
			pause := wait.NextBackOff()
			if status != nil && status.RetryAfter > pause {
				pause = status.RetryAfter + rand.N(status.RetryAfter/2+1)
			}
			w.tell(Connection{StaleSince: w.heard, Err: err, NextTry: time.Now().Add(pause)})
			timer := time.NewTimer(pause)
			select {
			case <-ctx.Done():
				timer.Stop()
				yield(sse.Event{}, w.over(ctx))
				return
			case <-timer.C:
			}
		}
	}
}

func (w *watch) tell(c Connection) {
	c.Waiting = w.waiting
	w.r.o.Connection(c)
}

// mayWait reports whether the batch may begin later. One that was shown, and exists no more, won't.
func (w *watch) mayWait() bool {
	return w.waitPath != "" && w.lastID == "" && w.r.o.BeginWithin >= 0
}

// wait makes the next connections wait for the batch to begin, at most as long as the options say. absent is the answer
// that there is no such batch.
func (w *watch) wait(end context.CancelCauseFunc, absent error) {
	w.waiting, w.path = true, w.waitPath
	if limit := w.r.o.BeginWithin; limit > 0 {
		w.begin = time.AfterFunc(limit, func() { end(&notBegunError{limit, absent}) })
	}
}

// begun is called when something of the batch was received. It returns false if the limit had passed before.
func (w *watch) begun() bool {
	if !w.waiting {
		return true
	}
	if w.begin != nil && !w.begin.Stop() {
		return false
	}
	w.waiting = false
	w.tell(Connection{Live: true})
	return true
}

// notBegunError means that a batch was waited for in vain.
type notBegunError struct {
	limit  time.Duration
	absent error
}

func (e *notBegunError) Error() string {
	return fmt.Sprintf("client: the batch didn't begin within %v: %v", e.limit, e.absent)
}
func (e *notBegunError) Unwrap() error { return e.absent }

// over is why a watch whose context has ended is over: the batch didn't begin in time, or the caller's context ended.
func (w *watch) over(ctx context.Context) error {
	var late *notBegunError
	if errors.As(context.Cause(ctx), &late) {
		return late
	}
	return ctx.Err()
}

// passes reports whether a retry may succeed: also if the credential of an open stream ended, because there may be a new one.
func (w *watch) passes(s *StatusError) bool {
	return s.passes() || s == w.ended && w.r.token != nil
}

// refusal is why a watch is over. That the credential has ended says more than that it isn't known any more.
func (w *watch) refusal(s *StatusError) error {
	if w.ended != nil && s.Status == http.StatusUnauthorized {
		return w.ended
	}
	return s
}

// target is what the next connection asks for.
func (w *watch) target() string {
	switch {
	case !w.rows:
		return w.path
	case strings.Contains(w.path, "?"):
		return w.path + "&format=rows"
	}
	return w.path + "?format=rows"
}

var errSilence = fmt.Errorf("client: nothing was received for %v", silence)

// connect reads one connection to its end. more is false if the caller stopped or the server said that
// nothing will follow. opened reports that the server accepted the stream.
func (w *watch) connect(ctx context.Context, yield func(sse.Event, error) bool) (more, opened bool, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	quiet := time.AfterFunc(silence, func() { cancel(errSilence) })
	defer quiet.Stop()
	w.base = nil
	refused := ""
	if w.ended != nil {
		refused = w.sent
	}
	response, sent, err := w.r.open(ctx, w.target(), w.lastID, refused)
	if err != nil {
		return true, false, because(ctx, err)
	}
	defer response.Body.Close()
	w.sent, w.ended = sent, nil
	if response.StatusCode == http.StatusNoContent {
		return false, false, nil
	}
	w.heard = time.Now()
	w.tell(Connection{Live: true})
	body := &heard{response.Body, quiet, &w.heard}
	for event, err := range eventsOf(body) {
		if err != nil {
			return true, true, because(ctx, fmt.Errorf("client: stream: %w", err))
		}
		if event.Type == "problem" { // the last event: the credential has ended
			w.ended = problemOf([]byte(event.Data), http.StatusUnauthorized)
			return true, true, w.ended
		}
		if !w.begun() {
			<-ctx.Done() // the limit ends it
			return true, true, ctx.Err()
		}
		if event.LastEventID != "" {
			w.lastID = event.LastEventID
		}
		quiet.Stop() // the timeout must not run while the caller handles the snapshot
		if !yield(event, nil) {
			return false, true, nil
		}
		quiet.Reset(silence)
	}
	return true, true, errors.New("client: the stream was interrupted")
}

// eventsOf reads events that carry data. The library passes on blocks without any, which are no events.
func eventsOf(body io.Reader) iter.Seq2[sse.Event, error] {
	return func(yield func(sse.Event, error) bool) {
		for event, err := range sse.Read(body, &sse.ReadConfig{MaxEventSize: maxAnswer}) {
			if (err != nil || event.Data != "") && !yield(event, err) {
				return
			}
		}
	}
}

// because returns our own reason for ending a connection, if there is one, instead of the network's error.
func because(ctx context.Context, err error) error {
	if errors.Is(context.Cause(ctx), errSilence) {
		return errSilence
	}
	return err
}

// heard resets the timeout whenever a byte arrives.
type heard struct {
	r     io.Reader
	quiet *time.Timer
	at    *time.Time
}

func (h *heard) Read(p []byte) (int, error) {
	n, err := h.r.Read(p)
	if n > 0 {
		*h.at = time.Now()
		h.quiet.Reset(silence)
	}
	return n, err
}
