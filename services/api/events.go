package api

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/nats-io/nats.go"
	"golang.org/x/sync/errgroup"

	"github.com/headwayhq/headway/internal/seeded"
	"github.com/headwayhq/headway/pkg/diagnostics"
	"github.com/headwayhq/headway/services/api/access"
)

const (
	structuredType = "application/cloudevents+json"
	batchType      = "application/cloudevents-batch+json"

	maxMessage    = 1<<20 - 16<<10 // the log's limit, with room for headers
	maxErrors     = 100            // refused events listed in one answer
	maxWarnings   = 100            // listed in one answer
	publishAtOnce = 64
)

var tooLarge = "the event is larger than " + strconv.Itoa(maxMessage) + " bytes as sent"

// refused is one invalid event.
type refused struct {
	Index  int    `json:"index"`
	Field  string `json:"field"`
	Reason string `json:"reason"`
}

// message is one event ready for the log.
type message struct {
	subject string
	header  nats.Header
	data    []byte
}

// warning names a field that was accepted, but probably isn't the intended one.
type warning struct {
	Index   int    `json:"index"`
	Field   string `json:"field"`
	Message string `json:"message"`
}

// accepted is the answer to events that are stored.
type accepted struct {
	Accepted     int       `json:"accepted"`
	LastSequence uint64    `json:"last_sequence"`
	Warnings     []warning `json:"warnings,omitempty"`
}

// posted are the events of a request.
type posted struct {
	messages []message
	refused  []refused
	warnings []warning
}

// postEvents stores all events of a request or none: if any is refused, nothing is published.
func (s *Service) postEvents(c echo.Context, by *access.Principal) error {
	ns, err := s.namespace(c, by)
	if err != nil {
		return err
	}
	r := c.Request()
	if enc := r.Header.Get("Content-Encoding"); enc != "" && enc != "identity" {
		return problem(http.StatusUnsupportedMediaType, "unsupported_media_type", "Content-Encoding isn't supported.")
	}
	from := s.limiter.sender(by, ns)
	in, err := s.open(c.Response().Writer, r, from)
	if err != nil {
		c.Response().Header().Set("Connection", "close") // the body isn't read
		return err
	}
	p, err := s.decode(r, ns, in, time.Now())
	in.ended()
	from.received(in.read)
	if in.err != nil {
		c.Response().Header().Set("Connection", "close")
	}
	if err != nil {
		in.close()
		return err
	}
	if err := s.admits(r.Context(), from, p); err != nil {
		in.close()
		return err
	}
	if n := len(p.refused); n > 0 {
		in.close()
		s.metrics.events.WithLabelValues("refused").Add(float64(len(p.messages) + n))
		return invalid(p)
	}
	last, err := s.publish(r.Context(), p.messages, in.close)
	if err != nil {
		s.metrics.events.WithLabelValues("failed").Add(float64(len(p.messages)))
		return notAcknowledged(err)
	}
	s.metrics.events.WithLabelValues("accepted").Add(float64(len(p.messages)))
	setCommon(c.Response().Header())
	c.Response().Header().Set("Cache-Control", "no-store")
	answer, err := json.Marshal(accepted{len(p.messages), last, p.warnings})
	if err != nil {
		return err
	}
	return c.JSONBlob(http.StatusAccepted, escapeControls(answer))
}

// admits counts the events of a request, those that are refused too. They are let in together, or none of them.
func (s *Service) admits(ctx context.Context, from sender, p posted) error {
	if err := s.room(ctx, from.ns, p.messages); err != nil {
		return err
	}
	return from.events(len(p.messages) + len(p.refused))
}

func invalid(p posted) *problemError {
	first, bad, all := p.refused[0], len(p.refused), len(p.messages)+len(p.refused)
	detail := strconv.Itoa(bad) + " of " + strconv.Itoa(all) + " events are refused; none was stored. The first: " + first.Field + ": " + first.Reason
	return problem(http.StatusBadRequest, "invalid_events", detail).
		detail("errors", p.refused[:min(bad, maxErrors)]).detail("refused", bad)
}

