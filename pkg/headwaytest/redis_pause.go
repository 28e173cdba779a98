//go:build unix

package headwaytest

import "syscall"

// Pause suspends a child without closing anything: connections stay open but get no answers.
func (r *RedisServer) Pause() { r.signal(syscall.SIGSTOP) }

// Resume continues a paused child.
func (r *RedisServer) Resume() { r.signal(syscall.SIGCONT) }

func (r *RedisServer) signal(s syscall.Signal) {
	r.t.Helper()
	r.needChild()
	if r.cmd == nil {
		r.t.Fatal("redis-server is down")
	}
	if err := r.cmd.Process.Signal(s); err != nil {
		r.t.Fatal(err)
	}
}
