package embedded

import (
	"os"
	"os/exec"
	"syscall"
)

// childAttributes gives the child a process group of its own, and makes the kernel end it when this process ends.
func childAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
}

func terminate(p *os.Process) error { return p.Signal(syscall.SIGTERM) }

// giveLock lets the child, once it is started, hold the lock of a file until it ends. It may outlive this process while it saves its data.
func giveLock(cmd *exec.Cmd, path string) (given func(), err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	given = func() { _ = f.Close() }
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		given()
		return nil, &os.PathError{Op: "lock", Path: path, Err: err}
	}
	cmd.ExtraFiles = append(cmd.ExtraFiles, f)
	return given, nil
}
