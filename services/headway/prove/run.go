package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"
)

// run is one run of the proving ground.
type run struct {
	options
	*cluster
	dir     string
	bug     string
	began   time.Time
	rng     *rand.Rand // used by the fault loop alone
	journal *journal
	sender  *sender
	ledger  *ledger
	clients *clients
	deck    *deck
	pulsed  atomic.Int64
	epoch   atomic.Int64 // number of times the log was recreated

	mu         sync.Mutex
	plans      []*plan                      // those of this round that have begun
	batches    int                          // begun so far
	taken      map[int]bool                 // partitions that are the target of a fault
	seen       map[key]map[string]time.Time // since when each api has served it
	lost       time.Time                    // when Redis last lost data
	denied     map[key]bool                 // answered with 404 although it exists
	wrongClock map[*program]bool
	impaired   map[string]time.Time // what is missing, and since when
	windows    []window
	announced  []time.Duration // delay of announcements that no fault affected
	recoveries []recovery
	reached    map[[2]string]int // how often each fault was injected at each seam
	unreached  map[[2]string]int
	faults     int
	rounds     int
	rawRead    time.Duration        // the last raw read of the whole log
	heard      map[string]time.Time // by namespace and id: when a consumer first received the announcement
	healthFrom uint64               // earlier announcements were gone from the log when their stream was deleted
	deadFrom   uint64               // dead letters of earlier events may be gone, because the stream was deleted
	violations []violation
	counts     map[string]int
	ended      chan struct{} // closed at the first violation, with --first
	endOnce    sync.Once
}

// window is a time during which a fault, or its after-effects, may have delayed something.
type window struct {
	fault    string
	from, to time.Time    // to is zero while the window is open
	parts    map[int]bool // nil: all partitions
	none     bool         // affects only its target
}

type recovery struct {
	fault, seam string
	wipes       bool
	took        time.Duration
	raw         time.Duration // duration of a raw read of the log at about that time
}

type violation struct {
	check, says string
	after       time.Duration
}

func newRun(ctx context.Context, o options, b *built, bug string) (*run, error) {
	dir := filepath.Join(b.dir, "run"+bug)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	var env []string
	if bug != "" {
		env = append(env, "HEADWAY_SEEDED_BUG="+bug)
	}
	fmt.Printf("seed %d, logs in %s\n", o.Seed, dir)
	c, err := startCluster(ctx, b, o.Redis, dir, env...)
	if err != nil {
		return nil, err
	}
	r := &run{
		options: o, cluster: c, dir: dir, bug: bug, began: time.Now(), rng: rand.New(rand.NewPCG(o.Seed, 2)),
		journal: newJournal(), taken: map[int]bool{}, seen: map[key]map[string]time.Time{}, denied: map[key]bool{}, wrongClock: map[*program]bool{}, impaired: map[string]time.Time{}, reached: map[[2]string]int{},
		unreached: map[[2]string]int{}, counts: map[string]int{}, ended: make(chan struct{}),
	}
	r.sender, r.ledger, r.clients, r.deck = newSender(r), newLedger(r), newClients(r), newDeck(r)
	if err := within(ctx, 90*time.Second, "programs ready", func() error { return c.allReady(ctx) }); err != nil {
		r.stop()
		return nil, err
	}
	if o.Window > 0 {
		go r.ledger.follow(ctx)
	}
	return r, nil
}

func (r *run) stop() { r.cluster.stop() }

func (r *run) failed() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, v := range r.violations {
		if !r.ignored(v.check) {
			return true
		}
	}
	return false
}

func (r *run) ignored(check string) bool {
	for _, i := range r.Ignore {
		if i == check {
			return true
		}
	}
	return false
}

// maxTold is how many violations of one check are printed.
const maxTold = 8

// violate records that a promise was broken.
func (r *run) violate(check, format string, args ...any) {
	v := violation{check, fmt.Sprintf(format, args...), time.Since(r.began)}
	if len(v.says) > 800 {
		v.says = v.says[:800] + "…"
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	select {
	case <-r.ended:
		return // what follows is a consequence of the shutdown
	default:
	}
	r.violations = append(r.violations, v)
	if r.counts[check]++; r.counts[check] <= maxTold {
		fmt.Printf("%6.1fs VIOLATION %s: %s\n", v.after.Seconds(), check, v.says)
	}
	if r.First && !r.ignored(check) {
		r.endOnce.Do(func() { close(r.ended) })
	}
}

func (r *run) say(format string, args ...any) {
	fmt.Printf("%6.1fs %s\n", time.Since(r.began).Seconds(), fmt.Sprintf(format, args...))
}

// maxRound bounds the duration of a round, so that errors are found while its logs are short.
const maxRound = 3 * time.Minute

// work runs rounds until the time is over.
func (r *run) work(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		select {
		case <-r.ended:
			cancel()
		case <-ctx.Done():
		}
	}()
	go r.watchReadiness(ctx)
	go r.listen(ctx)
	round := r.Round
	if round == 0 {
		round = min(maxRound, max(r.Time/2, 20*time.Second))
	}
	for end := time.Now().Add(r.Time); ctx.Err() == nil && time.Until(end) > 5*time.Second; {
		r.rounds++
		r.round(ctx, min(round, time.Until(end)))
	}
}

