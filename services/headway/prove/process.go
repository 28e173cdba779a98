package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"time"
)

// process is a child that can be killed, paused, and started again with the same arguments.
type process struct {
	name string
	args []string
	log  string

	mu       sync.Mutex
	env      []string
	cmd      *exec.Cmd
	done     chan struct{}
	paused   bool
	since    time.Time // when it was last started, killed, paused or resumed
	unwanted error     // set if it ended by itself
	wanted   bool      // it was stopped on purpose
}

func (p *process) start() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.running() {
		return nil
	}
	out, err := os.OpenFile(p.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer out.Close()
	cmd := exec.Command(p.args[0], p.args[1:]...)
	cmd.Stdout, cmd.Stderr = out, out
	cmd.Env = append(os.Environ(), p.env...)
	cmd.SysProcAttr = attributes()
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start %s: %w", p.name, err)
	}
	p.cmd, p.done, p.paused, p.wanted, p.since = cmd, make(chan struct{}), false, false, time.Now()
	go func(done chan struct{}) {
		err := cmd.Wait()
		p.mu.Lock()
		if !p.wanted && p.unwanted == nil {
			p.unwanted = fmt.Errorf("%s ended by itself: %w", p.name, errOr(err))
		}
		p.mu.Unlock()
		close(done)
	}(p.done)
	return nil
}

func (p *process) running() bool {
	if p.done == nil {
		return false
	}
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

// kill sends SIGKILL and waits for the end.
func (p *process) kill() {
	p.mu.Lock()
	p.wanted, p.since = true, time.Now()
	cmd, done := p.cmd, p.done
	p.mu.Unlock()
	if cmd == nil {
		return
	}
	_ = cmd.Process.Kill()
	<-done
}

// pause suspends it without closing anything; resume continues it.
func (p *process) pause() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.running() {
		_ = stopSignal(p.cmd.Process)
		p.paused, p.since = true, time.Now()
	}
}

func (p *process) resume() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.paused && p.running() {
		_ = continueSignal(p.cmd.Process)
	}
	p.paused, p.since = false, time.Now()
}

// up reports whether it has been running, not paused, since a given time.
func (p *process) up(since time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.running() && !p.paused && p.since.Before(since)
}

// down returns since when it has been dead or paused, or zero if it isn't.
func (p *process) down() time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.running() && !p.paused {
		return time.Time{}
	}
	return p.since
}

func (p *process) setEnv(env ...string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.env = env
}

func newProcess(dir, name string, args ...string) *process {
	return &process{name: name, args: args, log: filepath.Join(dir, name+".log")}
}
