// Command readers reads a stream with r3labs/sse and prints each event as one line of JSON.
package main

import (
	"encoding/json"
	"fmt"
	"os"

	"github.com/r3labs/sse/v2"
	"gopkg.in/cenkalti/backoff.v1"
)

func main() {
	c := sse.NewClient(os.Args[1], sse.ClientMaxBufferSize(1<<20))
	c.ReconnectStrategy = &backoff.StopBackOff{}
	if last := os.Args[2]; last != "" {
		c.LastEventID.Store([]byte(last))
	}
	out := json.NewEncoder(os.Stdout)
	err := c.SubscribeRaw(func(e *sse.Event) {
		_ = out.Encode(map[string]string{"id": string(e.ID), "event": string(e.Event), "data": string(e.Data)})
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, err) // 204 is an error to it
	}
}
