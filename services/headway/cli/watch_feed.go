package cli

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/headwayhq/headway/pkg/client"
)

// update is one piece of news about a batch, or about the list.
type update struct {
	batch      string // "": the list
	snapshot   *client.Snapshot
	rows       []client.Row
	connection *client.Connection
	ended      bool  // no further update follows
	err        error // of the end
}

// feed watches everything at once and returns when all have ended. send may be called concurrently.
func (w *Watch) feed(ctx context.Context, send func(update)) {
	var all sync.WaitGroup
	if w.All {
		all.Go(func() { w.one(ctx, "", send, w.list) })
	}
	for _, batch := range w.Batches {
		all.Go(func() { w.one(ctx, batch, send, watchBatch) })
	}
	all.Wait()
}

// one watches a batch or the list, and gives up when the API is unreachable for too long.
func (w *Watch) one(ctx context.Context, batch string, send func(update),
	watch func(context.Context, *client.Reader, string, func(update)) error,
) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var why error
	patience := time.AfterFunc(w.Wait, func() { cancel(errGaveUp) })
	defer patience.Stop()
	live := false
	r, err := w.watcher(func(c client.Connection) {
		if c.Err != nil {
			why = c.Err
		}
		switch {
		case c.Live:
			patience.Stop()
		case live:
			patience.Reset(w.Wait)
		}
		live = c.Live
		send(update{batch: batch, connection: &c})
	}, w.Timeout)
	if err == nil {
		err = watch(ctx, r, batch, send)
	}
	if errors.Is(context.Cause(ctx), errGaveUp) {
		err = errGaveUp
		if why != nil {
			err = fmt.Errorf("for %v: %w", w.Wait, why)
		}
	}
	send(update{batch: batch, ended: true, err: err})
}

var errGaveUp = errors.New("it doesn't answer")

func watchBatch(ctx context.Context, r *client.Reader, batch string, send func(update)) error {
	for s, err := range r.Watch(ctx, batch) {
		if err != nil {
			return err
		}
		send(update{batch: batch, snapshot: &s})
	}
	return nil
}

// list watches the rows. The stream begins with the newest ones only, so those that are looked for are
// listed first; what changed in between is among the stream's.
func (w *Watch) list(ctx context.Context, r *client.Reader, _ string, send func(update)) error {
	first := true
	for rows, err := range r.WatchList(ctx) {
		if err != nil {
			return err
		}
		send(update{rows: rows})
		if !first {
			continue
		}
		first = false
		var more []client.Row
		for row, err := range r.List(ctx, client.ListOptions{Health: texts(w.Health), Sort: "need", PageSize: maxPage}) {
			if err != nil {
				return err
			}
			if more = append(more, row); len(more) == maxRows {
				break
			}
		}
		send(update{rows: more})
	}
	return nil
}

const (
	maxPage = 200
	maxRows = 10_000 // that a view holds
)
