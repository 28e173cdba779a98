package main

import (
	"context"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
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
			r.harness("wipe", r.redis.each(ctx, func(c *redis.Client) error { return c.FlushAll(ctx).Err() }))
			return true
		}, stay},
		{"empty", "Redis is killed, and started again with nothing", true, "redis", func(r *run, ctx context.Context, _ *program, l *link) bool {
			r.harness("empty", r.redis.restart(ctx, r.at(l), false))
			return true
		}, stay},
		{"rollback", "Redis is killed, and started again with what it held a while ago", true, "redis", func(r *run, ctx context.Context, _ *program, l *link) bool {
			r.harness("rollback", r.redis.restart(ctx, r.at(l), true))
			return true
		}, stay},
		hangs("redishang", "a primary of Redis", "redis", func(r *run, ctx context.Context, l *link) (*process, error) {
			s, err := r.at(l).primary(ctx)
			if err != nil {
				return nil, err
			}
			return s.process, nil
		}, func(r *run) []*process { return r.redis.processes() }),
		{"failover", "a primary of Redis is killed, and another takes its place", false, "redis", func(r *run, ctx context.Context, _ *program, l *link) bool {
			s, err := r.at(l).primary(ctx)
			if err == nil {
				s.kill()
			}
			r.harness("failover", err)
			return true
		}, stay},
		{"behind", "the same while its replicas lack what it acknowledged last", true, "redis", func(r *run, ctx context.Context, _ *program, l *link) bool {
			r.harness("behind", r.at(l).part(ctx, "wrong"))
			return true
		}, func(r *run, ctx context.Context, _ *program, l *link) error {
			pause(ctx, r.jitter(200, 1500))
			sh := r.at(l)
			s, err := sh.primary(ctx)
			if err != nil {
				return err
			}
			s.kill()
			return sh.part(ctx, "")
		}},
		{"natskill", "NATS is killed (SIGKILL), and started again", false, "nats", func(r *run, _ context.Context, _ *program, _ *link) bool {
			r.nats.kill()
			return true
		}, func(r *run, ctx context.Context, _ *program, _ *link) error {
			r.hang(ctx)
			return r.nats.start()
		}},
		hangs("natshang", "NATS", "nats", func(r *run, _ context.Context, _ *link) (*process, error) { return r.nats, nil },
			func(r *run) []*process { return []*process{r.nats} }),
	}
}

// needs says what a fault needs of Redis; "" if it can happen to any.
func (f seamFault) needs() string {
	if f.name == "failover" || f.name == "behind" {
		return replicas
	}
	return ""
}

// hangs makes a server stop answering for a while without losing data. all are the processes of which it is one.
func hangs(name, title, server string, which func(*run, context.Context, *link) (*process, error), all func(*run) []*process) seamFault {
	return seamFault{name, title + " stops (SIGSTOP), and goes on later", false, server, func(r *run, ctx context.Context, _ *program, l *link) bool {
		p, err := which(r, ctx, l)
		if err == nil {
			p.pause()
		}
		r.harness(name, err)
		return true
	}, func(r *run, ctx context.Context, _ *program, _ *link) error {
		r.hang(ctx)
		for _, p := range all(r) {
			p.resume()
		}
		return nil
	}}
}

// harness reports an error of the proving ground itself.
func (r *run) harness(what string, err error) {
	if err != nil {
		r.violate("harness", "%s: %v", what, err)
	}
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
	r.harness("after "+strings.Join(faults, "+"), r.redis.mend(context.WithoutCancel(ctx)))
	return missed
}

// strike injects a fault at a seam of one program and removes it. It returns a function to call once everything works
// again, or nil if the seam didn't occur.
func (r *run) strike(ctx context.Context, c card) (end func()) {
	f, s := c.fault, c.seam
	all := r.of(s.kind)
	p := all[int(r.jitter(0, len(all)-1).Milliseconds())]
	ls := s.links(p)
	cell := [2]string{f.name, s.kind + "." + s.name}
	var l *link // where the message passed
	hit := make(chan func(), 1)
	ls.trap.Store(&trap{up: s.up, match: s.match, spring: func(at *link) bool {
		l = at
		if f.wipes {
			r.mu.Lock()
			r.lost = time.Now()
			r.mu.Unlock()
		}
		end := r.open(window{fault: f.name + " at " + cell[1]})
		pass := f.spring(r, context.WithoutCancel(ctx), p, l)
		hit <- end
		return pass
	}})
	limit := time.NewTimer(springWithin)
	defer limit.Stop()
	select {
	case end = <-hit:
	case <-limit.C:
		if ls.trap.Swap(nil) != nil {
			r.mu.Lock()
			r.unreached[cell]++
			r.mu.Unlock()
			return nil
		}
		end = <-hit // it was triggered at the last moment
	case <-ctx.Done():
		if ls.trap.Swap(nil) != nil {
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
