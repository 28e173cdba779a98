package push

import (
	"bytes"
	"context"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

// Streams of a crowded topic end at any moment while it changes. What follows a stream comes after its last whole event, and nothing
// comes after that.
func TestEndsOfACrowd(t *testing.T) {
	s := newStand("a")
	s.put(topicKey, frame("a", 1))
	h := New(s, Config{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		sub, err := h.Subscribe(r.Context(), topicKey, "", nil)
		if err != nil {
			http.Error(w, err.Error(), http.StatusTeapot)
			return
		}
		h.Stream(w, r, func(ctx context.Context, out *Writer) error {
			ctx, cancel := context.WithTimeout(ctx, time.Duration(rand.N(int64(50*time.Millisecond))))
			defer cancel()
			if err := sub.Serve(ctx, out, Full); err != nil {
				return err
			}
			return out.Events(AppendEvent(nil, "", "problem", []byte(`{}`)))
		}, func(error) { sub.Close() })
	}))
	defer func() { h.Close(); h.Wait(); server.Close() }()
	publishing, stop := context.WithCancel(t.Context())
	var publisher, clients sync.WaitGroup
	publisher.Go(func() {
		pad := strings.Repeat("x", 4000)
		for seq := uint64(2); publishing.Err() == nil; seq++ {
			f := frame("a", seq)
			f.Content = text{json: `{"pad":"` + pad + `"}`}
			h.Publish(topicKey, f)
			time.Sleep(100 * time.Microsecond) // the pace of changes; nothing depends on it
		}
	})
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	for range 3 * crowd {
		clients.Go(func() {
			for range 10 {
				resp, err := client.Get(server.URL)
				if err != nil {
					t.Error(err)
					return
				}
				body, err := io.ReadAll(resp.Body)
				_ = resp.Body.Close()
				events := bytes.Split(bytes.TrimSpace(body), []byte("\n\n"))
				if last := events[len(events)-1]; err != nil || !bytes.Contains(last, []byte("event: problem")) {
					t.Errorf("%v: the stream ends with %.200q", err, last)
					return
				}
				for _, e := range events[:len(events)-1] {
					if !bytes.HasSuffix(e, []byte("}")) {
						t.Errorf("an event in pieces: %.200q", e)
					}
				}
			}
		})
	}
	clients.Wait()
	stop()
	publisher.Wait()
}
