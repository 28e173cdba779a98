package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/headwayhq/headway/pkg/diagnostics"
)

// Snapshot is the diagnosis of a batch, Row its short form in lists, and Explanation derives a verdict step by step. Cause is why
// something waits, failed or is in doubt, and Message is a text with its code and parameters. The API and its description use
// the same types.
type (
	Snapshot    = diagnostics.Snapshot
	Row         = diagnostics.Row
	Explanation = diagnostics.Explanation
	Cause       = diagnostics.Cause
	CauseCode   = diagnostics.CauseCode
	Message     = diagnostics.TextMessage
)

// CauseCodes are the codes that this version knows. Answers of a later one may have others.
func CauseCodes() []string { return diagnostics.CauseCodes() }

// ErrNotFound says that there is no such batch in the namespace, or that the caller may not see it.
var ErrNotFound = errors.New("client: no such batch")

// StatusError is an HTTP answer with an error status.
type StatusError struct {
	Status     int           // of HTTP
	Type       string        // error.type of the problem document
	Message    string        // for people
	RetryAfter time.Duration // 0 if not given
}

func (e *StatusError) Error() string {
	return fmt.Sprintf("client: the API answered %d %s: %s", e.Status, e.Type, e.Message)
}

// Is makes a 404 about a batch match ErrNotFound.
func (e *StatusError) Is(target error) bool {
	return target == ErrNotFound && e.Status == http.StatusNotFound && e.Type == "not_found"
}

// passes reports whether a retry may succeed.
func (e *StatusError) passes() bool {
	return e.Status == http.StatusTooManyRequests || e.Status >= 500
}

// ReaderOptions of a Reader. URL is required.
type ReaderOptions struct {
	URL       string // of the API, such as http://127.0.0.1:8080
	Namespace string // default: the API's

	// Token returns the credential. It is called for each request and each reconnection. nil: no credential is sent.
	Token func(context.Context) (string, error)

	HTTP *http.Client // default: one without a timeout, since streams have none

	// FirstRetry is about how long a watch waits after losing a connection that had received something; default
	// 250 ms. Each failed attempt doubles it, up to 15 s.
	FirstRetry time.Duration

	// BeginWithin limits how long Watch waits for a batch that nobody has heard of; after that it yields an error that is
	// ErrNotFound. 0: it waits until the context ends. Negative: it doesn't wait.
	BeginWithin time.Duration

	// Connection, if set, is called for each change of a watch's connection. It is called from the
	// iteration, between two values. To watch several batches, use a Reader for each.
	Connection func(Connection)
}

// Connection is the state of a watch's connection: connecting, live, or waiting for the next attempt.
type Connection struct {
	Live bool
	// Waiting says that the server knows no such batch: the watch waits for it to begin, while Live or not.
	Waiting bool
	// StaleSince is, while not live, when the server last sent something: the batch may have changed since.
	// Zero if it never did.
	StaleSince time.Time
	Err        error     // why it isn't live; nil at the first attempt
	NextTry    time.Time // when the next connection is attempted; zero while connecting
}

// Reader reads diagnoses over HTTP. Safe for concurrent use.
type Reader struct {
	base string
	o    ReaderOptions
}

const firstRetry = 250 * time.Millisecond

// NewReader creates a Reader. It doesn't connect yet.
func NewReader(o ReaderOptions) (*Reader, error) {
	u, err := url.Parse(o.URL)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil, fmt.Errorf("client: URL: %q is not an http or https address", o.URL)
	}
	if o.HTTP == nil {
		o.HTTP = &http.Client{}
	}
	if o.Connection == nil {
		o.Connection = func(Connection) {}
	}
	if o.FirstRetry <= 0 {
		o.FirstRetry = firstRetry
	}
	return &Reader{base: strings.TrimSuffix(o.URL, "/"), o: o}, nil
}

func diagnosticsPath(batch string) string {
	return "/v1/analytics/performance/batches/" + url.PathEscape(batch) + "/diagnostics"
}

// Diagnostics reads the snapshot of a batch. Errors: ErrNotFound, *StatusError, the connection's.
func (r *Reader) Diagnostics(ctx context.Context, batch string) (Snapshot, error) {
	var s Snapshot
	return s, r.get(ctx, diagnosticsPath(batch), &s)
}

