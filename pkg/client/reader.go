package client

import (
	"bytes"
	"context"
	"encoding/json"
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
	Run         = diagnostics.Run
	RunTier     = diagnostics.RunTier
	RunWait     = diagnostics.RunWait
	Explanation = diagnostics.Explanation
	Cause       = diagnostics.Cause
	CauseCode   = diagnostics.CauseCode
	Message     = diagnostics.TextMessage
	Past        = diagnostics.Past
)

// CauseCodes are the codes that this version knows. Answers of a later one may have others.
func CauseCodes() []string { return diagnostics.CauseCodes() }

// ReaderOptions of a Reader. URL is required.
type ReaderOptions struct {
	URL       string // of the API, such as http://127.0.0.1:8080
	Namespace string // default: the API's

	Token Token        // the credential, such as Key("hw_…"); nil: none is sent
	HTTP  *http.Client // default: one without a timeout, since streams have none

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
	caller
	o ReaderOptions
}

const firstRetry = 250 * time.Millisecond

// NewReader creates a Reader. It doesn't connect yet.
func NewReader(o ReaderOptions) (*Reader, error) {
	c, err := newCaller(o.URL, o.Token, o.HTTP)
	if err != nil {
		return nil, err
	}
	if o.Connection == nil {
		o.Connection = func(Connection) {}
	}
	if o.FirstRetry <= 0 {
		o.FirstRetry = firstRetry
	}
	return &Reader{c, o}, nil
}

func diagnosticsPath(batch string) string {
	return "/v1/analytics/performance/batches/" + url.PathEscape(batch) + "/diagnostics"
}

// Diagnostics reads the snapshot of a batch. Errors: ErrNotFound, *StatusError, the connection's.
func (r *Reader) Diagnostics(ctx context.Context, batch string) (Snapshot, error) {
	return r.DiagnosticsAt(ctx, batch, time.Time{})
}

// DiagnosticsAt reads the snapshot of a batch as it was at a past moment; zero: now. Errors: those of Diagnostics, and *StatusError for
// a moment that is in the future, before the first event, or gone from the log.
func (r *Reader) DiagnosticsAt(ctx context.Context, batch string, at time.Time) (Snapshot, error) {
	var s Snapshot
	return s, r.get(ctx, diagnosticsPath(batch)+queryAt(at), &s)
}

// Explain reads why a batch's health is what it is. Errors: those of Diagnostics.
func (r *Reader) Explain(ctx context.Context, batch string) (Explanation, error) {
	return r.ExplainAt(ctx, batch, time.Time{})
}

// ExplainAt reads why a batch's health was what it was at a past moment; zero: now. Errors: those of DiagnosticsAt.
func (r *Reader) ExplainAt(ctx context.Context, batch string, at time.Time) (Explanation, error) {
	var e Explanation
	return e, r.get(ctx, diagnosticsPath(batch)+"/explain"+queryAt(at), &e)
}

func queryAt(at time.Time) string {
	if at.IsZero() {
		return ""
	}
	return "?" + url.Values{"at": {at.UTC().Format(time.RFC3339Nano)}}.Encode()
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
	return r.pages(ctx, "/v1/batches?", o.query())
}

// HistoryOptions select batches that have ended. The zero value selects those of the last seven days in UTC, today included.
type HistoryOptions struct {
	From, To       time.Time // of the end: From included, To not; at most 400 days
	Status, Health []string
	Pipeline       string
	Labels         map[string]string // all of them must match
	Text           string            // in id, name, pipeline, owner or a label
	PageSize       int               // rows per request; default: the API's
}

// History reads the batches of the namespace that have ended, the latest end first, also those that List no longer has. It searches the
// whole time, request by request, until the caller stops. An error is the last value yielded. Errors: those of List.
func (r *Reader) History(ctx context.Context, o HistoryOptions) iter.Seq2[Row, error] {
	q := ListOptions{Status: o.Status, Health: o.Health, Pipeline: o.Pipeline, Labels: o.Labels, Text: o.Text, PageSize: o.PageSize}.query()
	for name, at := range map[string]time.Time{"from": o.From, "to": o.To} {
		if !at.IsZero() {
			q.Set(name, at.UTC().Format(time.RFC3339Nano))
		}
	}
	return r.pages(ctx, "/v1/batches/history?", q)
}

