package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net"
	"net/http"
	"runtime/debug"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/labstack/echo/v4"

	"github.com/headwayhq/headway/pkg/push"
)

// Problem is an error answer: RFC 9457, with the envelope that existing clients parse.
type Problem struct {
	Type    string       `json:"type"`
	Title   string       `json:"title"`
	Status  int          `json:"status"`
	Detail  string       `json:"detail"`
	Success bool         `json:"success"`         // always false
	Limit   string       `json:"limit,omitempty"` // of 429: which limit was reached
	Error   ProblemError `json:"error"`

	retryAfter time.Duration
	cause      error
}

// ProblemError is the compatible envelope.
type ProblemError struct {
	Message string         `json:"message"`
	Type    string         `json:"type"`
	Details map[string]any `json:"details"`
}

type problemError struct{ p Problem }

func (e *problemError) Error() string { return e.p.Detail }
func (e *problemError) Unwrap() error { return e.p.cause }

func problem(status int, kind, detail string) *problemError {
	return &problemError{Problem{
		Type: "urn:headway:problem:" + kind, Title: http.StatusText(status), Status: status, Detail: detail,
		Error: ProblemError{Message: detail, Type: kind, Details: map[string]any{}},
	}}
}

func (e *problemError) retry(after time.Duration) *problemError { e.p.retryAfter = after; return e }
func (e *problemError) because(err error) *problemError         { e.p.cause = err; return e }
func (e *problemError) detail(key string, v any) *problemError  { e.p.Error.Details[key] = v; return e }

func badRequest(field, reason string) *problemError {
	return problem(http.StatusBadRequest, "validation_error", field+": "+reason).detail("field", field)
}

// waitedError means that a backend didn't answer in time.
type waitedError struct {
	backend string
	took    time.Duration
	err     error
}

func (e *waitedError) Error() string { return e.backend + " didn't answer within " + inSeconds(e.took) }
func (e *waitedError) Unwrap() error { return e.err }

// waited adds the backend to err if it didn't answer in time.
func waited(backend string, since time.Time, err error) error {
	var timeout net.Error
	var already *waitedError
	if !errors.As(err, &already) && (errors.Is(err, context.DeadlineExceeded) || errors.As(err, &timeout) && timeout.Timeout()) {
		return &waitedError{backend, time.Since(since), err}
	}
	return err
}

func unavailable(err error) *problemError {
	var w *waitedError
	if errors.As(err, &w) {
		return problem(http.StatusServiceUnavailable, "backend_timeout", w.Error()+". Try again shortly.").
			retry(2*time.Second).because(err).detail("backend", w.backend).detail("waited_seconds", int(w.took/time.Second))
	}
	return problem(http.StatusServiceUnavailable, "unavailable",
		"A backend can't be reached at the moment. Try again shortly.").retry(2 * time.Second).because(err)
}

// asProblem converts any error of a handler or of the router into a problem.
func asProblem(err error) *problemError {
	var p *problemError
	var h *echo.HTTPError
	var big *http.MaxBytesError
	switch {
	case errors.As(err, &p):
		return p
	case errors.As(err, &big):
		return problem(http.StatusRequestEntityTooLarge, "payload_too_large",
			"The body is larger than "+strconv.FormatInt(big.Limit, 10)+" bytes.")
	case errors.Is(err, push.ErrNotReady):
		return notReady()
	case errors.Is(err, push.ErrClosed):
		return unavailable(err)
	case errors.As(err, &h):
		kind := map[int]string{404: "route_not_found", 405: "method_not_allowed", 413: "payload_too_large"}[h.Code]
		if kind == "" {
			kind = "http_" + strconv.Itoa(h.Code)
		}
		return problem(h.Code, kind, http.StatusText(h.Code)+".").because(err)
	}
	return problem(http.StatusInternalServerError, "internal_error", "An internal error occurred.").because(err)
}

func (s *Service) onError(err error, c echo.Context) {
	w := c.Response()
	e := asProblem(err)
	if e.p.Status >= 500 && c.Request().Context().Err() == nil {
		s.log.Warn("request failed", "route", c.Path(), "status", e.p.Status, "error", e.p.cause)
	}
	if w.Committed {
		return
	}
	if e.p.Error.Type == "route_not_found" && asksForPage(c.Request()) {
		_ = s.page(c, http.StatusNotFound) // a client that left needs no answer
		return
	}
	h := w.Header()
	h.Set("Content-Type", "application/problem+json")
	h.Set("Cache-Control", "no-store")
	h.Del("ETag")
	setCommon(h)
	if e.p.Status == http.StatusUnauthorized {
		h.Set("WWW-Authenticate", `Bearer realm="headway"`)
	}
	s.metrics.limited(e)
	if e.p.retryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(max(1, int(math.Ceil(e.p.retryAfter.Seconds())))))
	}
	body, err := json.Marshal(e.p)
	if err != nil {
		body = []byte(`{"success":false}`)
	}
	body = escapeControls(body)
	w.WriteHeader(e.p.Status)
	if c.Request().Method != http.MethodHead {
		_, _ = w.Write(body) // the client left: nothing more to do
	}
}

// escapeControls escapes the control characters that JSON allows, DEL and U+0080 to U+009F: a terminal that
// shows a problem must not interpret what a client sent.
func escapeControls(body []byte) []byte {
	control := func(r rune) bool { return r >= 0x7f && r <= 0x9f }
	if bytes.IndexFunc(body, control) < 0 {
		return body
	}
	out := make([]byte, 0, len(body)+16)
	for _, r := range string(body) {
		if control(r) {
			out = fmt.Appendf(out, `\u%04x`, r)
			continue
		}
		out = utf8.AppendRune(out, r)
	}
	return out
}

// recovered answers a panic with a problem, except http.ErrAbortHandler.
func (s *Service) recovered(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) (err error) {
		defer func() {
			switch p := recover(); {
			case p == nil:
			case p == any(http.ErrAbortHandler):
				panic(p)
			default:
				s.log.Error("request handler panicked", "route", c.Path(), "panic", p, "stack", string(debug.Stack()))
				err = problem(http.StatusInternalServerError, "internal_error", "An internal error occurred.")
			}
		}()
		return next(c)
	}
}
