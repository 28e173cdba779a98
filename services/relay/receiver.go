package relay

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/headwayhq/headway/services/relay/machine"
	"github.com/headwayhq/headway/services/relay/rayapi"
)

// ReceiverPattern is the pattern to mount Receiver at.
const ReceiverPattern = "POST /v1/ray/events/{secret}"

// IsReceived reports whether a request is for Receiver, which checks the secret in its path.
func IsReceived(r *http.Request) bool { return strings.HasPrefix(r.URL.Path, "/v1/ray/events/") }

// Limits of the receiver. Zero values mean the defaults.
type Limits struct {
	Body     int64         // bytes of a POST; default 16 MiB. Ray was seen to send up to 1.2 MB
	Events   int           // in one POST; default 1,000, which is the most that Ray sends
	Posts    int           // concurrent POSTs; default 64. Each node has one in flight
	Patience time.Duration // time until a POST is rejected, after which Ray repeats it; default 2.5 s. Ray waits for 3 s
}

func (l *Limits) fill() {
	if l.Body <= 0 {
		l.Body = 16 << 20
	}
	if l.Events <= 0 {
		l.Events = 1000
	}
	if l.Posts <= 0 {
		l.Posts = 64
	}
	if l.Patience <= 0 {
		l.Patience = 2500 * time.Millisecond
	}
}

// Receiver returns the handler for the events that Ray's nodes export. Ray repeats the same bytes until the answer is
// below 400. So every body that parses is acknowledged once its events are published: a relay that is killed before
// that receives it again. A body that can never be used is counted and acknowledged too, or it would cause
// head-of-line blocking.
//
// Answers: 204; 404 for a wrong secret; 503 if the log can't be reached in time, or if too many POSTs are in flight.
func (r *Relay) Receiver() http.Handler {
	want := sha256.Sum256([]byte(r.o.Secret))
	slots := make(chan struct{}, r.o.Receiver.Posts)
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		got := sha256.Sum256([]byte(req.PathValue("secret")))
		if r.o.Secret == "" || subtle.ConstantTimeCompare(want[:], got[:]) != 1 {
			r.metrics.received.WithLabelValues("wrong_secret").Inc()
			http.NotFound(w, req)
			return
		}
		select {
		case slots <- struct{}{}:
			defer func() { <-slots }()
		default:
			r.metrics.received.WithLabelValues("busy").Inc()
			http.Error(w, "too many posts at once", http.StatusServiceUnavailable)
			return
		}
		body, err := io.ReadAll(http.MaxBytesReader(w, req.Body, r.o.Receiver.Body))
		var tooLarge *http.MaxBytesError
		switch {
		case errors.As(err, &tooLarge):
			r.useless("too_large", fmt.Errorf("a body of more than %d bytes", r.o.Receiver.Body))
			w.WriteHeader(http.StatusNoContent)
			return
		case err != nil:
			http.Error(w, "the body broke off", http.StatusBadRequest)
			return
		}
		ctx, cancel := context.WithTimeout(req.Context(), r.o.Receiver.Patience)
		defer cancel()
		if err := r.receive(ctx, body); err != nil {
			r.metrics.received.WithLabelValues("not_kept").Inc()
			r.log.Warn("storing events from Ray failed, Ray will send them again", "error", err)
			http.Error(w, "not kept yet", http.StatusServiceUnavailable)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	})
}

func (r *Relay) useless(outcome string, why error) {
	r.metrics.received.WithLabelValues(outcome).Inc()
	r.log.Warn("unusable POST of exported events acknowledged, so that Ray doesn't repeat it", "reason", why)
}

// receive publishes the events that follow from a body. An error means that Ray should repeat it.
func (r *Relay) receive(ctx context.Context, body []byte) error {
	events, unread, err := rayapi.DecodeExport(body, r.o.Receiver.Events)
	if err != nil {
		outcome := "unreadable"
		if errors.Is(err, rayapi.ErrTooMany) {
			outcome = "too_many"
		}
		r.useless(outcome, err)
		return nil
	}
	if unread > 0 {
		r.metrics.received.WithLabelValues("unreadable").Add(float64(unread))
	}
	r.exported.add(events, r.o.Now())
	heard, err := r.tracker.take(ctx, machine.Exported{Clusters: r.clustersOf(events), Events: events})
	r.metrics.received.WithLabelValues("used").Add(float64(heard.Used))
	r.metrics.received.WithLabelValues("of_no_use").Add(float64(len(events) - heard.Used))
	for session, submissions := range heard.Hints {
		polled := false
		for _, c := range r.clusters {
			if c.inSession(session) {
				polled = true
				c.hint(submissions)
			}
		}
		if !polled && err == nil { // no loop polls that cluster: judge by its exported events
			err = r.tracker.step(ctx, machine.Looked{Session: session, Look: machine.Look{At: r.o.Now(), Actors: r.tracker.heardWaiting(session)}})
		}
	}
	return err
}

// clustersOf returns the cluster names of the events' sessions, as far as they are known.
func (r *Relay) clustersOf(events []rayapi.Exported) map[string]string {
	out := map[string]string{}
	for i := range events {
		if _, done := out[events[i].Session]; !done {
			out[events[i].Session] = r.clusterOf(events[i].Session)
		}
	}
	return out
}

// clusterOf returns the name of a session's cluster, or "" if it isn't known yet.
func (r *Relay) clusterOf(session string) string {
	for _, c := range r.clusters {
		if c.inSession(session) {
			return c.name
		}
	}
	return ""
}
