//go:build !linux

package push

import "net"

// direct does nothing here: each stream writes by itself.
type direct struct{}

func (*direct) prepare(net.Conn)          {}
func (*direct) write([]byte) (int, error) { return 0, nil }
func (*direct) possible() bool            { return false }
