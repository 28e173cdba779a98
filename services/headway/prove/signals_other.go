//go:build !linux

package main

import (
	"errors"
	"os"
	"syscall"
)

var errLinux = errors.New("only on Linux")

func attributes() *syscall.SysProcAttr { return nil }

func stopSignal(*os.Process) error     { return errLinux }
func continueSignal(*os.Process) error { return errLinux }
func reloadSignal(*os.Process) error   { return errLinux }
