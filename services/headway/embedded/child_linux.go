package embedded

import "syscall"

// childAttributes: a group of its own, and gone with us however we end.
func childAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
}
