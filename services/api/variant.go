package api

import (
	"bytes"
	"encoding/json"
	neturl "net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/headwayhq/headway/pkg/diagnostics"
)

// variant is the part of an answer that a client requests: some of its fields, a page of tiers or collections.
type variant struct {
	fields []string // top-level, in the answer's order; nil: all
	page   *diagnostics.Page
	public bool // without what only those may see who belong to the namespace
}

func (v variant) whole() bool { return v.fields == nil && v.page == nil && !v.public }

// key distinguishes variants in entity tags.
func (v variant) key() string {
	var b strings.Builder
	b.WriteString(strings.Join(v.fields, ","))
	if p := v.page; p != nil {
		for _, n := range []int{p.Tiers.Offset, p.Tiers.Limit, p.Collections.Offset, p.Collections.Limit} {
			b.WriteString("/" + strconv.Itoa(n))
		}
	}
	return b.String()
}

// maxWindow limits offset and limit: no batch has more tiers or collections.
const maxWindow = 10_000

// parseVariant reads ?fields= and the windows; known are the existing fields.
func parseVariant(c echo.Context, known []string, paged bool) (v variant, err error) {
	if c.Request().URL.RawQuery == "" {
		return v, nil
	}
	q := c.QueryParams()
	if v.fields, err = parseFields(q, known); err != nil || !paged {
		return v, err
	}
	var p diagnostics.Page
	given := false
	for _, w := range []struct {
		name string
		to   *int
		from int
	}{
		{"tiers_offset", &p.Tiers.Offset, 0},
		{"tiers_limit", &p.Tiers.Limit, 1},
		{"collections_offset", &p.Collections.Offset, 0},
		{"collections_limit", &p.Collections.Limit, 1},
	} {
		if !q.Has(w.name) {
			continue
		}
		n, err := strconv.Atoi(q.Get(w.name))
		if err != nil || n < w.from || n > maxWindow || len(q[w.name]) > 1 {
			return v, badRequest(w.name, "must be one whole number from "+strconv.Itoa(w.from)+" to "+strconv.Itoa(maxWindow))
		}
		*w.to, given = n, true
	}
	if given {
		v.page = &p
	}
	return v, nil
}

func parseFields(q neturl.Values, known []string) ([]string, error) {
	if !q.Has("fields") {
		return nil, nil
	}
	asked := map[string]bool{}
	for _, value := range q["fields"] {
		for name := range strings.SplitSeq(value, ",") {
			name = strings.TrimSpace(name)
			if !slices.Contains(known, name) {
				return nil, badRequest("fields", strconv.Quote(name)+" is none of "+strings.Join(known, ", "))
			}
			asked[name] = true
		}
	}
	out := make([]string, 0, len(asked))
	for _, name := range known {
		if asked[name] {
			out = append(out, name)
		}
	}
	return out, nil
}

// pick keeps the fields of a JSON object, in their order.
func pick(body []byte, fields []string) ([]byte, error) {
	if fields == nil {
		return body, nil
	}
	var all map[string]json.RawMessage
	if err := json.Unmarshal(body, &all); err != nil {
		return nil, err
	}
	var b bytes.Buffer
	b.WriteByte('{')
	for _, name := range fields {
		value, there := all[name]
		if !there {
			continue
		}
		if b.Len() > 1 {
			b.WriteByte(',')
		}
		b.WriteString(strconv.Quote(name) + ":")
		b.Write(value)
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

// fieldsOf are the JSON names of a struct's fields.
func fieldsOf[T any]() []string {
	t := reflect.TypeFor[T]()
	out := make([]string, 0, t.NumField())
	for i := range t.NumField() {
		name, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
		out = append(out, name)
	}
	return out
}
