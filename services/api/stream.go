package api

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/headwayhq/headway/pkg/push"
)

// streamRetry is how long a stream that waits for a backend lets pass before it asks again.
const streamRetry = time.Second

// streamDiagnostics streams a batch. Where it isn't known, or can't be known at the moment, the stream is open and has
// comments only until it is: a browser's EventSource never comes back after an error.
func (s *Service) streamDiagnostics(c echo.Context) error {
	k, err := batchKey(c)
	if err != nil {
		return err
	}
	format, err := streamFormat(c)
	if err != nil {
		return err
	}
	patient, err := waits(c)
	if err != nil {
		return err
	}
	if !s.streams.enter(k.Namespace) {
		return tooMany("streams")
	}
	defer s.streams.leave(k.Namespace)
	var wait push.Waiting
	if patient {
		wait = s.waiting(c, k.Namespace)
	}
	r := c.Request()
	sub, err := s.subscribe(r, k, wait)
	var answered *problemError
	switch {
	case err == nil:
		defer sub.Close()
	case errors.Is(err, push.ErrEnded):
		setCommon(c.Response().Header())
		return c.NoContent(http.StatusNoContent)
	case errors.Is(err, push.ErrNotReady), errors.As(err, &answered):
		return err
	case !patient, errors.Is(err, push.ErrClosed):
		return unavailable(err)
	}
	setCommon(c.Response().Header())
	if r.Method == http.MethodHead {
		push.SetHeaders(c.Response().Header())
		return c.NoContent(http.StatusOK)
	}
	out := s.hub.Writer(c.Response())
	err = out.Begin()
	if err == nil && sub == nil {
		sub, err = s.subscribeLater(out, r, k, wait)
		if sub != nil {
			defer sub.Close()
		}
	}
	if err == nil && sub != nil {
		err = sub.Serve(out, r, format)
	}
	if err != nil {
		s.log.Debug("stream ended", "error", err)
	}
	return nil
}

func (s *Service) subscribe(r *http.Request, k push.Key, wait push.Waiting) (*push.Subscription, error) {
	ctx, cancel := context.WithTimeout(r.Context(), storeWithin)
	defer cancel()
	begun := time.Now()
	sub, err := s.hub.Subscribe(ctx, k, lastEventID(r), wait)
	return sub, waited("Redis", begun, err)
}

// subscribeLater asks again until the backend answers. Both results are nil where the client has left.
func (s *Service) subscribeLater(out *push.Writer, r *http.Request, k push.Key, wait push.Waiting) (*push.Subscription, error) {
	leave, err := wait()
	if err != nil {
		return nil, err
	}
	defer leave()
	for {
		if more, err := s.pause(out, r); !more || err != nil {
			return nil, err
		}
		sub, err := s.subscribe(r, k, wait)
		var answered *problemError
		if err == nil || errors.Is(err, push.ErrEnded) || errors.Is(err, push.ErrClosed) || errors.As(err, &answered) {
			return sub, err
		}
	}
}

// pause lets streamRetry pass with a comment at its end. more is false where the stream is over.
func (s *Service) pause(out *push.Writer, r *http.Request) (more bool, err error) {
	timer := time.NewTimer(streamRetry)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true, out.Comment()
	case <-r.Context().Done():
	case <-s.hub.Done():
	}
	return false, nil
}

// waiting admits a caller to wait for a batch that nobody has heard of.
func (s *Service) waiting(c echo.Context, ns string) push.Waiting {
	caller := c.RealIP() + " " + c.Request().Header.Get("Authorization")
	return func() (func(), error) {
		if !s.waiters.enter(ns) {
			return nil, tooMany("waiting_streams")
		}
		if !s.callers.enter(caller) {
			s.waiters.leave(ns)
			return nil, tooMany("waiting_streams")
		}
		return func() { s.callers.leave(caller); s.waiters.leave(ns) }, nil
	}
}

// waits reads ?wait=.
func waits(c echo.Context) (bool, error) {
	if c.Request().URL.RawQuery == "" {
		return true, nil
	}
	switch given := c.QueryParams()["wait"]; {
	case len(given) == 0, len(given) == 1 && given[0] == "true":
		return true, nil
	case len(given) == 1 && given[0] == "false":
		return false, nil
	}
	return false, badRequest("wait", "must be true or false")
}

// lastEventID is what the client has seen last: as its header says, else the query, since a browser can't set the header of
// a first connection.
func lastEventID(r *http.Request) string {
	if last := r.Header.Get("Last-Event-ID"); last != "" {
		return last
	}
	return r.URL.Query().Get("lastEventId")
}
