package main

import (
	"context"
	"strings"
	"sync"
	"time"
)

// seamFault can be injected at any seam. spring runs while the message that marks the seam is held, and returns
// whether the message is passed on. heal removes the fault, and returns when it is gone.
type seamFault struct {
	name, what string
	wipes      bool   // the data of Redis is lost, at least in part
	server     string // the server that is affected, if any
	spring     func(r *run, ctx context.Context, p *program, l *link) (pass bool)
	heal       func(r *run, ctx context.Context, p *program, l *link) error
}

func stay(*run, context.Context, *program, *link) error { return nil }

// seamFaults returns the faults of the programs and of the servers behind them.
func seamFaults() []seamFault {
	return []seamFault{
		{"kill", "the program is killed (SIGKILL), and started again", false, "", func(_ *run, _ context.Context, p *program, _ *link) bool {
			p.kill()
			return false
		}, func(r *run, ctx context.Context, p *program, _ *link) error {
			pause(ctx, r.jitter(0, 1500))
			return p.start()
		}},
		{"pause", "the program and its message are stopped (SIGSTOP), and go on later, perhaps as a zombie", false, "",
			func(r *run, ctx context.Context, p *program, _ *link) bool {
				p.pause()
				r.hang(ctx)
				p.resume()
				return true
			}, stay},
		{"cut", "the connection is closed, and none is made for a while", false, "",
			func(*run, context.Context, *program, *link) bool { return false },
			func(r *run, ctx context.Context, _ *program, l *link) error {
				l.cut()
				r.hang(ctx)
				return l.mend()
			}},
		{"wipe", "Redis is emptied (FLUSHALL)", true, "redis", func(r *run, ctx context.Context, _ *program, _ *link) bool {
			_ = r.rdb.FlushAll(ctx).Err()
			return true
		}, stay},
		{"empty", "Redis is killed, and started again with nothing", true, "redis", func(r *run, ctx context.Context, _ *program, _ *link) bool {
			_ = r.restartRedis(ctx, false)
			return true
		}, stay},
		{"rollback", "Redis is killed, and started again with what it held a while ago", true, "redis", func(r *run, ctx context.Context, _ *program, _ *link) bool {
			_ = r.restartRedis(ctx, true)
			return true
		}, stay},
		hangs("redishang", "Redis", "redis", func(r *run) *process { return r.redis }),
		{"natskill", "NATS is killed (SIGKILL), and started again", false, "nats", func(r *run, _ context.Context, _ *program, _ *link) bool {
			r.nats.kill()
			return true
		}, func(r *run, ctx context.Context, _ *program, _ *link) error {
			r.hang(ctx)
			return r.nats.start()
		}},
		hangs("natshang", "NATS", "nats", func(r *run) *process { return r.nats }),
	}
}

// hangs makes a server stop answering for a while without losing data.
func hangs(name, title, server string, of func(*run) *process) seamFault {
	return seamFault{name, title + " stops (SIGSTOP), and goes on later", false, server, func(r *run, _ context.Context, _ *program, _ *link) bool {
		of(r).pause()
		return true
	}, func(r *run, ctx context.Context, _ *program, _ *link) error {
		r.hang(ctx)
		of(r).resume()
		return nil
	}}
}

// jitter returns a random duration between two numbers of milliseconds.
func (r *run) jitter(low, high int) time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	return time.Duration(low+r.rng.IntN(high-low+1)) * time.Millisecond
}

// hang waits while a fault lasts: usually briefly, sometimes longer than any lease.
func (r *run) hang(ctx context.Context) {
	d := r.jitter(200, 2500)
	if r.jitter(0, 999) < time.Duration(r.Long*1000)*time.Millisecond {
		d = r.jitter(11000, 12500)
	}
	pause(ctx, d)
}

// springWithin bounds the wait for a seam.
const springWithin = 5 * time.Second

// volley injects faults concurrently, removes them and measures the time until everything works again. It returns the
// faults whose seams didn't occur.
func (r *run) volley(ctx context.Context, hand []card) (missed []card) {
	hits := make([]func(), len(hand))
	var all sync.WaitGroup
	for i, c := range hand {
		all.Go(func() { hits[i] = r.strike(ctx, c) })
	}
	all.Wait()
	var faults, at []string
	wipes := false
	for i, c := range hand {
		if hits[i] == nil {
			missed = append(missed, c)
			continue
		}
		faults, at = append(faults, c.fault.name), append(at, c.seam.kind+"."+c.seam.name)
		wipes = wipes || c.fault.wipes
	}
	if len(faults) > 0 {
		r.recover(ctx, strings.Join(faults, "+"), strings.Join(at, "+"), wipes)
	}
	for _, end := range hits {
		if end != nil {
			end()
		}
	}
	return missed
}

// strike injects a fault at a seam of one program and removes it. It returns a function to call once everything works
// again, or nil if the seam didn't occur.
func (r *run) strike(ctx context.Context, c card) (end func()) {
	f, s := c.fault, c.seam
	all := r.of(s.kind)
	p := all[int(r.jitter(0, len(all)-1).Milliseconds())]
	l := s.link(p)
	cell := [2]string{f.name, s.kind + "." + s.name}
	hit := make(chan func(), 1)
	l.trap.Store(&trap{up: s.up, match: s.match, spring: func() bool {
		end := r.open(window{fault: f.name + " at " + cell[1]})
		pass := f.spring(r, ctx, p, l)
		hit <- end
		return pass
	}})
	limit := time.NewTimer(springWithin)
	defer limit.Stop()
	select {
	case end = <-hit:
	case <-limit.C:
		if l.trap.Swap(nil) != nil {
			r.mu.Lock()
			r.unreached[cell]++
			r.mu.Unlock()
			return nil
		}
		end = <-hit // it was triggered at the last moment
	case <-ctx.Done():
		if l.trap.Swap(nil) != nil {
			return nil
		}
		end = <-hit
	}
	r.say("fault %s at %s of %s", f.name, s.name, p.name)
	r.struck(cell)
	if err := f.heal(r, context.WithoutCancel(ctx), p, l); err != nil {
		r.violate("harness", "%s couldn't be taken away: %v", f.name, err)
	}
	return end
}
