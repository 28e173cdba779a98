package kuberay

import (
	"regexp"
	"slices"
	"strings"
	"time"
)

// imageReasons are the kubelet's reasons for a container whose image isn't there.
var imageReasons = []string{
	"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "RegistryUnavailable", "ImageInspectError", "SignatureValidationFailed",
}

// image is a container whose image can't be pulled. The kubelet's reason and message alternate between the failure and the
// back-off. What is said doesn't, since each change would be published.
func (p *pod) image(c *container, now time.Time, events happened) *link {
	w := c.State.Waiting
	words, tries, begin := w.Message, 1, time.Time{}
	var last *kubeEvent
	for _, e := range events {
		if e.Reason != "Failed" || !strings.Contains(e.About.Field, "{"+c.Name+"}") || !strings.Contains(e.Message, "pull image") {
			continue
		}
		if last == nil || e.seen().After(last.seen()) {
			last = e
		}
		tries = max(tries, e.times())
		if begin.IsZero() || e.began().Before(begin) {
			begin = e.began()
		}
	}
	if last != nil && slices.Contains([]string{"ErrImagePull", "ImagePullBackOff"}, w.Reason) {
		words = last.Message
	}
	if begin.IsZero() {
		begin = p.began()
	}
	secret := ""
	if e := events.latest("FailedToRetrieveImagePullSecret"); e != nil {
		secret = e.Message
	}
	if now.Sub(begin) >= secondTry {
		tries = max(tries, 2)
	}
	code, need, word := classify(w.Reason, words)
	if tries < need && now.Sub(begin) < time.Duration(need)*secondTry {
		return p.link(pulling, stepImage, begin, "container "+c.Name+" pulls "+c.Image+", the first try failed", gist(words))
	}
	l := p.link(code, stepImage, begin, "container "+c.Name+" can't pull "+c.Image, word, secret, gist(words))
	l.at = begin.Add(time.Duration(need-1) * 10 * time.Second)
	return l
}

// classify tells an image that is wrong from a registry that fails, by the words of the last failure, and how many failed
// tries prove it. Without such words the image is at fault: the kubelet has a word of its own for a registry that is down.
func classify(reason, words string) (code string, tries int, word string) {
	switch {
	case slices.Contains([]string{"InvalidImageName", "ErrImageNeverPull", "ImageInspectError", "SignatureValidationFailed"}, reason):
		return pullFailed, 1, reason
	case reason == "RegistryUnavailable" || hasAny(words, registryWords...):
		return registry, 2, "ImagePullBackOff"
	case hasAny(words, "unauthorized", "authentication required", "authorization failed", "expired"):
		return pullFailed, 3, "ImagePullBackOff" // a token that is being renewed is refused once or twice
	}
	return pullFailed, 2, "ImagePullBackOff"
}

// registryWords are how registries and the way to them fail: HTTP's 429 and 5xx in containerd's words, the texts of Go's
// net and tls packages, and of a full disk.
var registryWords = []string{
	"429", "toomanyrequests", "too many requests", "rate limit", "i/o timeout", "deadline exceeded", "tls handshake", "x509:", "tls:", "connection refused",
	"connection reset", "no such host", "unexpected eof", "no route to host", "no space left", "500 internal", "502 bad", "503 service", "504 gateway",
	"unexpected status code 5", "unexpected status: 5", "server misbehaving",
}

// gist shortens a failure of a pull to what differs: containerd repeats the image's name in each layer of its message.
func gist(words string) string {
	for _, skip := range []string{"rpc error: ", "desc = "} {
		if _, rest, ok := strings.Cut(words, skip); ok {
			words = rest
		}
	}
	if strings.HasPrefix(words, "Back-off pulling image") {
		_, words, _ = strings.Cut(words, "ErrImagePull: ")
	}
	return around.ReplaceAllString(words, "")
}

// around are the layers around the failure itself, which comes last.
var around = regexp.MustCompile(`^((Failed|failed) to [a-z ]+ "[^"]*": )+`)
