//go:build unix && !linux

package e2e

import "syscall"

// endsWithUs does nothing here, because only Linux can end a child with its parent.
func endsWithUs() *syscall.SysProcAttr { return nil }

func groupThatEndsWithUs() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
