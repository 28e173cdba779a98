package api

import (
	neturl "net/url"
	"slices"
	"strings"

	"github.com/labstack/echo/v4"
)

// readable refuses a query that can't be parsed, on every route: the part that would be ignored could be a namespace.
func readable(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		if raw := c.Request().URL.RawQuery; len(raw) > 1000 || strings.ContainsAny(raw, "%;") { // any other can be parsed
			if _, err := neturl.ParseQuery(raw); err != nil {
				return badRequest("query", "can't be parsed: parameters are separated by &, and % begins two hexadecimal digits").because(err)
			}
		}
		return next(c)
	}
}

// Parameters of the lists; others are refused.
var (
	listParameters = []string{
		"namespace", "status", "health", "pipeline", "owner", "cause", "alike", "label", "created_after", "created_before", "q", "sort", "limit", "cursor",
	}
	groupParameters = []string{
		"namespace", "status", "health", "pipeline", "owner", "cause", "alike", "label", "created_after", "created_before", "q", "by", "limit",
	}
	finishedParameters = []string{
		"namespace", "from", "to", "q", "pipeline", "owner", "status", "health", "cause", "alike", "label", "limit", "cursor",
	}
	runParameters         = []string{"namespace", "limit", "cursor"}
	finishedDayParameters = []string{"namespace", "from", "to"}
	listStreamParameters  = []string{"namespace", "ids"}
)

// onlyParameters refuses a parameter that the route doesn't have: a filter with a misspelled name would show everything.
func onlyParameters(c echo.Context, known []string) error {
	if c.Request().URL.RawQuery == "" {
		return nil
	}
	var strange []string
	for name := range c.QueryParams() {
		if !slices.Contains(known, name) {
			strange = append(strange, name)
		}
	}
	if len(strange) == 0 {
		return nil
	}
	name := slices.Min(strange)
	reason := "isn't a parameter of this route"
	if near := nearest(name, known); near != "" {
		return badRequest(shorten(name, 64), reason+"; "+near+"?").detail("nearest", near)
	}
	return badRequest(shorten(name, 64), reason+", which has "+strings.Join(known, ", "))
}

// nearest is the known name with the smallest distance to name, if it is small enough for a misspelling.
func nearest(name string, known []string) string {
	best, least := "", 1+min(2, len(name)/2)
	if len(name) > 64 {
		return ""
	}
	for _, k := range known {
		if d := distance(strings.ToLower(name), k); d < least {
			best, least = k, d
		}
	}
	return best
}

// distance is the number of letters to insert, delete or change to get from a to b (Levenshtein).
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

func shorten(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n], "") + "…"
}
