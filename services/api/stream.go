package api

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/headwayhq/headway/pkg/push"
	"github.com/headwayhq/headway/services/api/access"
)

// streamRetry is how long a stream that waits for a backend lets pass before it asks again.
const streamRetry = time.Second

// streamDiagnostics streams a batch. Where it isn't known, or can't be known at the moment, the stream is open and has
// comments only until it is: a browser's EventSource never comes back after an error.
func (s *Service) streamDiagnostics(c echo.Context, p *access.Principal) error {
	k, err := s.batchKey(c, p)
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
	leave, err := s.enterStream(p, k.Namespace)
	if err != nil {
		return err
	}
	handed := false
	defer func() {
		if !handed {
			leave()
		}
	}()
	var wait push.Waiting
	if patient {
		wait = s.waiting(c, p, k.Namespace)
	}
	r := c.Request()
	last := lastEventID(r)
	sub, err := s.subscribe(r.Context(), k, last, wait)
	var answered *problemError
	switch {
	case err == nil:
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
		if sub != nil {
			sub.Close()
		}
		push.SetHeaders(c.Response().Header())
		return c.NoContent(http.StatusOK)
	}
	handed = true
	s.stream(c, p, leave, func(ctx context.Context, out *push.Writer) (err error) {
		if sub == nil {
			sub, err = s.subscribeLater(ctx, out, k, last, wait)
		}
		if sub == nil {
			return err
		}
		if p.Public() != nil {
			return sub.ServePublic(ctx, out)
		}
		return sub.Serve(ctx, out, format)
	}, func() {
		if sub != nil {
			sub.Close()
		}
	})
	return nil
}

// stream answers with an event stream, which ends with the credential of p. When it has ended, leave is called, and ended if it isn't
// nil. No function may use the request, which is over for the server where the stream has its connection.
func (s *Service) stream(c echo.Context, p *access.Principal, leave func(), serve func(context.Context, *push.Writer) error, ended func()) {
	s.hub.Stream(c.Response(), c.Request(), untilEnded(p, serve), func(err error) {
		defer leave()
		if ended != nil {
			ended()
		}
		if err != nil {
			s.log.Debug("stream ended", "error", err)
		}
	})
}

func (s *Service) subscribe(ctx context.Context, k push.Key, last string, wait push.Waiting) (*push.Subscription, error) {
	ctx, cancel := context.WithTimeout(ctx, storeWithin)
	defer cancel()
	begun := time.Now()
	sub, err := s.hub.Subscribe(ctx, k, last, wait)
	return sub, waited("Redis", begun, err)
}

// subscribeLater asks again until the backend answers. Both results are nil where the client has left.
func (s *Service) subscribeLater(ctx context.Context, out *push.Writer, k push.Key, last string, wait push.Waiting) (*push.Subscription, error) {
	leave, err := wait()
	if err != nil {
		return nil, err
	}
	defer leave()
	for {
		if more, err := s.pause(ctx, out); !more || err != nil {
			return nil, err
		}
		sub, err := s.subscribe(ctx, k, last, wait)
		var answered *problemError
		if err == nil || errors.Is(err, push.ErrEnded) || errors.Is(err, push.ErrClosed) || errors.As(err, &answered) {
			return sub, err
		}
	}
}

// pause lets streamRetry pass with a comment at its end. more is false where the stream is over.
func (s *Service) pause(ctx context.Context, out *push.Writer) (more bool, err error) {
	timer := time.NewTimer(streamRetry)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true, out.Comment()
	case <-ctx.Done():
	case <-s.hub.Done():
	}
	return false, nil
}

// waiting admits a caller to wait for a batch that nobody has heard of.
func (s *Service) waiting(c echo.Context, p *access.Principal, ns string) push.Waiting {
	caller := who(p)
	if p.ID == "" {
		caller = whose{ofPrincipal, "address", c.RealIP() + " " + c.Request().Header.Get("Authorization")}
	}
	return func() (func(), error) { return s.enterWaiting(caller, ns) }
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
