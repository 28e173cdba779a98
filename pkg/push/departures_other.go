//go:build !linux

package push

import "net"

// departures does nothing here: a goroutine for each client notices when it leaves.
type departures struct{}

func (*departures) watch(net.Conn, func(), func(func())) (id int32, ok bool) { return 0, false }
func (*departures) forget(int32)                                             {}
