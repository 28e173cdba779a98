package relay

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v4"
	"golang.org/x/sync/errgroup"

	"github.com/headwayhq/headway/services/relay/machine"
	"github.com/headwayhq/headway/services/relay/rayapi"
)

// cluster polls one Ray cluster. Each loop requests one kind of data, so that a slow answer delays no other loop.
type cluster struct {
	name    string
	api     *rayapi.Client
	tracker *tracker
	polling Polling
	now     func() time.Time
	log     *slog.Logger
	metrics *metrics

	poked chan struct{} // wakes the loop that looks for the causes of waits
	hints chan []string // submissions that may be over

	mu        sync.Mutex
	session   string
	versionAt time.Time // when the session was last requested
	heard     time.Time // time of the last answer
	failedAt  time.Time // since when it doesn't answer
	failed    error     // error of the last request for jobs
	changed   time.Time // when the list last changed
	list      []byte    // the last list
	print     uint64    // fingerprint of that list
	listedAt  time.Time
	drivers   map[string]time.Time // drivers that weren't submitted and are over, by job id, and when they ended
}

func newCluster(c Cluster, r *Relay) (*cluster, error) {
	transport := c.Transport
	if transport == nil {
		// Each cluster has a client of its own, so that one doesn't use up the connections and limits of another.
		transport = &http.Transport{TLSClientConfig: c.TLS, MaxIdleConnsPerHost: 8, IdleConnTimeout: time.Minute, Proxy: http.ProxyFromEnvironment}
	}
	api, err := rayapi.New(rayapi.Options{URL: c.URL, Token: c.Token, Timeout: c.Timeout, Transport: transport})
	if err != nil {
		return nil, fmt.Errorf("relay: cluster %s: %w", c.Name, err)
	}
	if c.Name == "" {
		c.Name = api.Host()
	}
	return &cluster{
		name: c.Name, api: api, tracker: r.tracker, polling: r.o.Polling, now: r.o.Now, log: r.log.With("cluster", c.Name), metrics: r.metrics,
		poked: make(chan struct{}, 1), hints: make(chan []string, 64),
	}, nil
}

func (c *cluster) run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return c.jobsLoop(ctx) })
	g.Go(func() error { return c.hintsLoop(ctx) })
	g.Go(func() error { return c.causesLoop(ctx) })
	g.Go(func() error { return c.dataLoop(ctx) })
	return g.Wait()
}

func (c *cluster) inSession(session string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return session != "" && c.session == session
}

func (c *cluster) present() (session string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.session
}

// endedDrivers are the drivers that weren't submitted and are over, by the last list.
func (c *cluster) endedDrivers() map[string]time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.drivers
}

// ready reports whether the cluster answered within the last half minute.
func (c *cluster) ready(now time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.heard.IsZero() && now.Sub(c.heard) < 30*time.Second {
		return nil
	}
	if c.failed != nil {
		return fmt.Errorf("cluster %s: %w", c.name, c.failed)
	}
	return fmt.Errorf("cluster %s has not answered yet", c.name)
}

// hint says that these submissions may have ended, and that the waits of other jobs are worth a new look. It never
// blocks.
func (c *cluster) hint(submissions []string) {
	if len(submissions) > 0 {
		select {
		case c.hints <- submissions:
		default: // the channel is full; the next list shows the ends anyway
		}
	}
	c.poke()
}

func (c *cluster) poke() {
	select {
	case c.poked <- struct{}{}:
	default:
	}
}

// asked counts a request and records whether the cluster answered.
func (c *cluster) asked(err error) {
	outcome := "ok"
	var status *rayapi.StatusError
	switch {
	case err == nil:
	case errors.As(err, &status):
		outcome = fmt.Sprintf("status_%d", status.Code)
	default:
		outcome = "unreachable"
	}
	c.metrics.requests.WithLabelValues(c.name, outcome).Inc()
}

// jobsLoop lists the jobs: at the fast rate while something changes, else at the slow one, and with backoff while the
// cluster doesn't answer.
func (c *cluster) jobsLoop(ctx context.Context) error {
	retry := backoff.NewExponentialBackOff(backoff.WithInitialInterval(250*time.Millisecond), backoff.WithMultiplier(2),
		backoff.WithMaxInterval(c.polling.Slow), backoff.WithMaxElapsedTime(0))
	for {
		err := c.lookAtJobs(ctx)
		if ctx.Err() != nil {
			return nil
		}
		wait := c.pace()
		if err != nil {
			wait = retry.NextBackOff()
		} else {
			retry.Reset()
		}
		c.outcome(ctx, err)
		if !sleep(ctx, wait) {
			return nil
		}
	}
}

// outcome records whether the cluster answered, and tells its jobs if it hasn't for long.
func (c *cluster) outcome(ctx context.Context, err error) {
	now := c.now()
	c.mu.Lock()
	before, session := c.failed, c.session
	if err == nil {
		c.heard, c.failedAt = now, time.Time{}
	} else if before == nil {
		c.failedAt = now
	}
	c.failed = err
	since := c.failedAt
	c.mu.Unlock()
	up := 1.0
	if err != nil {
		up = 0
	}
	c.metrics.reachable.WithLabelValues(c.name).Set(up)
	switch {
	case err != nil && (before == nil || before.Error() != err.Error()):
		c.log.Warn("cluster not reachable, keeping the last known jobs", "error", err, "reason", rayapi.Plain(err))
	case err == nil && before != nil:
		c.log.Info("cluster reachable again")
	}
	var in machine.Input
	switch {
	case err != nil:
		in = machine.Unreachable{Session: session, Since: since, At: now, Says: "cluster " + c.name + ": " + rayapi.Plain(err)}
	case before != nil:
		in = machine.Answers{Session: session, At: now}
	default:
		return
	}
	if err := c.tracker.step(ctx, in); err != nil && ctx.Err() == nil {
		c.log.Warn("publishing that the cluster doesn't answer failed", "error", err)
	}
}