// Explain reads why a batch's health is what it is. Errors: those of Diagnostics.
func (r *Reader) Explain(ctx context.Context, batch string) (Explanation, error) {
	var e Explanation
	return e, r.get(ctx, diagnosticsPath(batch)+"/explain", &e)
}

// ListOptions filter and order a list. The zero value selects everything, newest first.
type ListOptions struct {
	Status, Health []string
	Pipeline       string
	Labels         map[string]string // all of them must match
	Text           string            // in id, name, pipeline, owner or a label
	CreatedAfter   time.Time
	CreatedBefore  time.Time
	Sort           string // newest (default) or need: stuck, degraded, scaling, ok
	PageSize       int    // rows per request; default: the API's
}

func (o ListOptions) query() url.Values {
	q := url.Values{}
	for name, values := range map[string][]string{"status": o.Status, "health": o.Health} {
		if len(values) > 0 {
			q.Set(name, strings.Join(values, ","))
		}
	}
	for name, value := range map[string]string{"pipeline": o.Pipeline, "q": o.Text, "sort": o.Sort} {
		if value != "" {
			q.Set(name, value)
		}
	}
	for key, value := range o.Labels {
		q.Add("label", key+":"+value)
	}
	for name, at := range map[string]time.Time{"created_after": o.CreatedAfter, "created_before": o.CreatedBefore} {
		if !at.IsZero() {
			q.Set(name, at.UTC().Format(time.RFC3339Nano))
		}
	}
	if o.PageSize > 0 {
		q.Set("limit", strconv.Itoa(o.PageSize))
	}
	return q
}

// List reads the batches of the namespace page by page, until the caller stops. An error is the last
// value yielded. Errors: *StatusError, the connection's.
func (r *Reader) List(ctx context.Context, o ListOptions) iter.Seq2[Row, error] {
	return func(yield func(Row, error) bool) {
		q := o.query()
		for {
			var page struct {
				Batches []Row   `json:"batches"`
				Next    *string `json:"next_cursor"`
			}
			if err := r.get(ctx, "/v1/batches?"+q.Encode(), &page); err != nil {
				yield(Row{}, err)
				return
			}
			for _, row := range page.Batches {
				if !yield(row, nil) {
					return
				}
			}
			if page.Next == nil {
				return
			}
			q.Set("cursor", *page.Next)
		}
	}
}

// maxAnswer limits the size of an answer: those of the largest batches have some megabytes.
const maxAnswer = 64 << 20

func (r *Reader) get(ctx context.Context, path string, to any) error {
	response, err := r.ask(ctx, path, "application/json", "")
	if err != nil {
		return err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err != nil {
		return fmt.Errorf("client: %w", err)
	}
	if err := json.Unmarshal(body, to); err != nil {
		return fmt.Errorf("client: an answer can't be parsed: %w", err)
	}
	return nil
}

// ask sends a request. A status other than 200 or 204 is an error, and the body is closed.
func (r *Reader) ask(ctx context.Context, path, accept, lastID string) (*http.Response, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, r.base+path, nil)
	if err != nil {
		return nil, fmt.Errorf("client: %w", err)
	}
	request.Header.Set("Accept", accept)
	if r.o.Namespace != "" {
		request.Header.Set("X-Namespace", r.o.Namespace)
	}
	if lastID != "" {
		request.Header.Set("Last-Event-ID", lastID)
	}
	if r.o.Token != nil {
		token, err := r.o.Token(ctx)
		if err != nil {
			return nil, fmt.Errorf("client: token: %w", err)
		}
		request.Header.Set("Authorization", "Bearer "+token)
	}
	response, err := r.o.HTTP.Do(request)
	if err != nil {
		return nil, fmt.Errorf("client: %w", err)
	}
	if response.StatusCode == http.StatusOK || response.StatusCode == http.StatusNoContent {
		return response, nil
	}
	defer response.Body.Close()
	return nil, statusError(response)
}

func statusError(response *http.Response) error {
	e := &StatusError{Status: response.StatusCode, Message: http.StatusText(response.StatusCode)}
	var problem struct {
		Error struct{ Message, Type string }
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, 64<<10))
	if err == nil && json.Unmarshal(body, &problem) == nil && problem.Error.Message != "" {
		e.Message, e.Type = problem.Error.Message, problem.Error.Type
	}
	if s, err := strconv.Atoi(response.Header.Get("Retry-After")); err == nil {
		e.RetryAfter = time.Duration(s) * time.Second
	}
	return e
}
