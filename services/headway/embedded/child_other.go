//go:build !unix

package embedded

import (
	"os"
	"os/exec"
	"syscall"
)

func childAttributes() *syscall.SysProcAttr { return nil }

// terminate kills the process, since this system has no signal that asks a process to end.
func terminate(p *os.Process) error { return p.Kill() }

// giveLock does nothing, since a child doesn't end with this process here.
func giveLock(*exec.Cmd, string) (given func(), err error) { return func() {}, nil }
