package relay

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

// lastWait is what was said last of what a job waits for; "" if nothing ever was, "nothing" if it waits for nothing.
func lastWait(b *book, submission string) (code, detail string) {
	all := b.waits(submission)
	if len(all) == 0 {
		return "", ""
	}
	w := wait(all[len(all)-1])
	if w.Kind == "" {
		return "nothing", ""
	}
	return w.Code, w.Detail
}

// A cluster that doesn't answer is named by its jobs within seconds, with what answered instead, and until it answers.
func TestUnreachable(t *testing.T) {
	f := newFakeRay()
	f.set("j", Running)
	relaying(t, map[string]*fakeRay{"east": f}, func(b *book, _ *Relay) {
		time.Sleep(time.Minute)
		f.mu.Lock()
		f.refuses = http.StatusBadGateway
		f.mu.Unlock()
		time.Sleep(30 * time.Second)
		code, detail := lastWait(b, "j")
		if code != "RAY:UNREACHABLE" || !strings.Contains(detail, "east") || !strings.Contains(detail, "502") {
			t.Errorf("%q %q", code, detail)
		}
		if since := wait(b.waits("j")[len(b.waits("j"))-1]).Since; since.Sub(epoch.Add(time.Minute)) > 6*time.Second {
			t.Errorf("since %v", since)
		}
		said := len(b.said)
		time.Sleep(5 * time.Minute)
		if len(b.said) != said {
			t.Errorf("%d more events while nothing changed", len(b.said)-said)
		}
		f.mu.Lock()
		f.refuses = 0
		f.mu.Unlock()
		time.Sleep(20 * time.Second)
		if code, _ := lastWait(b, "j"); code != "nothing" {
			t.Errorf("once it answers: %q", code)
		}
	})
}

// A PENDING job that nothing is in the way of is said to wait for nothing, ten seconds after its submission; if a source doesn't
// answer, nobody knows what it waits for, and the source is named.
func TestPendingWithoutAWait(t *testing.T) {
	well, broken := newFakeRay(), newFakeRay()
	well.set("orphan", Pending)
	broken.set("blind", Pending)
	broken.session, broken.fails = "s2", map[string]int{"/api/v0/": http.StatusInternalServerError}
	relaying(t, map[string]*fakeRay{"well": well, "broken": broken}, func(b *book, _ *Relay) {
		time.Sleep(8 * time.Second)
		for _, id := range []string{"orphan", "blind"} {
			if code, _ := lastWait(b, id); code != "" {
				t.Errorf("%s after 8 s: %q", id, code)
			}
		}
		time.Sleep(7 * time.Second)
		if code, _ := lastWait(b, "orphan"); code != "nothing" {
			t.Errorf("orphan: %q", code)
		}
		code, detail := lastWait(b, "blind")
		if code != "UNKNOWN" || !strings.Contains(detail, "state API") || !strings.Contains(detail, "500") {
			t.Errorf("blind: %q %q", code, detail)
		}
	})
}
