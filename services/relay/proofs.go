package relay

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v4"
	"golang.org/x/sync/semaphore"

	"github.com/headwayhq/headway/pkg/client"
	"github.com/headwayhq/headway/services/relay/proof"
	"github.com/headwayhq/headway/services/relay/rayapi"
)

// Proving says of which batches' jobs the relay looks at the processes, once their program hangs.
type Proving struct {
	Namespaces []string      // "*" for all; none: it looks at nothing
	Health     HealthFeed    // tells which batches are stuck; nil: it looks at nothing
	Pause      time.Duration // between looks at one stack; default 1 min
	Rest       time.Duration // the least time between two series of looks at one batch; default 10 min
}

func (p *Proving) fill() {
	if p.Pause <= 0 {
		p.Pause = time.Minute
	}
	if p.Rest <= 0 {
		p.Rest = 10 * time.Minute
	}
}

// Bounds of the looks. py-spy pauses a process for some 10 to 100 ms.
const (
	looks       = 3 // at the stack of one process, in one series
	looksAtOnce = 4 // at a time, of one relay
	maxSeries   = 64
	provenJobs  = 3 // of one batch
)

// prover takes proofs of what hangs: it follows the announcements, and looks at the jobs of batches that are stuck in their program.
type prover struct {
	Proving
	relay *Relay
	slots *semaphore.Weighted

	mu     sync.Mutex
	series map[batchName]context.CancelFunc // that go on
	begun  map[batchName]time.Time          // when the last series began
}

type batchName struct{ namespace, batch string }

func newProver(p Proving, r *Relay) *prover {
	return &prover{Proving: p, relay: r, slots: semaphore.NewWeighted(looksAtOnce), series: map[batchName]context.CancelFunc{}, begun: map[batchName]time.Time{}}
}

// run follows the announcements until ctx ends, again after each failure: the streams may not be there yet.
func (p *prover) run(ctx context.Context) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	retry := backoff.NewExponentialBackOff(backoff.WithInitialInterval(time.Second), backoff.WithMaxInterval(30*time.Second), backoff.WithMaxElapsedTime(0))
	for {
		err := p.Health.Follow(ctx, p.Namespaces, func(a Announced) {
			retry.Reset()
			p.hear(ctx, &wg, a)
		})
		if ctx.Err() != nil {
			return nil
		}
		p.relay.log.Info("announcements of health can't be followed, trying again", "error", err)
		if !sleep(ctx, retry.NextBackOff()) {
			return nil
		}
	}
}

// hear begins a series of looks, or ends one.
func (p *prover) hear(ctx context.Context, wg *sync.WaitGroup, a Announced) {
	b := batchName{a.Namespace, a.Batch}
	p.mu.Lock()
	defer p.mu.Unlock()
	stop, goesOn := p.series[b]
	if a.Health != "stuck" || !strings.HasPrefix(a.Cause, "PROGRAM:") {
		if goesOn {
			stop()
		}
		return
	}
	now := p.relay.o.Now()
	if goesOn || now.Sub(p.begun[b]) < p.Rest {
		return
	}
	if len(p.series) >= maxSeries {
		p.relay.log.Warn("too many batches hang at once, not looking at one", "namespace", a.Namespace, "batch", a.Batch)
		return
	}
	for old, at := range p.begun { // only the recent ones matter
		if now.Sub(at) >= p.Rest {
			delete(p.begun, old)
		}
	}
	mine, cancel := context.WithCancel(ctx)
	p.series[b], p.begun[b] = cancel, now
	wg.Go(func() {
		p.look(mine, b)
		p.mu.Lock()
		delete(p.series, b)
		p.mu.Unlock()
		cancel()
	})
}

// look looks at the running jobs of a batch, several times.
func (p *prover) look(ctx context.Context, b batchName) {
	var views []*jobLook
	for _, f := range p.relay.Jobs() {
		if f.Why != "" || f.Status != Running || (batchName{f.Place.Namespace, f.Place.Batch}) != b || len(views) == provenJobs {
			continue
		}
		for _, c := range p.relay.clusters {
			if c.name == f.Cluster && c.inSession(f.Session) {
				views = append(views, &jobLook{cluster: c, found: f, stacks: map[string]*seenStack{}})
			}
		}
	}
	for n := range looks {
		if len(views) == 0 || n > 0 && !sleep(ctx, p.Pause) {
			return
		}
		var events []client.Event
		for _, v := range views {
			if p.slots.Acquire(ctx, 1) != nil {
				return
			}
			events = append(events, v.take(ctx, n == 0, p.relay.o.Now)...)
			p.slots.Release(1)
		}
		if ctx.Err() != nil || len(events) == 0 {
			return
		}
		if err := p.relay.o.Publisher.Publish(ctx, b.namespace, events...); err != nil {
			p.relay.log.Warn("proofs not published", "namespace", b.namespace, "batch", b.batch, "error", err)
			return
		}
		p.relay.metrics.published.WithLabelValues("proof").Add(float64(len(events)))
	}
}

// jobLook is a series of looks at one job.
type jobLook struct {
	cluster *cluster
	found   Found
	stacks  map[string]*seenStack // by process
	off     bool                  // stacks can't be had
	lost    int                   // looks in a row at which tasks of Ray Data were unknown to Ray Core
}

// seenStack is where a process was seen.
type seenStack struct {
	where string
	since time.Time
	looks int64
}

