package program

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/alecthomas/kong"
)

// The order of precedence is: the command line, the environment, the file, the default.
func TestFlagBeforeEnvironmentBeforeFileBeforeDefault(t *testing.T) {
	file := filepath.Join(t.TempDir(), "headway.yaml")
	text := "listen: file\nraw-body: 1\nray: [http://a, 'b=http://c,d']\nray_token: {b: secret}\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	type flags struct {
		Listen   string            `default:"default" env:"TEST_LISTEN"`
		RawBody  int64             `default:"7" env:"TEST_RAW_BODY"`
		Ray      []string          `env:"TEST_RAY"`
		RayToken map[string]string `env:"TEST_RAY_TOKEN"`
		Level    string            `default:"info" env:"TEST_LEVEL"`
	}
	parse := func(arguments ...string) (f flags) {
		t.Helper()
		parser, err := kong.New(&f, kong.Configuration(YAML, file))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := parser.Parse(arguments); err != nil {
			t.Fatal(err)
		}
		return f
	}
	f := parse()
	if f.Listen != "file" || f.RawBody != 1 || f.Level != "info" || !slices.Equal(f.Ray, []string{"http://a", "b=http://c,d"}) || f.RayToken["b"] != "secret" {
		t.Errorf("of the file: %+v", f)
	}
	t.Setenv("TEST_LISTEN", "environment")
	t.Setenv("TEST_RAW_BODY", "2")
	t.Setenv("TEST_RAY", "http://e")
	t.Setenv("TEST_RAY_TOKEN", "b=other")
	f = parse()
	if f.Listen != "environment" || f.RawBody != 2 || !slices.Equal(f.Ray, []string{"http://e"}) || f.RayToken["b"] != "other" {
		t.Errorf("of the environment, before the file: %+v", f)
	}
	if f = parse("--listen=flag", "--raw-body=3", "--level=debug"); f.Listen != "flag" || f.RawBody != 3 || f.Level != "debug" {
		t.Errorf("of the command line, before both: %+v", f)
	}
}
