package access

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func served(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) }

func through(f Flags, listen, method, host string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, "/v1/batches", nil)
	r.Host = host
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	f.Guard(listen, nil)(http.HandlerFunc(served)).ServeHTTP(w, r)
	return w
}

// A page whose name was rebound to this server sends that name as the host.
func TestHosts(t *testing.T) {
	const loopback, all = "127.0.0.1:8080", "0.0.0.0:8080"
	named := Flags{AllowedHost: []string{"Headway.example.com.", "fd00::1"}}
	for _, c := range []struct {
		flags        Flags
		listen, host string
		ok           bool
	}{
		{Flags{}, loopback, "127.0.0.1:8080", true},
		{Flags{}, loopback, "localhost:9999", true},
		{Flags{OIDC: OIDC{PublicURL: "https://Headway.example.com"}}, loopback, "headway.example.com", true},
		{Flags{}, loopback, "LOCALHOST.", true},
		{Flags{}, loopback, "headway.localhost", true},
		{Flags{}, loopback, "127.0.0.2", true},
		{Flags{}, loopback, "[::1]:8080", true},
		{Flags{}, loopback, "[::1]", true},
		{Flags{}, loopback, "", true}, // HTTP/1.0, which no browser speaks
		{Flags{}, loopback, "evil.example", false},
		{Flags{}, loopback, "evil.example:8080", false},
		{Flags{}, loopback, "localhost.evil.example", false},
		{Flags{}, loopback, "127.0.0.1.evil.example:8080", false},
		{Flags{}, loopback, "127.0.0.1@evil.example", false},
		{Flags{}, loopback, "evillocalhost", false},
		{Flags{}, loopback, "10.0.0.5:8080", false},
		{Flags{}, all, "10.0.0.5:8080", true}, // probes use the address of a pod
		{Flags{}, all, "[fd00::2]:8080", true},
		{Flags{}, all, "api:8080", false},
		{Flags{}, "headway.internal:8080", "headway.internal", true},
		{named, loopback, "headway.example.com", true},
		{named, loopback, "headway.example.com:443", true},
		{named, loopback, "[fd00::1]:443", true},
		{named, loopback, "evil.headway.example.com", false},
		{named, loopback, "example.com", false},
		{Flags{AllowedHost: []string{"*"}}, all, "anything.example", true},
	} {
		w := through(c.flags, c.listen, http.MethodGet, c.host)
		if want := map[bool]int{true: http.StatusTeapot, false: http.StatusMisdirectedRequest}[c.ok]; w.Code != want {
			t.Errorf("%+v, on %s: host %q gets %d", c.flags, c.listen, c.host, w.Code)
		}
	}
}

func TestMisdirectedSaysWhatToDo(t *testing.T) {
	w := through(Flags{}, "127.0.0.1:1", http.MethodGet, "evil\u202e.example")
	var p struct {
		Type    string
		Status  int
		Success *bool
		Error   struct{ Type, Message string }
	}
	if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil || p.Status != 421 || p.Type != "urn:headway:problem:misdirected_request" ||
		p.Success == nil || *p.Success || p.Error.Type != "misdirected_request" || !strings.Contains(p.Error.Message, "--allowed-host") {
		t.Errorf("%v: %s", err, w.Body)
	}
	if strings.Contains(w.Body.String(), "\u202e") {
		t.Error("the host is repeated as it came")
	}
	if w := through(Flags{}, "127.0.0.1:1", http.MethodHead, "evil.example"); w.Code != 421 || w.Body.Len() != 0 {
		t.Error(w.Code, w.Body)
	}
}

// Pages of other origins may not change anything. Reading them is up to CORS, which browsers enforce.
func TestOrigins(t *testing.T) {
	const host = "127.0.0.1:8080"
	for _, c := range []struct {
		method string
		header []string
		ok     bool
	}{
		{http.MethodPost, nil, true}, // no browser
		{http.MethodPost, []string{"Origin", "http://127.0.0.1:8080"}, true},
		{http.MethodPost, []string{"Origin", "http://127.0.0.1:8080", "Sec-Fetch-Site", "same-origin"}, true},
		{http.MethodPost, []string{"Origin", "http://127.0.0.1:9999"}, false},
		{http.MethodPost, []string{"Origin", "https://evil.example"}, false},
		{http.MethodPost, []string{"Origin", "null"}, false},
		{http.MethodPost, []string{"Origin", "https://evil.example", "Sec-Fetch-Site", "cross-site"}, false},
		{http.MethodPost, []string{"Sec-Fetch-Site", "same-site"}, false},
		{http.MethodDelete, []string{"Origin", "https://evil.example"}, false},
		{http.MethodGet, []string{"Origin", "https://evil.example", "Sec-Fetch-Site", "cross-site"}, true},
		{http.MethodOptions, []string{"Origin", "https://evil.example", "Sec-Fetch-Site", "cross-site"}, true},
	} {
		w := through(Flags{}, host, c.method, host, c.header...)
		if want := map[bool]int{true: http.StatusTeapot, false: http.StatusForbidden}[c.ok]; w.Code != want {
			t.Errorf("%s with %v gets %d", c.method, c.header, w.Code)
		}
	}
}

func TestExceptions(t *testing.T) {
	guarded := Flags{}.Guard("127.0.0.1:1", func(r *http.Request) bool { return r.URL.Path == "/with/secret" })(http.HandlerFunc(served))
	for path, want := range map[string]int{"/with/secret": http.StatusTeapot, "/other": http.StatusMisdirectedRequest} {
		w := httptest.NewRecorder()
		guarded.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "http://headway"+path, nil))
		if w.Code != want {
			t.Errorf("%s: %d", path, w.Code)
		}
	}
}

func TestListenChecks(t *testing.T) {
	for _, c := range []struct {
		flags  Flags
		listen string
		ok     bool
	}{
		{Flags{}, "127.0.0.1:0", true},
		{Flags{}, "localhost:8080", true},
		{Flags{}, "[::1]:8080", true},
		{Flags{}, ":8080", false},
		{Flags{}, "0.0.0.0:8080", false},
		{Flags{}, "10.0.0.5:8080", false},
		{Flags{}, "headway.example:8080", false},
		{Flags{}, "8080", false},
		{Flags{AllowUnauthenticated: true}, ":8080", true},
		{Flags{AllowedHost: []string{"https://headway.example"}}, "127.0.0.1:0", false},
		{Flags{AllowedHost: []string{"headway.example:443"}}, "127.0.0.1:0", false},
		{Flags{AllowedHost: []string{""}}, "127.0.0.1:0", false},
		{Flags{AllowedHost: []string{"headway.example", "fd00::1", "*"}}, "127.0.0.1:0", true},
	} {
		if err := c.flags.Check(c.listen); (err == nil) != c.ok {
			t.Errorf("%+v on %s: %v", c.flags, c.listen, err)
		}
	}
	var told bytes.Buffer
	log := slog.New(slog.NewTextHandler(&told, nil))
	Flags{}.Warn("127.0.0.1:8080", false, log)
	if told.Len() != 0 {
		t.Errorf("warned on loopback: %s", &told)
	}
	if (Flags{AllowUnauthenticated: true}).Warn(":8080", false, log); !strings.Contains(told.String(), "without access control") {
		t.Errorf("not warned: %s", &told)
	}
}
