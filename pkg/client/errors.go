package client

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"
)

// ErrNotFound says that there is no such batch in the namespace, or that the caller may not see it.
var ErrNotFound = errors.New("client: no such batch")

// StatusError is an HTTP answer with an error status, or the end of a stream whose credential has ended.
type StatusError struct {
	Status     int           // of HTTP
	Kind       string        // error.type of the problem document, such as KindRole; "" if it isn't one of Headway's API
	Detail     string        // what was refused, for people
	RetryAfter time.Duration // 0 if not given

	refused []refusedEvent // of a request with events
}

// refusedEvent is an event that made the API refuse a request.
type refusedEvent struct {
	Index         int
	Field, Reason string
}

// The kinds of refusals that a caller may want to handle. There are others: the set is open.
const (
	KindMissing     = "credential_missing" // 401: none was sent
	KindInvalid     = "credential_invalid" // 401: it isn't known, or was revoked
	KindExpired     = "credential_expired" // 401
	KindEnded       = "credential_ended"   // 401: it was revoked or changed while a stream was open
	KindRole        = "role_missing"       // 403: Detail names the roles that may
	KindNamespaces  = "namespaces_missing" // 403: it is for too few namespaces
	KindNotFound    = "not_found"          // 404: no such batch, or a namespace that isn't the caller's
	KindErased      = "erased"             // 410: the batch was erased
	KindMisdirected = "misdirected_request"
	KindUnchecked   = "access_unavailable" // 503: credentials can't be checked at the moment
)

func (e *StatusError) Error() string {
	text := fmt.Sprintf("client: the API answered %d %s: %s", e.Status, e.Kind, e.Detail)
	if todo := e.Advice(); todo != "" {
		text += " " + todo
	}
	return text
}

// Advice says what the program that uses this package can do about it; "" if Detail says it.
func (e *StatusError) Advice() string {
	switch e.Kind {
	case KindMissing:
		return "Set the option Token."
	case KindInvalid, KindExpired, KindEnded:
		return "Let the option Token return the present credential."
	case KindRole, KindNamespaces:
		return "Use a credential that has them."
	case KindNotFound:
		return "The option Namespace says where to look; a namespace that isn't the credential's looks empty."
	}
	if e.RetryAfter > 0 {
		return fmt.Sprintf("Try again in %v.", e.RetryAfter)
	}
	return ""
}

// Is makes a 404 about a batch match ErrNotFound.
func (e *StatusError) Is(target error) bool {
	return target == ErrNotFound && e.Status == http.StatusNotFound && e.Kind == KindNotFound
}

// passes reports whether a retry may succeed.
func (e *StatusError) passes() bool {
	return e.Status == http.StatusRequestTimeout || e.Status == http.StatusTooManyRequests || e.Status >= 500
}

// statusError reads the answer to a request that failed.
func statusError(response *http.Response) *StatusError {
	body, _ := io.ReadAll(io.LimitReader(response.Body, 64<<10)) // what can't be read says nothing
	e := problemOf(body, response.StatusCode)
	if s, err := strconv.Atoi(response.Header.Get("Retry-After")); err == nil {
		e.RetryAfter = time.Duration(s) * time.Second
	}
	return e
}

// problemOf reads a problem document. What isn't one leaves the status.
func problemOf(body []byte, status int) *StatusError {
	e := &StatusError{Status: status, Detail: http.StatusText(status)}
	var problem struct {
		Status int
		Error  struct {
			Message, Type string
			Details       struct{ Errors []refusedEvent }
		}
	}
	if json.Unmarshal(body, &problem) == nil && problem.Error.Message != "" {
		e.Detail, e.Kind, e.refused = problem.Error.Message, problem.Error.Type, problem.Error.Details.Errors
		if problem.Status != 0 {
			e.Status = problem.Status
		}
	}
	return e
}
