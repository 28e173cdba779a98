// Command r3labs serves one stream with r3labs/sse, as the benchmark's other servers do: it prints its address, and publishes an
// update for each byte of its input.
package main

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"

	"github.com/r3labs/sse/v2"
)

func main() {
	size, err := strconv.Atoi(os.Args[1])
	if err != nil {
		panic(err)
	}
	pad := strings.Repeat("x", size)
	server := sse.New()
	server.AutoReplay = false
	server.CreateStream("s")
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	fmt.Println(ln.Addr())
	go func() { panic(http.Serve(ln, server)) }()
	in := bufio.NewReader(os.Stdin)
	for n := 2; ; n++ {
		if _, err := in.ReadByte(); err != nil {
			return
		}
		server.Publish("s", &sse.Event{
			ID: []byte(fmt.Sprint("a-1-", n)), Event: []byte("update"), Data: fmt.Appendf(nil, `{"n":%d,"pad":"%s"}`, n, pad),
		})
	}
}
