package api

import (
	"bytes"
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

	"github.com/headwayhq/headway/pkg/diagnostics"
)

const (
	structuredType = "application/cloudevents+json"
	batchType      = "application/cloudevents-batch+json"

	maxMessage     = 1<<20 - 16<<10 // the log's limit, with room for headers
	maxErrors      = 100            // refused events told in one answer
	publishAtOnce  = 64
	publishTimeout = 10 * time.Second
)

// refused is one event that can't be kept.
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

// postEvents keeps all events of a request or none: if any is refused, nothing is published.
func (s *Service) postEvents(c echo.Context) error {
	ns, err := namespace(c)
	if err != nil {
		return err
	}
	r := c.Request()
	if !s.posts.enter("") {
		return tooMany("requests")
	}
	defer s.posts.leave("")
	if enc := r.Header.Get("Content-Encoding"); enc != "" && enc != "identity" {
		return problem(http.StatusUnsupportedMediaType, "unsupported_media_type", "Content-Encoding isn't supported.")
	}
	_ = http.NewResponseController(c.Response().Writer).SetReadDeadline(time.Now().Add(readTimeout)) // not every writer can
	body, err := io.ReadAll(http.MaxBytesReader(c.Response(), r.Body, s.limits.Body))
	if err != nil {
		var big *http.MaxBytesError
		if errors.As(err, &big) {
			return err
		}
		return problem(http.StatusBadRequest, "bad_body", "The body couldn't be read to its end.").because(err)
	}
	messages, bad, err := s.decode(r, ns, body, time.Now())
	if err != nil {
		return err
	}
	if len(bad) > 0 {
		s.metrics.events.WithLabelValues("refused").Add(float64(len(messages) + len(bad)))
		p := problem(http.StatusBadRequest, "invalid_events",
			strconv.Itoa(len(bad))+" of "+strconv.Itoa(len(messages)+len(bad))+" events are refused; none was kept. The first: "+
				bad[0].Field+": "+bad[0].Reason)
		return p.detail("errors", bad[:min(len(bad), maxErrors)]).detail("refused", len(bad))
	}
	last, err := s.publish(r.Context(), messages)
	if err != nil {
		s.metrics.events.WithLabelValues("failed").Add(float64(len(messages)))
		return problem(http.StatusServiceUnavailable, "not_acknowledged",
			"The log didn't acknowledge every event. Send the same request again: an event that was kept already counts once.").
			retry(2 * time.Second).because(err)
	}
	s.metrics.events.WithLabelValues("accepted").Add(float64(len(messages)))
	setCommon(c.Response().Header())
	c.Response().Header().Set("Cache-Control", "no-store")
	return c.JSON(http.StatusAccepted, map[string]any{"accepted": len(messages), "last_sequence": last})
}

// decode reads the events of a request, in whichever content mode it is.
func (s *Service) decode(r *http.Request, ns string, body []byte, now time.Time) ([]message, []refused, error) {
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil && r.Header.Get("Content-Type") != "" {
		kind = "invalid"
	}
	var d diagnostics.Decoder
	switch {
	case kind == batchType:
		return s.decodeBatch(&d, ns, body, now)
	case kind == structuredType:
		return one(structured(&d, ns, body, now))
	case r.Header.Get("Ce-Type") != "" || r.Header.Get("Ce-Specversion") != "":
		return one(binary(&d, r.Header, ns, body, now))
	}
	return nil, nil, problem(http.StatusUnsupportedMediaType, "unsupported_media_type",
		"Send "+structuredType+", "+batchType+", or ce- headers.")
}

func one(m message, no *diagnostics.Rejection) ([]message, []refused, error) {
	if no != nil {
		return nil, []refused{{0, no.Field, no.Reason}}, nil
	}
	return []message{m}, nil, nil
}

func (s *Service) decodeBatch(d *diagnostics.Decoder, ns string, body []byte, now time.Time) (ok []message, bad []refused, err error) {
	dec := json.NewDecoder(bytes.NewReader(body))
	if t, err := dec.Token(); err != nil || t != json.Delim('[') {
		return nil, nil, problem(http.StatusBadRequest, "bad_body", "The body isn't a JSON array of events.")
	}
	for i := 0; dec.More(); i++ {
		if i == s.limits.Events {
			return nil, nil, problem(http.StatusRequestEntityTooLarge, "too_many_events",
				"More than "+strconv.Itoa(s.limits.Events)+" events in one request.")
		}
		var raw json.RawMessage
		if err := dec.Decode(&raw); err != nil {
			// The rest can't be told apart any more.
			return ok, append(bad, refused{i, "", "isn't valid JSON"}), nil
		}
		m, no := structured(d, ns, raw, now)
		if no != nil {
			bad = append(bad, refused{i, no.Field, no.Reason})
			continue
		}
		ok = append(ok, m)
	}
	if _, err := dec.Token(); err != nil {
		return nil, nil, problem(http.StatusBadRequest, "bad_body", "The array of events isn't closed.")
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, nil, problem(http.StatusBadRequest, "bad_body", "Something follows the array of events.")
	}
	return ok, bad, nil
}

func structured(d *diagnostics.Decoder, ns string, data []byte, now time.Time) (message, *diagnostics.Rejection) {
	e, no := d.Decode(diagnostics.Message{Namespace: ns, Data: data, Stored: now})
	if no == nil {
		no = forbidden(e, ns, len(data))
	}
	if no != nil {
		return message{}, no
	}
	return message{subject: e.Subject(), header: nats.Header{"Content-Type": {structuredType}}, data: data}, nil
}

func binary(d *diagnostics.Decoder, h http.Header, ns string, data []byte, now time.Time) (message, *diagnostics.Rejection) {
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
			return message{}, &diagnostics.Rejection{Field: attribute, Reason: "given more than once"}
		}
		header["ce-"+attribute] = values // as received: percent-encoding is undone by whoever decodes
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
		return message{}, no
	}
	return message{subject: e.Subject(), header: header, data: data}, nil
}

// forbidden refuses what is valid in the log, but not at this door.
func forbidden(e *diagnostics.Event, ns string, size int) *diagnostics.Rejection {
	switch {
	case e.Type == diagnostics.TypeHealth:
		return &diagnostics.Rejection{Field: "type", Reason: "is written by the detector only"}
	case e.Type == diagnostics.TypeBatch && e.BatchFacts.Settled:
		return &diagnostics.Rejection{Field: "data.settled", Reason: "is written by the detector only"}
	case e.Namespace != ns:
		return &diagnostics.Rejection{Field: "namespace", Reason: "isn't the caller's"}
	case size > maxMessage:
		return &diagnostics.Rejection{Field: "data", Reason: "the event is larger than " + strconv.Itoa(maxMessage) + " bytes as sent"}
	}
	return nil
}

// publish returns once every message is acknowledged. Their order in the log is of no consequence.
func (s *Service) publish(ctx context.Context, messages []message) (last uint64, err error) {
	ctx, cancel := context.WithTimeout(ctx, publishTimeout)
	defer cancel()
	if len(messages) == 1 {
		return s.events.Publish(ctx, messages[0].subject, messages[0].header, messages[0].data)
	}
	var greatest atomic.Uint64
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
	err = g.Wait()
	return greatest.Load(), err
}