// Runs reads the runs of a pipeline with their tiers, until the caller stops: the newest that go on, at most pageSize of them, then those that
// have ended, the latest end first, also those that List no longer has. pageSize is 1 to 100; 0: the API's. An error is the last value yielded.
// Errors: those of List.
func (r *Reader) Runs(ctx context.Context, pipeline string, pageSize int) iter.Seq2[Run, error] {
	return func(yield func(Run, error) bool) {
		q := url.Values{}
		if pageSize > 0 {
			q.Set("limit", strconv.Itoa(pageSize))
		}
		for {
			var page struct {
				Runs []Run   `json:"runs"`
				Next *string `json:"next_cursor"`
			}
			if err := r.get(ctx, "/v1/pipelines/"+url.PathEscape(pipeline)+"/runs?"+q.Encode(), &page); err != nil {
				yield(Run{}, err)
				return
			}
			for i := range page.Runs {
				if !yield(page.Runs[i], nil) {
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

// pages reads the rows of a list page by page.
func (r *Reader) pages(ctx context.Context, path string, q url.Values) iter.Seq2[Row, error] {
	return func(yield func(Row, error) bool) {
		for {
			var page struct {
				Batches []Row   `json:"batches"`
				Next    *string `json:"next_cursor"`
			}
			if err := r.get(ctx, path+q.Encode(), &page); err != nil {
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
	return r.Call(ctx, http.MethodGet, path, nil, to)
}

// Call sends a request to a route that has no method of its own here, such as POST /v1/keys, with the credential and the namespace. body
// is sent as JSON, and the answer is read into answer; nil: there is none, or it isn't needed. Errors: *StatusError, the connection's.
func (r *Reader) Call(ctx context.Context, method, path string, body, answer any) error {
	var text []byte
	if body != nil {
		var err error
		if text, err = json.Marshal(body); err != nil {
			return fmt.Errorf("client: %w", err)
		}
	}
	response, _, err := r.send(ctx, "", func() (*http.Request, error) {
		request, err := r.request(ctx, method, path, text)
		if err == nil && body != nil {
			request.Header.Set("Content-Type", "application/json")
		}
		return request, err
	})
	if err != nil {
		return err
	}
	defer response.Body.Close()
	told, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err != nil {
		return fmt.Errorf("client: %w", err)
	}
	if answer == nil {
		return nil
	}
	if err := json.Unmarshal(told, answer); err != nil {
		return fmt.Errorf("client: an answer can't be parsed: %w", err)
	}
	return nil
}

func (r *Reader) request(ctx context.Context, method, path string, body []byte) (*http.Request, error) {
	request, err := http.NewRequestWithContext(ctx, method, r.base+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Accept", "application/json")
	if r.o.Namespace != "" {
		request.Header.Set("X-Namespace", r.o.Namespace)
	}
	return request, nil
}

// Me is who sends requests with the reader's credential, as GET /v1/me says it.
type Me struct {
	Access     string          `json:"access"`            // how the API knows: none (everybody may do everything), key, …
	ID         string          `json:"id"`                // of the credential; "" if it has none
	Name       string          `json:"name"`              // of the credential
	Roles      []string        `json:"roles"`             // what one may do
	Namespaces []string        `json:"namespaces"`        // where: names, prefixes that end in *, or * for all
	Default    *string         `json:"default_namespace"` // of a request that names none; nil: it has to name one
	Expires    *time.Time      `json:"expires_at"`        // nil: never
	Limits     json.RawMessage `json:"limits"`            // nil if the API tells none
}

// Me asks who the API takes the caller for. Errors: those of Call.
func (r *Reader) Me(ctx context.Context) (Me, error) {
	var me Me
	return me, r.get(ctx, "/v1/me", &me)
}

// open opens a stream. refused is a credential that is known to have ended; the one that was sent is returned.
func (r *Reader) open(ctx context.Context, path, lastID, refused string) (*http.Response, string, error) {
	return r.send(ctx, refused, func() (*http.Request, error) {
		request, err := r.request(ctx, http.MethodGet, path, nil)
		if err != nil {
			return nil, err
		}
		request.Header.Set("Accept", "text/event-stream")
		if lastID != "" {
			request.Header.Set("Last-Event-ID", lastID)
		}
		return request, nil
	})
}