// take looks once: at the stacks and, with the log, at the driver's last lines.
func (j *jobLook) take(ctx context.Context, withLog bool, now func() time.Time) (events []client.Event) {
	api := j.cluster.api
	job, err := api.Job(ctx, j.found.Submission)
	j.cluster.asked(err)
	if err != nil || Status(job.Status) != Running {
		return nil
	}
	put := func(p client.Proof) {
		p.SubmissionID, p.Cluster = j.found.Submission, j.found.Cluster
		events = append(events, client.Event{Batch: j.found.Place.Batch, Time: now(), Data: &p})
	}
	if withLog && job.DriverNodeID != "" {
		text, err := api.DriverLog(ctx, j.found.Submission, job.DriverNodeID, proof.MaxLines)
		j.cluster.asked(err)
		switch lines := proof.Lines(text); {
		case err != nil:
			put(client.Proof{Kind: "log", Process: "driver", Unavailable: "The log can't be read: " + why(err)})
		case lines != "":
			put(client.Proof{Kind: "log", Process: "driver", Text: lines})
		}
	}
	if text := j.unknownToCore(ctx, job.JobID); text != "" {
		put(client.Proof{Kind: "stack", Process: "worker", Name: "Ray Data", Unavailable: text})
	}
	if j.off {
		return events
	}
	if reason := j.profiling(ctx); reason != "" {
		j.off = true
		put(client.Proof{Kind: "stack", Process: "driver", Unavailable: reason})
		return events
	}
	at := now()
	s, name, err := j.driver(ctx, &job)
	if err != nil {
		j.off = true
		put(client.Proof{Kind: "stack", Process: "driver", Unavailable: cannotAttach(err)})
		return events
	}
	put(j.seen("driver", name, s, at))
	if !s.AwaitsIt || job.JobID == "" {
		return events
	}
	at = now()
	if s, name, err := j.worker(ctx, job.JobID); err == nil {
		put(j.seen("worker", name, s, at))
	}
	return events
}

// profiling says why stacks can't be taken at all; "" if they can.
func (j *jobLook) profiling(ctx context.Context) string {
	on, err := j.cluster.api.ProfilingEnabled(ctx)
	j.cluster.asked(err)
	var status *rayapi.StatusError
	switch {
	case errors.As(err, &status) && status.Code == http.StatusNotFound: // a Ray that always allows it
		return ""
	case err != nil:
		return "The stack can't be read: " + why(err)
	case !on:
		return profilingOff
	}
	return ""
}

// profilingOff is Ray's default since 2.60.
const profilingOff = "Profiling is off on this cluster: start its head with RAY_DASHBOARD_ENABLE_PROFILING=1."

var errNoProcess = errors.New("no process was named that py-spy can read")

func (j *jobLook) driver(ctx context.Context, job *rayapi.Job) (s proof.Stack, name string, err error) {
	pid, node, children := "", job.DriverNodeID, false
	if job.Driver != nil {
		pid = job.Driver.PID
	}
	if pid == "" { // the entrypoint hasn't called ray.init: it is a child of its supervisor
		if pid, node, err = j.cluster.api.Supervisor(ctx, job.SubmissionID); err != nil {
			return s, "", err
		}
		children = true
	}
	if pid == "" {
		return s, "", errNoProcess
	}
	dump, err := j.cluster.api.Stack(ctx, pid, node, children)
	j.cluster.asked(err)
	if err != nil {
		return s, "", err
	}
	s, ok := proof.Parse(dump)
	if !ok {
		return s, "", errNoProcess
	}
	if !children {
		name = "pid " + pid
	}
	return s, name, nil
}

// worker looks at the worker whose task has run for longest.
func (j *jobLook) worker(ctx context.Context, jobID string) (s proof.Stack, name string, err error) {
	task, err := j.cluster.api.OldestRunning(ctx, jobID)
	j.cluster.asked(err)
	if err != nil || task == nil {
		return s, "", cmp.Or(err, errNoProcess)
	}
	dump, err := j.cluster.api.Stack(ctx, task.PID(), task.NodeID, false)
	j.cluster.asked(err)
	if err != nil {
		return s, "", err
	}
	s, ok := proof.Parse(dump)
	if !ok {
		return s, "", errNoProcess
	}
	return s, "pid " + task.PID() + ", task " + cut(task.Name), nil
}

// seen is the proof of a stack, with how often and since when the process was seen at the same place.
func (j *jobLook) seen(process, name string, s proof.Stack, at time.Time) client.Proof {
	was := j.stacks[process]
	if was == nil || was.where != name+s.Where {
		was = &seenStack{where: name + s.Where, since: at}
		j.stacks[process] = was
	}
	was.looks++
	since := was.since
	return client.Proof{Kind: "stack", Process: process, Name: name, Text: strings.Join(s.Frames, "\n"), Frame: s.Where, FrameSince: &since, Looks: was.looks}
}

// cannotAttach says why a stack couldn't be taken, and how to allow it.
func cannotAttach(err error) string {
	var status *rayapi.StatusError
	if !errors.As(err, &status) {
		return "The stack can't be read: " + why(err)
	}
	says := strings.ToLower(status.Says)
	switch {
	case status.Code == http.StatusForbidden:
		return profilingOff
	case strings.Contains(says, "not installed"):
		return "py-spy is not installed on the node: install ray[default] there, with py-spy in Ray's PATH."
	case strings.Contains(says, "permission"):
		return "py-spy may not attach to the process: give the container the capability SYS_PTRACE (securityContext.capabilities.add: [SYS_PTRACE])."
	}
	return "The stack can't be read: " + why(err)
}

// why is a foreign error in a sentence.
func why(err error) string {
	text := []rune(strings.Join(strings.Fields(proof.Lines(err.Error())), " "))
	return string(text[:min(len(text), 200)]) + "."
}