func notAcknowledged(err error) *problemError {
	what := "The log didn't acknowledge every event."
	var w *waitedError
	if errors.As(err, &w) {
		what = w.backend + " didn't acknowledge every event within " + inSeconds(w.took) + "."
	}
	return problem(http.StatusServiceUnavailable, "not_acknowledged",
		what+" Send the same request again: an event that is already stored counts once.").retry(2 * time.Second).because(err)
}

// decode reads the events of a request in any of the content modes.
func (s *Service) decode(r *http.Request, ns string, in *intake, now time.Time) (posted, error) {
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil && r.Header.Get("Content-Type") != "" {
		kind = "invalid"
	}
	var p posted
	if kind == batchType {
		err := p.decodeBatch(in, ns, s.limits.Events, now)
		return p, err
	}
	isBinary := r.Header.Get("Ce-Type") != "" || r.Header.Get("Ce-Specversion") != ""
	if kind != structuredType && !isBinary {
		return p, problem(http.StatusUnsupportedMediaType, "unsupported_media_type",
			"Send "+structuredType+", "+batchType+", or ce- headers.")
	}
	body, err := io.ReadAll(in)
	switch {
	case errors.Is(err, errItem):
		p.refused = append(p.refused, refused{0, "data", tooLarge})
		return p, nil
	case err != nil:
		return p, in.problem()
	}
	var d diagnostics.Decoder
	if kind == structuredType {
		p.add(&d, 0, func() (message, *diagnostics.Event, *diagnostics.Rejection) { return structured(&d, ns, body, now) })
	} else {
		p.add(&d, 0, func() (message, *diagnostics.Event, *diagnostics.Rejection) {
			return binary(&d, r.Header, ns, body, now)
		})
	}
	return p, nil
}

// add decodes one event with d.
func (p *posted) add(d *diagnostics.Decoder, index int, decode func() (message, *diagnostics.Event, *diagnostics.Rejection)) {
	m, e, no := decode()
	if no != nil {
		p.refused = append(p.refused, refused{index, no.Field, no.Reason})
		return
	}
	p.messages = append(p.messages, m)
	for _, field := range d.Unknown() {
		if len(p.warnings) < maxWarnings {
			p.warnings = append(p.warnings, warning{index, shorten(field, 128), shorten(diagnostics.Hint(e.Type, field), 256)})
		}
	}
}

// decodeBatch splits an array of events as it arrives, so that only the events of the body are kept in memory.
func (p *posted) decodeBatch(in *intake, ns string, limit int, now time.Time) error {
	dec := json.NewDecoder(in)
	failed := func(why string) error {
		if in.err != nil {
			return in.problem()
		}
		return problem(http.StatusBadRequest, "bad_body", why)
	}
	if t, err := dec.Token(); err != nil || t != json.Delim('[') {
		return failed("The body isn't a JSON array of events.")
	}
	var d diagnostics.Decoder
	for i := 0; dec.More(); i++ {
		if i == limit {
			return problem(http.StatusRequestEntityTooLarge, "too_many_events",
				"More than "+strconv.Itoa(limit)+" events in one request.")
		}
		in.item = dec.InputOffset()
		var raw json.RawMessage
		if err := dec.Decode(&raw); err != nil {
			// The rest of the array can't be split reliably any more.
			switch {
			case errors.Is(in.err, errItem):
				p.refused = append(p.refused, refused{i, "data", tooLarge})
			case in.err != nil:
				return in.problem()
			default:
				p.refused = append(p.refused, refused{i, "", "isn't valid JSON"})
			}
			return nil
		}
		in.item = dec.InputOffset()
		p.add(&d, i, func() (message, *diagnostics.Event, *diagnostics.Rejection) { return structured(&d, ns, raw, now) })
	}
	if _, err := dec.Token(); err != nil {
		return failed("The array of events has no end.")
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return failed("The body continues after the array of events.")
	}
	return nil
}

