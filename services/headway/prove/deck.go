package main

import (
	"context"
	"math/rand/v2"
	"time"
)

// otherFault isn't bound to a seam. It returns when what it did is over or taken away; scoped ones must hold up nobody
// but what they were aimed at.
type otherFault struct {
	name, what string
	scoped     bool
	wipes      bool
	do         func(r *run, ctx context.Context) error
}

// deck deals faults: each once, in a random order, before any comes again.
type deck struct {
	r      *run
	rng    *rand.Rand
	scoped []otherFault
	rest   []func(context.Context)
}

func newDeck(r *run) *deck {
	return &deck{r: r, rng: rand.New(rand.NewPCG(r.Seed, 3))}
}

// quiet is how long nothing fails at the beginning of a round.
const quiet = 4 * time.Second

// play makes one thing after another fail until ctx ends. What is aimed at one thing comes first: meanwhile all others
// must be judged in time.
func (d *deck) play(ctx context.Context) {
	if !pause(ctx, quiet) {
		return
	}
	d.r.recover(ctx, "nothing", "-", false)
	deadline, _ := ctx.Deadline()
	calm, end := context.WithDeadline(ctx, time.Now().Add(time.Until(deadline)/3))
	defer end()
	for calm.Err() == nil {
		f, ok := d.dealScoped()
		if !ok {
			break
		}
		d.r.suffer(ctx, f)
		pause(calm, d.r.jitter(100, 500))
	}
	if err := d.r.snapshot(ctx); err != nil && ctx.Err() == nil {
		d.r.violate("harness", "no snapshot of Redis: %v", err)
	}
	for n := 0; ctx.Err() == nil; n++ {
		do := d.deal()
		if do == nil { // no fault is asked for
			pause(ctx, time.Second)
			continue
		}
		if n%8 == 7 {
			_ = d.r.snapshot(ctx)
		}
		do(ctx)
		pause(ctx, d.r.jitter(100, 800))
	}
}

func (d *deck) dealScoped() (f otherFault, ok bool) {
	if len(d.scoped) == 0 {
		for _, f := range otherFaults() {
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

func (d *deck) deal() func(context.Context) {
	if len(d.rest) == 0 {
		for _, f := range seamFaults() {
			for _, s := range seams() {
				if d.r.chosen(f.name) && d.r.chosenSeam(s) {
					d.rest = append(d.rest, func(ctx context.Context) { d.r.strike(ctx, f, s) })
				}
			}
		}
		for _, f := range otherFaults() {
			if d.r.chosen(f.name) {
				d.rest = append(d.rest, func(ctx context.Context) { d.r.suffer(ctx, f) })
			}
		}
		d.rng.Shuffle(len(d.rest), func(i, j int) { d.rest[i], d.rest[j] = d.rest[j], d.rest[i] })
	}
	if len(d.rest) == 0 {
		return nil
	}
	do := d.rest[0]
	d.rest = d.rest[1:]
	return do
}

// suffer lets one of the other faults happen.
func (r *run) suffer(ctx context.Context, f otherFault) {
	r.say("fault %s", f.name)
	closeWindow := r.open(window{fault: f.name, none: f.scoped})
	r.mu.Lock()
	r.reached[[2]string{f.name, ""}]++
	r.faults++
	r.mu.Unlock()
	if err := f.do(r, context.WithoutCancel(ctx)); err != nil {
		r.violate(f.check(), "%s: %v", f.name, err)
	}
	r.recover(ctx, f.name, "-", f.wipes)
	closeWindow()
}

// check is what is violated when a fault says that something went wrong.
func (f otherFault) check() string {
	if f.scoped {
		return "containment"
	}
	return "recovery"
}

// chosenSeam says whether faults may strike at a seam: --seam names some.
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
