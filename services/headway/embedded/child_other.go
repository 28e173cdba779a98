//go:build !unix

package embedded

import (
	"os"
	"syscall"
)

func childAttributes() *syscall.SysProcAttr { return nil }

// terminate kills the process, since this system has no signal that asks a process to end.
func terminate(p *os.Process) error { return p.Kill() }