// round runs the load with faults, and then rest and comparison.
func (r *run) round(ctx context.Context, load time.Duration) {
	r.say("round %d: load and faults for %v", r.rounds, load.Round(time.Second))
	r.mu.Lock()
	r.plans, r.windows = nil, nil
	r.mu.Unlock()
	watching, unwatch := context.WithCancel(ctx)
	defer unwatch()
	loading, end := context.WithTimeout(ctx, load)
	defer end()
	var beside sync.WaitGroup
	beside.Go(func() { r.beginBatches(loading, watching) })
	beside.Go(func() { r.sender.refusedPosts(loading, rand.New(rand.NewPCG(r.Seed, uint64(1000+r.rounds)))) })
	beside.Go(func() { r.trespass(loading, rand.New(rand.NewPCG(r.Seed, uint64(2000+r.rounds)))) })
	for i, api := range r.of("api") {
		for k := range 3 {
			beside.Go(func() { r.poll(loading, api, rand.New(rand.NewPCG(r.Seed, uint64(r.rounds*100+i*10+k)))) })
		}
	}
	r.deck.play(loading)
	<-loading.Done()
	beside.Wait()
	resting := time.Now()
	r.rest(ctx)
	unwatch()
	r.clients.wait()
	r.journal.forget()
	r.mu.Lock()
	defer r.mu.Unlock()
	fmt.Printf("%6.1fs so far %d faults, %d events, %d batches, %d broken promises; this round's rest took %.0f s\n", time.Since(r.began).Seconds(),
		r.faults, r.journal.count(), r.batches, len(r.violations), time.Since(resting).Seconds())
}

// beginBatches begins batches at the configured rate, and has some of them watched.
func (r *run) beginBatches(loading, watching context.Context) {
	rng := rand.New(rand.NewPCG(r.Seed, uint64(10+r.rounds)))
	gap := time.Duration(float64(time.Second) / r.Rate)
	for loading.Err() == nil {
		r.mu.Lock()
		r.batches++
		n := r.batches
		r.mu.Unlock()
		p := newPlan(rng, n, r.Dense, time.Now())
		r.mu.Lock()
		r.plans = append(r.plans, p)
		r.mu.Unlock()
		r.sender.play(watching, p)
		if n%watchEvery == 0 {
			r.clients.follow(watching, p, uint64(n))
		}
		pause(loading, gap/2+time.Duration(rng.Int64N(int64(gap))))
	}
}

// watchEvery is the number of batches per client of an event stream.
const watchEvery = 3

// begun returns a random batch of this round, or nil if there is none yet.
func (r *run) begun(rng *rand.Rand) *plan {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.plans) == 0 {
		return nil
	}
	return r.plans[rng.IntN(len(r.plans))]
}

func (r *run) skewed(p *program) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.wrongClock[p]
}

// open records the start of a fault. The returned function ends the window.
func (r *run) open(w window) (closeIt func()) {
	w.from = time.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.windows = append(r.windows, w)
	i := len(r.windows) - 1
	return func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		if i < len(r.windows) {
			r.windows[i].to = time.Now()
		}
	}
}

// deadline returns the time by which something that fell due in a partition must be announced: after 5 s without a
// fault, else 10 s after recovery from the last fault that affected it.
func (r *run) deadline(due time.Time, partition int) (by time.Time, touched bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	by = due.Add(r.within(judged))
	for _, w := range r.windows { // in the order of their start
		if w.none || w.parts != nil && !w.parts[partition] || w.from.After(by) {
			continue
		}
		to := w.to
		if to.IsZero() {
			to = time.Now()
		}
		if to.Before(due.Add(-2 * time.Second)) {
			continue
		}
		if until := to.Add(r.within(announced)); until.After(by) {
			by, touched = until, true
		}
	}
	return by, touched
}

// Time limits that the product promises.
const (
	judged    = 5 * time.Second
	announced = 10 * time.Second
	recovered = 10 * time.Second
)

// within is a time limit plus the configured slack.
func (o options) within(limit time.Duration) time.Duration {
	return time.Duration(float64(limit) * o.Slack)
}
