//go:build unix && !linux

package embedded

import (
	"os"
	"syscall"
)

// childAttributes gives the child a process group of its own, so that Ctrl-C reaches this process first.
func childAttributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

func terminate(p *os.Process) error { return p.Signal(syscall.SIGTERM) }
