package dashboard

import (
	"bytes"
	"compress/gzip"
	"io"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"
)

// Bounds, compressed: of what a first visit loads, and of what the page of a pipeline loads in addition.
const (
	maxTransfer = 64 << 10
	maxLater    = 8 << 10
)

func TestWithoutNodeThereIsNoPage(t *testing.T) {
	d, err := load(fstest.MapFS{"dist/.gitignore": {Data: []byte("*")}}, "")
	if err != nil || d.Built() || len(d.Assets) != 0 {
		t.Fatalf("%v %+v", err, d)
	}
}

func TestAssetsCarryTypeAndCompression(t *testing.T) {
	script := strings.Repeat("let a = 1;\n", 200)
	d, err := load(fstest.MapFS{
		"dist/index.html":     {Data: []byte(`<!doctype html><html lang="en">`)},
		"dist/assets/a-1.js":  {Data: []byte(script)},
		"dist/assets/b-2.css": {Data: []byte("a{}")},
	}, "/headway")
	if err != nil || !d.Built() {
		t.Fatalf("%v %+v", err, d)
	}
	if page := string(d.Guarded); page != `<!doctype html><html data-access="on" data-base="/headway" lang="en">` {
		t.Errorf("with access control: %s", page)
	}
	if a := d.Assets["a-1.js"]; a.Type != "text/javascript; charset=utf-8" || unzip(t, a.Zip) != script {
		t.Errorf("script: %s, %d bytes compressed", a.Type, len(a.Zip))
	}
	if b := d.Assets["b-2.css"]; b.Type != "text/css; charset=utf-8" || b.Zip != nil {
		t.Errorf("style: %s, %d bytes compressed: larger than it was", b.Type, len(b.Zip))
	}
}

// TestBuiltPage holds what was built against its limits: size, and nothing inline or from elsewhere.
func TestBuiltPage(t *testing.T) {
	d, err := Load("")
	if err != nil {
		t.Fatal(err)
	}
	if !d.Built() {
		t.Skip("NOTE: the dashboard isn't built (make web): its size wasn't checked")
	}
	size, later := 0, 0
	for name, a := range d.Assets {
		transfer := len(a.Body)
		if a.Zip != nil {
			transfer = len(a.Zip)
		}
		if strings.HasPrefix(name, "page-") { // see src/app.tsx
			later += transfer
		} else {
			size += transfer
		}
		if !regexp.MustCompile(`-[A-Za-z0-9_-]{8}\.[a-z0-9]+$`).MatchString(name) {
			t.Errorf("%s carries no hash, and would be kept for ever", name)
		}
	}
	if size > maxTransfer {
		t.Errorf("assets are %d bytes compressed, at most %d", size, maxTransfer)
	}
	if later == 0 || later > maxLater {
		t.Errorf("the page of a pipeline is %d bytes compressed, at most %d", later, maxLater)
	}
	t.Logf("assets: %.1f KiB compressed, and %.1f KiB for the page of a pipeline", float64(size)/1024, float64(later)/1024)
	for _, bad := range []string{"http://", "https://", "<style", " style=", "<script>", " onload="} {
		if bytes.Contains(d.Page, []byte(bad)) {
			t.Errorf("index.html has %q: the content security policy would refuse it", bad)
		}
	}
	for _, ref := range regexp.MustCompile(`(?:src|href)="([^"]+)"`).FindAllSubmatch(d.Page, -1) {
		name, own := strings.CutPrefix(string(ref[1]), "/assets/")
		if _, there := d.Assets[name]; own && !there || !own && !strings.HasPrefix(name, "/") {
			t.Errorf("index.html asks for %s", ref[1])
		}
	}
}

func unzip(t *testing.T, b []byte) string {
	t.Helper()
	r, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	out, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}
