package deps

import (
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/headwayhq/headway/"

// adapters lists one package for each technology. The composition passes to each what it needs of the others.
var adapters = []string{"pkg/eventlog", "pkg/history", "pkg/viewstore", "pkg/push"}

// core lists the packages of the core from the bottom up. Each imports only earlier ones, and the last is the public package.
var core = []string{
	"pkg/diagnostics/internal/crdt", "pkg/diagnostics/internal/event", "pkg/diagnostics/internal/view",
	"pkg/diagnostics/internal/cause", "pkg/diagnostics/internal/judge", "pkg/diagnostics/internal/answer", "pkg/diagnostics/lint",
	"pkg/diagnostics",
}

// TestArrowsPointInward reads the imports of every file that isn't a test.
func TestArrowsPointInward(t *testing.T) {
	imports := importsOf(t, filepath.Join("..", "..", ".."))
	for _, from := range append(slices.Clone(core), "pkg/eventlog", "pkg/viewstore", "pkg/push", "services/headway", "services/api") {
		if _, ok := imports[from]; !ok {
			t.Errorf("%s was not found: the walk starts at the wrong place, or the package moved", from)
		}
	}
	for _, from := range slices.Sorted(maps.Keys(imports)) {
		for to := range imports[from] {
			if why := forbidden(from, to); why != "" {
				t.Errorf("%s imports %s: %s", from, to, why)
			}
		}
	}
}

// TestForbidden tests the rule itself, because a rule that forbids nothing would pass the test above.
func TestForbidden(t *testing.T) {
	for _, c := range []struct {
		from, to string
		bad      bool
	}{
		{"pkg/diagnostics", module + "pkg/policy", true},
		{"pkg/diagnostics", "github.com/google/uuid", true},
		{"pkg/diagnostics", "encoding/json", false},
		{"pkg/diagnostics", module + "pkg/diagnostics/internal/answer", false},
		{"pkg/diagnostics/internal/answer", module + "pkg/diagnostics/internal/judge", false},
		{"pkg/diagnostics/internal/judge", module + "pkg/diagnostics/internal/answer", true},
		{"pkg/diagnostics/internal/event", module + "pkg/diagnostics/internal/view", true},
		{"pkg/diagnostics/internal/crdt", module + "pkg/diagnostics", true},
		{"pkg/diagnostics/internal/event", "github.com/google/uuid", true},
		{"pkg/diagnostics/internal/other", "fmt", true},
		{"pkg/eventlog", module + "pkg/viewstore", true},
		{"pkg/eventlog", module + "pkg/diagnostics", false},
		{"pkg/policy", module + "pkg/eventlog", true},
		{"pkg/push", "github.com/redis/go-redis/v9", true},
		{"pkg/push", "github.com/nats-io/nats.go", true},
		{"pkg/client", module + "pkg/eventlog", true},
		{"pkg/viewstore", module + "services/api", true},
		{"services/ingest", module + "services/detector", true},
		{"services/ingest/cmd/ingest", module + "services/ingest", false},
		{"services/ingest/cmd/ingest", module + "services/internal/backend", false},
		{"services/api/cmd/api", module + "services/headway/embedded", true},
		{"services/internal/backend", module + "services/api", true},
		{"services/headway/app", module + "services/api", false},
		{"services/api", module + "pkg/headwaytest", true},
	} {
		if why := forbidden(c.from, c.to); (why != "") != c.bad {
			t.Errorf("%s imports %s: got %q, want forbidden %v", c.from, c.to, why, c.bad)
		}
	}
}

// forbidden says why a package may not import another, or "".
func forbidden(from, to string) string {
	own, local := strings.CutPrefix(to, module)
	if from == "pkg/diagnostics" || strings.HasPrefix(from, "pkg/diagnostics/") {
		return forbiddenInCore(from, to)
	}
	if from == "pkg/push" && (strings.HasPrefix(to, "github.com/nats-io/") || strings.HasPrefix(to, "github.com/redis/")) {
		return "push knows neither NATS nor Redis"
	}
	if !local || own == "pkg/diagnostics" {
		return ""
	}
	if own == "pkg/headwaytest" && from != "pkg/headwaytest" {
		return "it is for tests"
	}
	if strings.HasPrefix(from, "pkg/") {
		switch {
		case strings.HasPrefix(own, "services/"):
			return "pkg never imports services"
		case from == "pkg/client":
			return "users import the client: it carries nothing of the servers"
		case from == "pkg/headwaytest":
			return ""
		case slices.Contains(adapters, own):
			return "only services put adapters together"
		}
		return ""
	}
	a, b := service(from), service(own)
	if b == "" || a == b || b == "internal" || a == "headway" {
		return ""
	}
	return "services never import one another; services/headway composes them"
}

// forbiddenInCore keeps the core pure and its packages apart.
func forbiddenInCore(from, to string) string {
	own, local := strings.CutPrefix(to, module)
	at := slices.Index(core, from)
	switch {
	case at < 0:
		return "the core has a package that has no place in its order"
	case !local && strings.Contains(firstElement(to), "."):
		return "the core requires nothing but the standard library"
	case local && !slices.Contains(core[:at], own):
		return "in the core nothing imports upward"
	}
	return ""
}

// service is the name below services/, or "" if there is none.
func service(pkg string) string {
	rest, ok := strings.CutPrefix(pkg, "services/")
	if !ok {
		return ""
	}
	return firstElement(rest)
}

func firstElement(p string) string {
	first, _, _ := strings.Cut(p, "/")
	return first
}

// importsOf maps each package below root to what its files import, tests left out.
func importsOf(t *testing.T, root string) map[string]map[string]bool {
	t.Helper()
	imports := map[string]map[string]bool{}
	for _, top := range []string{"pkg", "services"} {
		err := fs.WalkDir(os.DirFS(root), top, func(file string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(file, ".go") || strings.HasSuffix(file, "_test.go") {
				return err
			}
			parsed, err := parser.ParseFile(token.NewFileSet(), filepath.Join(root, file), nil, parser.ImportsOnly)
			if err != nil {
				return err
			}
			pkg := path.Dir(file)
			if imports[pkg] == nil {
				imports[pkg] = map[string]bool{}
			}
			for _, spec := range parsed.Imports {
				to, err := strconv.Unquote(spec.Path.Value)
				if err != nil {
					return err
				}
				imports[pkg][to] = true
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return imports
}
