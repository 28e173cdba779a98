package eventlog

import (
	"bufio"
	"errors"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/headwayhq/headway/pkg/headwaytest"
)

// The server only says that subjects overlap. An operator needs to know which stream has them.
func TestProvisionNamesTheStreamInTheWay(t *testing.T) {
	nc := headwaytest.NATS(t).Conn()
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "AUDIT", Subjects: []string{"headway.events.default.>"}}); err != nil {
		t.Fatal(err)
	}
	_, err = Open(t.Context(), nc, Config{})
	if !errors.Is(err, ErrOverlap) || !strings.Contains(err.Error(), EventsStream) || !strings.Contains(err.Error(), "stream AUDIT") {
		t.Error(err)
	}
	found, err := Examine(t.Context(), nc)
	if err != nil || !errors.Is(found[0].Err, ErrOverlap) || !strings.Contains(found[0].Err.Error(), "AUDIT") {
		t.Error(found, err)
	}
	if err := js.DeleteStream(t.Context(), "AUDIT"); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), nc, Config{}); err != nil {
		t.Error(err)
	}
}

// A stand-in for an old server, which can't be installed here: it sends its version and records the requests.
func TestOpenRefusesAnOldServer(t *testing.T) {
	for version, supported := range map[string]bool{
		"2.9.25": false, "1.4.1": false, "": false, "x": false, "2.10.0": true, "v2.15.2": true, "2.12.0-RC.1": true, "3.0.0": true,
	} {
		if Supported(version) != supported {
			t.Errorf("%q", version)
		}
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	asked := make(chan string, 64)
	go func() {
		c, err := l.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		if _, err := io.WriteString(c, `INFO {"server_id":"old","version":"2.9.25","proto":1,"headers":true,"jetstream":true,"max_payload":1048576}`+"\r\n"); err != nil {
			return
		}
		for lines := bufio.NewScanner(c); lines.Scan(); {
			if asked <- lines.Text(); lines.Text() == "PING" {
				if _, err := io.WriteString(c, "PONG\r\n"); err != nil {
					return
				}
			}
		}
	}()
	nc, err := nats.Connect("nats://" + l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	if _, err := Open(t.Context(), nc, Config{}); !errors.Is(err, ErrServerTooOld) || !strings.Contains(err.Error(), "version 2.9.25, need 2.10 or later") {
		t.Error(err)
	}
	if err := nc.Flush(); err != nil {
		t.Fatal(err)
	}
	for len(asked) > 0 {
		if line := <-asked; strings.HasPrefix(line, "PUB") || strings.HasPrefix(line, "HPUB") {
			t.Errorf("it was asked %q", line)
		}
	}
}
