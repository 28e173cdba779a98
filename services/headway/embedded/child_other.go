//go:build !unix

package embedded

import (
	"os"
	"syscall"
)

func childAttributes() *syscall.SysProcAttr { return nil }

// terminate: there is no signal that asks for an end.
func terminate(p *os.Process) error { return p.Kill() }
