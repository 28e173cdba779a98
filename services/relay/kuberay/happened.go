package kuberay

import (
	"slices"
	"strings"
	"time"
)

// happened are the latest events about one object, by reason and container.
type happened map[string]*kubeEvent

// latest returns the event seen last among some reasons.
func (h happened) latest(reasons ...string) *kubeEvent {
	return h.last(func(reason string) bool { return slices.Contains(reasons, reason) })
}

func (h happened) last(wanted func(reason string) bool) (last *kubeEvent) {
	for _, e := range h {
		if wanted(e.Reason) && (last == nil || e.seen().After(last.seen()) || e.seen().Equal(last.seen()) && e.Message > last.Message) {
			last = e
		}
	}
	return last
}

// of returns the latest event of a reason about a container.
func (h happened) of(reason, container string) (last *kubeEvent) {
	for _, e := range h {
		if e.Reason == reason && strings.Contains(e.About.Field, "{"+container+"}") && (last == nil || e.seen().After(last.seen())) {
			last = e
		}
	}
	return last
}

// since returns when a reason was reported first, else the given time.
func (h happened) since(known time.Time, reason string) time.Time {
	var begin time.Time
	for _, e := range h {
		if e.Reason == reason && (begin.IsZero() || e.began().Before(begin)) {
			begin = e.began()
		}
	}
	if begin.Before(known) {
		return known
	}
	return begin
}
