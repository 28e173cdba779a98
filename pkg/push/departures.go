package push

import "net"

// maxSent is how much a client may send on its stream, such as the body of its request or another request. If it sends more, its
// departure is noticed by the next write.
const maxSent = 64 << 10

// drain returns true when the client has left. It takes a goroutine with its stack.
func drain(conn net.Conn) (left bool) {
	b := make([]byte, 64)
	for n := 0; n < maxSent; {
		m, err := conn.Read(b)
		if err != nil {
			return true
		}
		n += m
	}
	return false
}
