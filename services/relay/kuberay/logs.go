package kuberay

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/headwayhq/headway/services/relay"
	"github.com/headwayhq/headway/services/relay/proof"
)

// Bounds of what is read of containers that ended with an error.
const (
	logsRest    = 10 * time.Minute // between two looks at containers of one RayJob
	logsAtOnce  = 4
	logsTimeout = 10 * time.Second
	logsBytes   = 256 << 10 // the kubelet cuts the end off, so this is more than is shown
)

// ended is a container that ended with an error.
type ended struct {
	pod       *pod
	container string
	at        time.Time
	previous  bool // it was restarted since
}

// logs are the containers whose last lines are to be read: once for each end, and seldom for each RayJob.
type logs struct {
	may    func(relay.Observation) bool // nil: none may be read
	wanted []wantedLog
	read   map[string]time.Time // when those of a RayJob were read last, by its session
	slots  *semaphore.Weighted
}

type wantedLog struct {
	ended
	of relay.Observation
}

func newLogs() *logs {
	return &logs{read: map[string]time.Time{}, slots: semaphore.NewWeighted(logsAtOnce)}
}

// ReadLogsIf lets the source read the last lines of containers that ended with an error, of jobs for which may says so. It is
// to be called before Run.
func (s *Source) ReadLogsIf(may func(relay.Observation) bool) { s.logs.may = may }

// want notes that the last lines of a container are worth reading.
func (l *logs) want(e *ended, of *relay.Observation, now time.Time) {
	if e == nil || now.Sub(l.read[of.Session]) < logsRest || !l.may(*of) {
		return
	}
	for session, at := range l.read { // only the recent ones matter
		if now.Sub(at) >= logsRest {
			delete(l.read, session)
		}
	}
	l.read[of.Session] = now
	l.wanted = append(l.wanted, wantedLog{*e, relay.Observation{
		Cluster: of.Cluster, Session: of.Session, Submission: of.Submission, Source: sourceName, Outside: of.Outside, At: now,
	}})
}

func (l *logs) take() []wantedLog {
	out := l.wanted
	l.wanted = nil
	return out
}

// readLogs reads what is wanted, beside everything else.
func (r *run) readLogs(ctx context.Context) {
	for _, want := range r.logs.take() {
		r.followers.Go(func() {
			if r.logs.slots.Acquire(ctx, 1) != nil {
				return
			}
			seen := r.server.lines(ctx, want)
			r.logs.slots.Release(1)
			select {
			case r.lines <- seen:
			case <-ctx.Done():
			}
		})
	}
}

// lines reads the last lines of a container.
func (s *server) lines(ctx context.Context, want wantedLog) relay.Observation {
	p := want.pod
	out := want.of
	out.Lines = &relay.Lines{Process: "driver", Name: fmt.Sprintf("%s, container %s, which ended at %s", p.name(), want.container, want.at.UTC().Format("15:04:05Z"))}
	if p.role() == worker {
		out.Lines.Process = "worker"
	}
	text, err := s.log(ctx, p, want.container, want.previous)
	var f *failure
	if want.previous && errors.As(err, &f) && f.Code == http.StatusBadRequest { // it was removed; the kubelet keeps one
		text, err = s.log(ctx, p, want.container, false)
	}
	switch {
	case refused(err, http.StatusForbidden):
		out.Lines.Unavailable = "The log can't be read: the right to get pods/log in namespace " + p.Metadata.Namespace + " is missing."
	case err != nil:
		out.Lines.Unavailable = "The log can't be read: " + strings.TrimSuffix(proof.Lines(err.Error()), ".") + "."
	default:
		if out.Lines.Text = proof.Lines(text); out.Lines.Text == "" {
			out.Lines.Unavailable = "The log is empty."
		}
	}
	return out
}

func (s *server) log(ctx context.Context, p *pod, container string, previous bool) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, logsTimeout)
	defer cancel()
	query := url.Values{
		"container": {container}, "previous": {strconv.FormatBool(previous)}, "tailLines": {strconv.Itoa(proof.MaxLines)}, "limitBytes": {strconv.Itoa(logsBytes)},
	}
	body, err := s.get(ctx, "api/v1/namespaces/"+p.Metadata.Namespace+"/pods/"+p.Metadata.Name+"/log", query)
	if err != nil {
		return "", err
	}
	defer body.Close()
	text, err := io.ReadAll(io.LimitReader(body, logsBytes))
	return string(text), err
}

// failure is the container whose end explains that the job failed: the submitter's has the last lines of the program too.
func (s *situation) failure() *ended {
	var last *ended
	for _, p := range s.pods {
		c, t := p.ended()
		if t == nil || p.role() == worker || s.now.Sub(t.At) > loopWithin {
			continue
		}
		if last == nil || c.Name == submitterName && last.container != submitterName || t.At.After(last.at) && (c.Name == submitterName) == (last.container == submitterName) {
			last = &ended{pod: p, container: c.Name, at: t.At}
		}
	}
	return last
}
