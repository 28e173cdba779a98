//go:build unix && !linux

package embedded

import (
	"os"
	"os/exec"
	"syscall"
)

// childAttributes gives the child a process group of its own, so that Ctrl-C reaches this process first.
func childAttributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

func terminate(p *os.Process) error { return p.Signal(syscall.SIGTERM) }

// giveLock does nothing, since a child doesn't end with this process here.
func giveLock(*exec.Cmd, string) (given func(), err error) { return func() {}, nil }
