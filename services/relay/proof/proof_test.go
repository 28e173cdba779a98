package proof

import (
	"strings"
	"testing"
	"unicode/utf8"
)

// As Ray 2.60 returned them.
const (
	awaiting = `Process 27752: /opt/ray/bin/python /home/ann/work/tasks.py --token abc
Python v3.11.7 (/usr/bin/python3.11)

Thread 27752 (idle): "MainThread"
    Worker.get_objects (ray/_private/worker.py:1007)
    get (ray/_private/worker.py:3009)
    client_mode_hook.<locals>.decorator.<locals>.wrapper (ray/_private/client_mode_hook.py:134)
    wrap_auto_init.<locals>.auto_init_wrapper (ray/_private/auto_init_hook.py:22)
    <module> (tasks.py:6)
Thread 27812 (idle): "PythonGCThread"
    Condition.wait (threading.py:327)
    Event.wait (threading.py:629)
`
	working = `Process 27552: ray::slow
Python v3.11.7 (/usr/bin/python3.11)

Thread 27552 (idle): "MainThread"
    slow (tasks.py:4)
    Worker.main_loop (ray/_private/worker.py:1069)
    <module> (ray/_private/workers/default_worker.py:323)
`
	supervised = `Failed to execute.

=== stdout ===
Process 27641: ray::JobSupervisor
Python v3.11.7 (/usr/bin/python3.11)

Thread 27641 (idle): "MainThread"
    Worker.main_loop (ray/_private/worker.py:1069)
    <module> (ray/_private/workers/default_worker.py:323)
Process 27700: python train.py --password=hunter2
Python v3.11.7 (/usr/bin/python3.11)

Thread 27700 (idle): "MainThread"
    wait (threading.py:327)
    barrier (torch/distributed/c10d_logger.py:79)
    step (/home/ann/project/deep/train.py:88)
    main (/home/ann/project/deep/train.py:12)
`
)

func TestParse(t *testing.T) {
	for _, c := range []struct {
		name, dump, where, first string
		awaits                   bool
	}{
		{"a driver in ray.get", awaiting, "tasks.py:6 get", "Worker.get_objects (_private/worker.py:1007)", true},
		{"a worker", working, "tasks.py:4 slow", "slow (tasks.py:4)", false},
		{"a child of its supervisor", supervised, "deep/train.py:88 barrier", "wait (threading.py:327)", false},
	} {
		s, ok := Parse(c.dump)
		if !ok || s.Where != c.where || s.Frames[0] != c.first || s.AwaitsIt != c.awaits {
			t.Errorf("%s: %+v, %v", c.name, s, ok)
		}
		if all := strings.Join(append(s.Frames, s.Where), " "); strings.Contains(all, "ann") || strings.Contains(all, "hunter2") || strings.Contains(all, "abc") {
			t.Errorf("%s: what is private stands in %s", c.name, all)
		}
	}
	for _, dump := range []string{"", "Failed to execute: py-spy is not installed", strings.Split(supervised, "Process 27700")[0]} {
		if s, ok := Parse(dump); ok {
			t.Errorf("%q is a stack: %+v", dump, s)
		}
	}
}

func TestOnlyTheInnermostFramesAreKept(t *testing.T) {
	dump := "Process 1: x\nThread 1 (idle): \"MainThread\"\n" + strings.Repeat("    f (a.py:1)\n", 500)
	if s, _ := Parse(dump); len(s.Frames) != maxFrames {
		t.Errorf("%d frames", len(s.Frames))
	}
}

func TestLines(t *testing.T) {
	if got := Lines("a\r\n\x1b[31mb\x00\ntoken=abcdef123\n"); got != "a\nb\ntoken=[redacted]" {
		t.Errorf("%q", got)
	}
	if got := Lines(strings.Repeat("x\n", 100)); strings.Count(got, "\n") != MaxLines-1 {
		t.Errorf("%d line ends", strings.Count(got, "\n"))
	}
	long := Lines("begin" + strings.Repeat("é", 20_000) + "end")
	if len(long) > MaxBytes || !utf8.ValidString(long) || !strings.HasPrefix(long, "…é") || !strings.HasSuffix(long, "éend") {
		t.Errorf("%d bytes: %.10s", len(long), long)
	}
	if got := Lines(""); got != "" {
		t.Errorf("%q", got)
	}
}
