package deps

import (
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// TestNoLocalShadows reads the core: no local name hides one of its package, of an import, or of the language. What is
// called text or at in one function and names a type or a function in another makes both harder to read.
func TestNoLocalShadows(t *testing.T) {
	for _, pkg := range core {
		found := shadows(t, filepath.Join("..", "..", "..", filepath.FromSlash(pkg)))
		for _, f := range found {
			t.Error(f)
		}
	}
}

// TestShadowsAreFound proves the rule itself.
func TestShadowsAreFound(t *testing.T) {
	dir := t.TempDir()
	source := `package p

import "strings"

type text string

func f(text string) (len int) {
	strings := 1
	for at := range strings {
		_ = func(f int) int { return at }
	}
	var any, fine = 2, 3
	return any + fine
}

func at() {}
`
	if err := os.WriteFile(filepath.Join(dir, "p.go"), []byte(source), 0o600); err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, f := range shadows(t, dir) {
		names = append(names, f[strings.LastIndexByte(f, ' ')+1:])
	}
	if got, want := strings.Join(names, " "), "text len strings at f any"; got != want {
		t.Errorf("found %q, want %q", got, want)
	}
}

// shadows lists the local names of a package that hide others.
func shadows(t *testing.T, dir string) (found []string) {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("no package in %s (%v)", dir, err)
	}
	fset := token.NewFileSet()
	var files []*ast.File
	taken := map[string]bool{}
	for _, name := range types.Universe.Names() {
		taken[name] = true
	}
	for _, p := range paths {
		if strings.HasSuffix(p, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(fset, p, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, f)
		for _, d := range f.Decls {
			for _, id := range declared(d) {
				taken[id.Name] = true
			}
		}
	}
	for _, f := range files {
		imported := map[string]bool{}
		for _, spec := range f.Imports {
			p, _ := strconv.Unquote(spec.Path.Value)
			name := p[strings.LastIndexByte(p, '/')+1:]
			if spec.Name != nil {
				name = spec.Name.Name
			}
			imported[name] = true
		}
		for _, id := range locals(f) {
			if id.Name != "_" && (taken[id.Name] || imported[id.Name]) {
				found = append(found, fset.Position(id.Pos()).String()+": a local name hides "+id.Name)
			}
		}
	}
	return found
}

// declared are the names that a declaration of a package gives it. Methods have none.
func declared(d ast.Decl) (names []*ast.Ident) {
	switch d := d.(type) {
	case *ast.FuncDecl:
		if d.Recv == nil {
			names = append(names, d.Name)
		}
	case *ast.GenDecl:
		for _, spec := range d.Specs {
			switch spec := spec.(type) {
			case *ast.TypeSpec:
				names = append(names, spec.Name)
			case *ast.ValueSpec:
				names = append(names, spec.Names...)
			}
		}
	}
	return names
}

// locals are the names declared within the functions of a file.
func locals(f *ast.File) (names []*ast.Ident) {
	fields := func(list *ast.FieldList) {
		if list != nil {
			for _, field := range list.List {
				names = append(names, field.Names...)
			}
		}
	}
	idents := func(list ...ast.Expr) {
		for _, e := range list {
			if id, ok := e.(*ast.Ident); ok {
				names = append(names, id)
			}
		}
	}
	for _, d := range f.Decls {
		fn, ok := d.(*ast.FuncDecl)
		if !ok {
			continue
		}
		fields(fn.Recv)
		ast.Inspect(fn, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.FuncType:
				fields(n.Params)
				fields(n.Results)
			case *ast.AssignStmt:
				if n.Tok == token.DEFINE {
					idents(n.Lhs...)
				}
			case *ast.RangeStmt:
				if n.Tok == token.DEFINE {
					idents(n.Key, n.Value)
				}
			case *ast.DeclStmt:
				names = append(names, declared(n.Decl)...)
			}
			return true
		})
	}
	return names
}
