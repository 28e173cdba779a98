//go:build !linux

package main

import (
	"errors"
	"syscall"
	"time"
)

func supported() error {
	return errors.New("the benchmarks read processor times from /proc, so they run on Linux only")
}

func endsWithUs() *syscall.SysProcAttr { return nil }

func selfCPU() time.Duration { return 0 }

func processCPU(int) time.Duration { return 0 }

func processMemory(int) int { return 0 }

func processPeak(int) int { return 0 }
