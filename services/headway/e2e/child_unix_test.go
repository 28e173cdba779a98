//go:build unix && !linux

package e2e

import "syscall"

// endsWithUs is nothing here: only Linux can tie a child's life to its parent's.
func endsWithUs() *syscall.SysProcAttr { return nil }

func groupThatEndsWithUs() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
