package embedded

import (
	"os"
	"syscall"
)

// childAttributes gives the child a process group of its own, and makes the kernel end it when this process ends.
func childAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
}

func terminate(p *os.Process) error { return p.Signal(syscall.SIGTERM) }
