package main

import (
	"context"
	"math/rand/v2"
	"slices"
	"sync"
	"time"
)

// otherFault isn't bound to a seam. It returns when its effect is over or removed. A scoped fault must affect only its
// target.
type otherFault struct {
	name, what string
	scoped     bool
	wipes      bool
	do         func(r *scene, ctx context.Context) error
}

// deck deals faults in random order: each one once before any comes again.
type deck struct {
	r       *run
	rng     *rand.Rand
	rest    []card
	another bool // the log is deleted at the beginning of the next round

	mu     sync.Mutex
	scoped []otherFault
}

// card is one fault to inject: one at a seam, or another one.
type card struct {
	fault seamFault
	seam  seam
	other *otherFault
	tries int // how often its seam didn't occur
}

func newDeck(r *run) *deck {
	return &deck{r: r, rng: rand.New(rand.NewPCG(r.Seed, 3))}
}

// quiet is the time without faults at the beginning of a round.
const quiet = 4 * time.Second

// play injects one fault after another until ctx ends. Scoped faults come first: meanwhile everything else must be
// announced in time.
func (d *deck) play(ctx context.Context) {
	if !pause(ctx, quiet) {
		return
	}
	d.r.recover(ctx, "nothing", "-", false)
	if d.another || d.r.Fresh && d.r.rounds > 1 {
		d.another = false
		d.r.suffer(ctx, otherFault{logRecreatedName, "", false, true, logRecreated})
	}
	d.playScoped(ctx)
	if err := d.r.redis.snapshot(ctx); err != nil && ctx.Err() == nil {
		d.r.violate("harness", "no snapshot of Redis: %v", err)
	}
	for n := 0; ctx.Err() == nil; n++ {
		hand := d.deal()
		if hand == nil { // no fault was selected
			pause(ctx, time.Second)
			continue
		}
		if n%8 == 7 {
			_ = d.r.redis.snapshot(ctx)
		}
		switch o := hand[0].other; {
		case o == nil:
			d.again(d.r.volley(ctx, hand))
		case o.name == logRecreatedName && (d.r.Fresh || len(d.rest) > 0):
			d.another = true // all events of the log to be deleted were compared by then
		default:
			d.r.suffer(ctx, *o)
		}
		pause(ctx, d.r.jitter(100, 800))
	}
}

// playScoped injects scoped faults concurrently, for a third of the time.
func (d *deck) playScoped(ctx context.Context) {
	deadline, _ := ctx.Deadline()
	calm, end := context.WithDeadline(ctx, time.Now().Add(time.Until(deadline)/3))
	defer end()
	var lanes sync.WaitGroup
	for range d.r.Beside {
		lanes.Go(func() {
			for calm.Err() == nil {
				f, ok := d.dealScoped()
				if !ok {
					return
				}
				d.r.suffer(ctx, f)
				pause(calm, d.r.jitter(100, 500))
			}
		})
	}
	lanes.Wait()
}

func (d *deck) dealScoped() (f otherFault, ok bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.scoped) == 0 {
		for _, f := range d.r.otherFaults() {
			if f.scoped && d.r.chosen(f.name) {
				d.scoped = append(d.scoped, f)
			}
		}
		d.rng.Shuffle(len(d.scoped), func(i, j int) { d.scoped[i], d.scoped[j] = d.scoped[j], d.scoped[i] })
	}
	if len(d.scoped) == 0 {
		return f, false
	}
	f, d.scoped = d.scoped[0], d.scoped[1:]
	return f, true
}

// deal returns the next faults: one of the other faults, or one or more at seams that are injected concurrently.
func (d *deck) deal() (hand []card) {
	if len(d.rest) == 0 {
		d.fill()
	}
	if len(d.rest) == 0 {
		return nil
	}
	hand, d.rest = append(hand, d.rest[0]), d.rest[1:]
	size := 1
	if hand[0].other == nil {
		size += d.rng.IntN(max(1, d.r.AtOnce))
	}
	for i := 0; i < len(d.rest) && len(hand) < size; i++ {
		if c := d.rest[i]; c.fits(hand) {
			hand, d.rest = append(hand, c), slices.Delete(d.rest, i, i+1)
			i--
		}
	}
	return hand
}

func (d *deck) fill() {
	for _, f := range d.r.seamFaults() {
		for _, s := range seams() {
			if d.r.chosen(f.name) && d.r.chosenSeam(s) {
				d.rest = append(d.rest, card{fault: f, seam: s})
			}
		}
	}
	for _, f := range d.r.otherFaults() {
		if d.r.chosen(f.name) && (f.name != clockName || d.r.Clocks) {
			d.rest = append(d.rest, card{other: &f})
		}
	}
	d.rng.Shuffle(len(d.rest), func(i, j int) { d.rest[i], d.rest[j] = d.rest[j], d.rest[i] })
}

// fits reports whether a fault can be combined with others: it must concern another kind of program and another
// server.
func (c card) fits(hand []card) bool {
	return c.other == nil && !slices.ContainsFunc(hand, func(o card) bool {
		return o.seam.kind == c.seam.kind || c.fault.server != "" && o.fault.server == c.fault.server
	})
}

const maxTries = 3

// again puts back faults whose seams didn't occur.
func (d *deck) again(missed []card) {
	for _, c := range missed {
		if c.tries++; c.tries < maxTries {
			d.rest = append(d.rest, c)
		}
	}
}

// suffer injects one of the other faults.
func (r *run) suffer(ctx context.Context, f otherFault) {
	r.say("fault %s", f.name)
	closeWindow := r.open(window{fault: f.name, none: f.scoped})
	r.struck([2]string{f.name, ""})
	if f.wipes {
		r.mu.Lock()
		r.lost = time.Now()
		r.mu.Unlock()
	}
	at := &scene{run: r}
	if err := f.do(at, context.WithoutCancel(ctx)); err != nil {
		r.violate(f.check(), "%s: %v", f.name, err)
	}
	if f.scoped {
		at.leave()
	} else {
		r.recover(ctx, f.name, "-", f.wipes)
	}
	closeWindow()
	if !f.scoped {
		r.harness("after "+f.name, r.redis.mend(context.WithoutCancel(ctx)))
	}
}

// struck counts a fault by its name and seam.
func (r *run) struck(cell [2]string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.reached[cell]++
	r.faults++
}

// check is the name of the check that is violated when a fault reports an error.
func (f otherFault) check() string {
	if f.scoped {
		return "containment"
	}
	return "recovery"
}

// chosenSeam reports whether faults may be injected at a seam; --seam selects some.
func (o options) chosenSeam(s seam) bool {
	if len(o.Seam) == 0 {
		return true
	}
	for _, name := range o.Seam {
		if name == s.kind || name == s.kind+"."+s.name {
			return true
		}
	}
	return false
}
