package api

import (
	"cmp"
	"encoding/json"
	"slices"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/headwayhq/headway/services/api/access"
)

// The ways to group the batches of a list.
var groupings = []string{"cause", "pipeline", "owner"}

// batchGroup is the batches of a list that have something in common. Exactly one of cause, pipeline and owner says what;
// it is null for those that have none.
type batchGroup struct {
	Cause    *string        `json:"cause"`
	Alike    *string        `json:"alike"` // with a cause: what its batches have in common, in words
	Pipeline *string        `json:"pipeline"`
	Owner    *string        `json:"owner"`
	Count    int            `json:"count"`
	Health   map[string]int `json:"health"`   // how many batches have it
	BatchID  string         `json:"batch_id"` // the newest of those with the most urgent health
}

// groupKey is what the batches of a group have in common.
type groupKey struct{ a, b string }

type grouped struct {
	key   groupKey
	first *row
	n     int
	by    [4]int // as healths
}

// groups makes groups of all rows that keep returns true for: the most urgent first, then the largest.
func (l *listing) groups(by string, keep func(*row) bool) []*grouped {
	found := map[groupKey]*grouped{}
	l.need.Scan(func(r *row) bool {
		if !keep(r) || by == "cause" && r.cause == "" {
			return true
		}
		k := groupKey{r.pipeline, ""}
		switch by {
		case "cause":
			k = groupKey{r.cause, r.alike}
		case "owner":
			k = groupKey{r.owner, ""}
		}
		g := found[k]
		if g == nil {
			g = &grouped{key: k, first: r}
			found[k] = g
		}
		g.n++
		if i := slices.Index(healths, r.health); i >= 0 {
			g.by[i]++
		}
		return true
	})
	out := make([]*grouped, 0, len(found))
	for _, g := range found {
		out = append(out, g)
	}
	slices.SortFunc(out, func(a, b *grouped) int {
		return cmp.Or(cmp.Compare(a.first.need, b.first.need), cmp.Compare(b.n, a.n), strings.Compare(a.key.a, b.key.a), strings.Compare(a.key.b, b.key.b))
	})
	return out
}

// getGroups answers which batches have something in common. It looks at each row of the namespace, so that groups are whole however
// many pages a list has.
func (s *Service) getGroups(c echo.Context, p *access.Principal) error {
	ns, err := s.namespace(c, p)
	if err != nil {
		return err
	}
	if err := onlyParameters(c, groupParameters); err != nil {
		return err
	}
	by := cmp.Or(c.QueryParam("by"), groupings[0])
	if !slices.Contains(groupings, by) {
		return badRequest("by", "must be of "+strings.Join(groupings, ", "))
	}
	f, err := parseFilter(c)
	if err != nil {
		return err
	}
	limit, err := pageLimit(c)
	if err != nil {
		return err
	}
	x, gaps, done, err := s.list(c.Request().Context(), ns, false)
	if err != nil {
		return unavailable(err)
	}
	defer done()
	looked := 0
	all := x.shown.Load().groups(by, func(r *row) bool { looked++; return f.keep(r) })
	s.limiter.also(p, ns, looked/rowsCharged)
	out := struct {
		Groups     []batchGroup `json:"groups"`
		Total      int          `json:"total"` // of groups
		Incomplete bool         `json:"incomplete"`
		Reasons    []gap        `json:"incomplete_reasons"`
	}{[]batchGroup{}, len(all), len(gaps) > 0, gaps}
	for _, g := range all[:min(limit, len(all))] {
		out.Groups = append(out.Groups, g.show(by))
	}
	body, err := json.Marshal(out)
	if err != nil {
		return err
	}
	c.Response().Header().Set("Cache-Control", "private, no-cache")
	return s.write(c, "application/json", body)
}

func (g *grouped) show(by string) batchGroup {
	out := batchGroup{Count: g.n, Health: map[string]int{}, BatchID: g.first.id}
	for i, h := range healths {
		out.Health[h] = g.by[i]
	}
	of := func(s string) *string {
		if s == "" {
			return nil
		}
		return &s
	}
	switch by {
	case "cause":
		out.Cause, out.Alike = of(g.key.a), of(g.key.b)
	case "pipeline":
		out.Pipeline = of(g.key.a)
	case "owner":
		out.Owner = of(g.key.a)
	}
	return out
}
