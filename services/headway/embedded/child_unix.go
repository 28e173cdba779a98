//go:build unix && !linux

package embedded

import (
	"os"
	"syscall"
)

// childAttributes: a group of its own, so that Ctrl-C reaches us first.
func childAttributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

func terminate(p *os.Process) error { return p.Signal(syscall.SIGTERM) }
