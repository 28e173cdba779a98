package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What is linked and bundled is named with its licence, and what only tests or tools use isn't.
func TestNotices(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("package-lock.json", `{"packages":{"":{},"clients/js":{"version":"1"},"node_modules/@x/bundled":{"version":"2.1.0"},
		"node_modules/tool":{"version":"3","dev":true},"node_modules/ours":{"link":true}}}`)
	write("node_modules/@x/bundled/LICENSE.md", "You may bundle it.\n")
	var out strings.Builder
	if err := run(&out, filepath.Join(dir, "package-lock.json"), []string{"github.com/headwayhq/headway/services/api/cmd/api"}); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"@x/bundled 2.1.0, LICENSE.md\n\nYou may bundle it.", "github.com/nats-io/nats.go v", "Go's standard library, LICENSE", "Redistribution and use"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q isn't there", want)
		}
	}
	for _, other := range []string{"tool 3", "testcontainers", "headwayhq", "nats-server"} {
		if strings.Contains(out.String(), other) {
			t.Errorf("%q is there", other)
		}
	}
	if err := os.Remove(filepath.Join(dir, "node_modules/@x/bundled/LICENSE.md")); err != nil {
		t.Fatal(err)
	}
	if err := run(&out, filepath.Join(dir, "package-lock.json"), nil); err == nil || !strings.Contains(err.Error(), "@x/bundled 2.1.0 has no licence file") {
		t.Errorf("a package without a licence: %v", err)
	}
}