func (c *cluster) pace() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.now().Sub(c.changed) < machine.YoungFor {
		return c.polling.Fast
	}
	return c.polling.Slow
}

// sleep waits for d. It returns false when ctx ended first.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// lookAtJobs requests the list of jobs, and first the session if the known one may be out of date.
func (c *cluster) lookAtJobs(ctx context.Context) error {
	c.mu.Lock()
	sure := c.session != "" && c.failed == nil && c.now().Sub(c.versionAt) < c.polling.Version
	c.mu.Unlock()
	if !sure {
		if err := c.lookAtSession(ctx); err != nil {
			return err
		}
	}
	body, err := c.api.JobsBody(ctx)
	c.asked(err)
	if err != nil {
		return err
	}
	at := c.now()
	missing := c.tracker.missing(c.present())
	c.mu.Lock()
	unchanged := bytes.Equal(body, c.list) && !missing
	c.listedAt = at
	c.mu.Unlock()
	if unchanged {
		return nil
	}
	jobs, unread, err := rayapi.DecodeJobs(body)
	if err != nil {
		return err
	}
	if unread > 0 {
		c.log.Warn("unreadable jobs skipped", "count", unread)
	}
	// The head node may have been restarted since the session was read; the new list must not be taken for the old
	// session's.
	if c.tracker.lacks(c.present(), jobs) {
		if err := c.lookAtSession(ctx); err != nil {
			return err
		}
	}
	if err := c.take(ctx, jobs, at); err != nil {
		return err
	}
	c.mu.Lock()
	mark := fingerprint(jobs)
	changed := mark != c.print
	if changed {
		c.changed = at
	}
	c.list, c.print = body, mark
	c.mu.Unlock()
	if changed {
		c.poke()
	}
	return nil
}

// fingerprint hashes the fields of a list that can change, independent of the order of its jobs.
func fingerprint(jobs []rayapi.Job) (sum uint64) {
	for i := range jobs {
		h := fnv.New64a()
		_, _ = fmt.Fprint(h, jobs[i].SubmissionID, jobs[i].Status, jobs[i].JobID, jobs[i].EndMS)
		sum += h.Sum64()
	}
	return sum
}

func (c *cluster) lookAtSession(ctx context.Context) error {
	v, err := c.api.Version(ctx)
	c.asked(err)
	if err != nil {
		return err
	}
	if v.Session == "" {
		v.Session = "cluster " + c.name
	}
	c.mu.Lock()
	old, lastList := c.session, c.listedAt
	c.session, c.versionAt = v.Session, c.now()
	if old != v.Session {
		c.list, c.print, c.changed = nil, 0, c.now()
	}
	c.mu.Unlock()
	c.tracker.note(machine.Joined{Session: v.Session, Cluster: c.name, Link: c.api.Address()})
	if old == "" || old == v.Session {
		return nil
	}
	c.log.Info("cluster session changed", "before", old, "now", v.Session)
	return c.tracker.step(ctx, machine.Replaced{Session: old, By: v.Session, Last: lastList})
}

// take passes the jobs of a list to the tracker, and then the fact that the list is complete.
func (c *cluster) take(ctx context.Context, jobs []rayapi.Job, at time.Time) error {
	session := c.present()
	seen := make([]Observation, 0, len(jobs))
	listed := machine.Listed{Cluster: c.name, Session: session, At: at}
	drivers := map[string]time.Time{}
	for i := range jobs {
		if jobs[i].SubmissionID == "" {
			if Status(jobs[i].Status).Terminal() {
				drivers[jobs[i].JobID] = jobs[i].Ended()
			}
			continue
		}
		seen = append(seen, c.observation(&jobs[i], session, at))
		listed.Submissions = append(listed.Submissions, jobs[i].SubmissionID)
	}
	c.mu.Lock()
	c.drivers = drivers
	c.mu.Unlock()
	if err := c.tracker.observe(ctx, seen...); err != nil {
		return err
	}
	err := c.tracker.step(ctx, listed)
	c.tracker.count(c.name, session)
	return err
}

func (c *cluster) observation(j *rayapi.Job, session string, at time.Time) Observation {
	o := Observation{
		Cluster: c.name, Session: session, Submission: j.SubmissionID, Source: "api", Status: Status(j.Status), SubmittedAt: j.Submitted(), Run: j.Submitted(),
		JobID: j.JobID, JobName: j.Metadata["job_name"], Metadata: j.Metadata, At: at, SeenBy: true,
	}
	if j.Submitted().After(at) { // the cluster's clock is ahead of this one's
		o.At = j.Submitted()
	}
	if o.Metadata == nil {
		o.Metadata = map[string]string{}
	}
	if o.Status == Pending {
		o.At, o.SeenBy = o.SubmittedAt, false
		if _, says, ok := strings.Cut(j.Message, "It may be waiting for the runtime environment"); ok {
			o.Environment = "Ray: it may be waiting for the runtime environment" + strings.TrimSuffix(says, ".")
		}
	}
	if o.Status.Terminal() {
		o.EndedAt, o.Message, o.ErrorType, o.ExitCode = j.Ended(), j.Message, j.ErrorType, j.ExitCode
	}
	return o
}