func structured(d *diagnostics.Decoder, ns string, data []byte, now time.Time) (message, *diagnostics.Event, *diagnostics.Rejection) {
	e, no := d.Decode(diagnostics.Message{Namespace: ns, Data: data, Stored: now})
	if no == nil {
		no = forbidden(e, ns, len(data))
	}
	if no != nil {
		return message{}, nil, no
	}
	return message{subject: e.Subject(), header: nats.Header{"Content-Type": {structuredType}}, data: data}, e, nil
}

func binary(d *diagnostics.Decoder, h http.Header, ns string, data []byte, now time.Time) (message, *diagnostics.Event, *diagnostics.Rejection) {
	header := nats.Header{}
	if t := h.Get("Content-Type"); t != "" {
		header.Set("Content-Type", t)
	}
	size := len(data)
	for name, values := range h {
		attribute, is := strings.CutPrefix(strings.ToLower(name), "ce-")
		if !is {
			continue
		}
		if len(values) != 1 {
			return message{}, nil, &diagnostics.Rejection{Field: attribute, Reason: "is given more than once"}
		}
		header["ce-"+attribute] = values // as received; the decoder undoes percent-encoding
		size += len(attribute) + len(values[0]) + 8
	}
	e, no := d.Decode(diagnostics.Message{Namespace: ns, Data: data, Stored: now, Attribute: func(name string) string {
		if name == "content-type" || name == "datacontenttype" {
			return h.Get("Content-Type")
		}
		if v := header["ce-"+name]; v != nil {
			return v[0]
		}
		return ""
	}})
	if no == nil {
		no = forbidden(e, ns, size)
	}
	if no != nil {
		return message{}, nil, no
	}
	return message{subject: e.Subject(), header: header, data: data}, e, nil
}

// forbidden refuses events that are valid in the log, but may not be sent over HTTP.
func forbidden(e *diagnostics.Event, ns string, size int) *diagnostics.Rejection {
	switch {
	case e.Type == diagnostics.TypeHealth:
		return &diagnostics.Rejection{Field: "type", Reason: "is written by the detector only"}
	case e.Type == diagnostics.TypeErase:
		return &diagnostics.Rejection{Field: "type", Reason: "is written by DELETE /v1/batches/{batch_id} only"}
	case e.Type == diagnostics.TypeBatch && e.BatchFacts.Settled:
		return &diagnostics.Rejection{Field: "data.settled", Reason: "is written by the detector only"}
	case e.Namespace != ns:
		return &diagnostics.Rejection{Field: "namespace", Reason: "isn't the one of the request"}
	case size > maxMessage:
		return &diagnostics.Rejection{Field: "data", Reason: tooLarge}
	}
	return nil
}

// publish returns once every message is acknowledged, or after storeWithin. Their order in the log doesn't
// matter. It calls release when the messages are no longer needed, which may be later, because a publish that is stuck in a write
// can't be canceled.
func (s *Service) publish(ctx context.Context, messages []message, release func()) (last uint64, err error) {
	ctx, cancel := context.WithTimeout(ctx, storeWithin)
	defer cancel()
	begun := time.Now()
	if seeded.Bug("acknowledge-before-store") {
		go func() {
			defer release()
			_ = s.publishAll(context.WithoutCancel(ctx), messages, new(atomic.Uint64))
		}()
		return 0, nil
	}
	ended := make(chan struct{})
	var greatest atomic.Uint64
	var failed error
	go func() {
		defer close(ended)
		defer release()
		failed = s.publishAll(ctx, messages, &greatest)
	}()
	select {
	case <-ended:
		return greatest.Load(), waited("NATS", begun, failed)
	case <-ctx.Done():
		return 0, waited("NATS", begun, ctx.Err())
	}
}

func (s *Service) publishAll(ctx context.Context, messages []message, greatest *atomic.Uint64) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(publishAtOnce)
	for _, m := range messages {
		g.Go(func() error {
			seq, err := s.events.Publish(ctx, m.subject, m.header, m.data)
			if err != nil {
				return err
			}
			for old := greatest.Load(); old < seq && !greatest.CompareAndSwap(old, seq); old = greatest.Load() {
			}
			return nil
		})
	}
	return g.Wait()
}
