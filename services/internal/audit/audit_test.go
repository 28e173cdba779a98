package main

import (
	"context"
	"strings"
	"testing"
)

// What is found fails unless it is accepted; what is accepted has to be found.
func TestFindings(t *testing.T) {
	found := func(name, missing string, ids ...string) tool {
		return tool{name, func(context.Context) (out []finding, _ string, _ error) {
			for _, id := range ids {
				out = append(out, finding{name, id, "something"})
			}
			return out, missing, nil
		}}
	}
	accepted, err := acceptedFindings("# comment\n\nnpm GHSA-1 only tests use it\n")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		tool   tool
		strict bool
		ok     bool
		says   string
	}{
		{found("npm", "", "GHSA-1"), true, true, "npm: accepted GHSA-1: something (only tests use it)"},
		{found("npm", "", "GHSA-1", "GHSA-1"), true, true, "npm: asked, 1 found"},
		{found("npm", "", "GHSA-1", "GHSA-2"), true, false, "npm: FOUND GHSA-2: something"},
		{found("npm", ""), true, false, "accepted.txt has GHSA-1, which is found no more"},
		{found("npm", "no answer"), false, true, "NOTE: npm: no answer"},
		{found("npm", "no answer"), true, false, "NOTE: npm: no answer"},
		{found("npm", "half an answer", "GHSA-2"), false, false, "npm: FOUND GHSA-2"},
		{found("gosec", "", "GHSA-1"), true, false, "gosec: FOUND GHSA-1"},
		{found("gosec", ""), true, true, "gosec: asked, 0 found"},
	} {
		var out strings.Builder
		err := run(t.Context(), &out, []tool{c.tool}, accepted, c.strict)
		if (err == nil) != c.ok || !strings.Contains(out.String(), c.says) {
			t.Errorf("%v, strict %v: %v\n%s\nwant %q", c.tool.name, c.strict, err, out.String(), c.says)
		}
	}
	if _, err := acceptedFindings("npm GHSA-1 unused"); err == nil {
		t.Error("an exception without a reason was taken")
	}
	if _, err := acceptedFindings(acceptedText); err != nil {
		t.Error(err)
	}
}

func TestWhatToolsSay(t *testing.T) {
	const goVulnerabilities = `{"config":{"db":"x"}} {"osv":{"id":"GO-1","summary":"A bug"}} {"osv":{"id":"GO-2"}}
		{"finding":{"osv":"GO-2","trace":[{"module":"m","version":"v1"}]}}
		{"finding":{"osv":"GO-1","fixed_version":"v2","trace":[{"module":"m","version":"v1","package":"m/p","function":"F"},{"module":"ours"}]}}
		{"finding":{"osv":"GO-3","fixed_version":"v1.26.9","trace":[{"module":"stdlib","package":"os","function":"F"}]}}
		{"finding":{"osv":"GO-4","fixed_version":"v1.26.10","trace":[{"module":"stdlib","package":"os","function":"F"}]}}`
	old := map[string]string{}
	if got, err := calledVulnerabilities([]byte(goVulnerabilities), old); err != nil || len(got) != 1 || got[0].id != "GO-1" || got[0].what != "A bug: m/p.F of m@v1, fixed in v2" {
		t.Errorf("govulncheck: %v, %v", got, err)
	}
	if said := oldGo(old); !strings.Contains(said, "has GO-3, GO-4, all fixed in go1.26.10:") || oldGo(nil) != "" {
		t.Errorf("an old Go: %q", said)
	}
	if _, err := calledVulnerabilities([]byte("no database"), old); err == nil {
		t.Error("what isn't from govulncheck was read")
	}
	const issues = `{"Issues":[{"Text":"G101: Potential hardcoded credentials","Pos":{"Filename":"a/b.go","Line":7}}],"Report":{}}`
	if got, missing := gosecFindings([]byte(issues)); missing != "" || len(got) != 1 || got[0].id != "G101@a/b.go:7" {
		t.Errorf("gosec: %v, %q", got, missing)
	}
	if got, missing := gosecFindings([]byte("no module")); missing == "" || got != nil {
		t.Errorf("a linter that can't run: %v, %q", got, missing)
	}
	const advisories = `{"metadata":{},"vulnerabilities":{"b":{"via":["a"]},"a":{"via":[{"url":"https://github.com/advisories/GHSA-x","title":"T","severity":"high","range":"<2"}]}}}`
	if got, missing, err := npmFindings([]byte(advisories)); err != nil || missing != "" || len(got) != 1 || got[0].id != "GHSA-x" {
		t.Errorf("npm: %v, %q, %v", got, missing, err)
	}
	if got, missing, err := npmFindings([]byte(`{"message":"405","error":{}}`)); err != nil || missing == "" || got != nil {
		t.Errorf("npm that was refused: %v, %q, %v", got, missing, err)
	}
	const report = `{"dependencies":[{"name":"a","version":"1","vulns":[{"id":"PYSEC-1","fix_versions":["2"]}]},{"name":"b","skip_reason":"not found"}]}`
	if got, missing, err := pipFindings([]byte(report)); err != nil || !strings.HasSuffix(missing, " b") || len(got) != 1 || got[0].id != "PYSEC-1" {
		t.Errorf("pip-audit: %v, %q, %v", got, missing, err)
	}
}
