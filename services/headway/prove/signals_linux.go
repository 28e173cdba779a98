package main

import (
	"os"
	"syscall"
)

// attributes make a child end with this process.
func attributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }

func stopSignal(p *os.Process) error     { return p.Signal(syscall.SIGSTOP) }
func continueSignal(p *os.Process) error { return p.Signal(syscall.SIGCONT) }
func reloadSignal(p *os.Process) error   { return p.Signal(syscall.SIGHUP) }
