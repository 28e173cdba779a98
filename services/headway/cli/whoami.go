package cli

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/headwayhq/headway/pkg/client"
	"github.com/headwayhq/headway/services/api/access"
)

// Whoami is headway whoami.
type Whoami struct{ shared }

// Run says to which Headway one talks, and as who.
func (w *Whoami) Run(ctx context.Context) error {
	who := whose{shared: w.shared}
	if err := who.ask(ctx); err != nil {
		return who.refused(err)
	}
	if ns := w.Namespace; ns != "" {
		if who.me.Access != "none" && !access.Namespaces(who.me.Namespaces).Has(ns) {
			return ExitError{Code: exitUnknown, Err: fmt.Errorf("--namespace: %s isn't among those of the credential: %s", plain(ns), plain(strings.Join(who.me.Namespaces, ", ")))}
		}
		if err := who.askIn(ctx, ns); err != nil {
			return who.refused(err)
		}
	}
	if w.JSON {
		return who.printJSON()
	}
	return show(who.write)
}

// whose is who the API takes the caller for.
type whose struct {
	shared
	me client.Me
}

// ask asks who one is, which belongs to no namespace.
func (w *whose) ask(ctx context.Context) error { return w.askIn(ctx, "") }

// askIn also asks which limits hold in a namespace.
func (w *whose) askIn(ctx context.Context, namespace string) error {
	r, err := (&shared{target: w.target, Namespace: namespace}).reader(nil)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, askWithin)
	defer cancel()
	w.me, err = r.Me(ctx)
	return err
}

// printJSON prints what is known as one object, for programs.
func (w *whose) printJSON() error {
	orNull := func(s string) *string {
		if s == "" {
			return nil
		}
		return &s
	}
	return encodeJSON(struct {
		Context    *string   `json:"context"`
		URL        string    `json:"url"`
		Credential *string   `json:"credential"` // what gives it
		Namespace  *string   `json:"namespace"`  // in use
		Me         client.Me `json:"me"`
	}{orNull(w.in.context), bare(w.URL), orNull(w.in.credential.from), orNull(w.used()), w.me})
}

// used is the namespace of a request; "" if one has to be named.
func (w *whose) used() string {
	if w.Namespace == "" && w.me.Default != nil {
		return *w.me.Default
	}
	return w.Namespace
}

// sentence says who one is in a few words.
func (w *whose) sentence() string {
	if w.me.Access == "none" {
		return "it has no access control, so everybody may do everything"
	}
	return fmt.Sprintf("%s, %s in %s", w.name(), plain(strings.Join(w.me.Roles, " and ")), plain(strings.Join(w.me.Namespaces, ", ")))
}

func (w *whose) name() string {
	if w.me.Access == "none" {
		return "nobody in particular"
	}
	name := plain(strings.TrimSpace(w.me.Access + " " + w.me.ID))
	if w.me.Name != "" {
		name += " (" + plain(w.me.Name) + ")"
	}
	return name
}

func (w *whose) write(out io.Writer) {
	l := writer{out}
	l.linef("context     %s", cmp.Or(plain(w.in.context), "–"))
	l.linef("url         %s", bare(w.URL))
	l.linef("credential  %s", cmp.Or(w.in.credential.from, "none"))
	l.linef("who         %s", w.name())
	l.linef("roles       %s", plain(strings.Join(w.me.Roles, ", ")))
	l.linef("namespaces  %s", plain(strings.Join(w.me.Namespaces, ", ")))
	l.linef("namespace   %s", cmp.Or(plain(w.used()), "– (several are possible: --namespace names one)"))
	ends := "never"
	if w.me.Expires != nil {
		ends = clock(w.me.Expires)
	}
	l.linef("ends        %s", ends)
	for i, limit := range limitLines(w.me.Limits) {
		l.linef("%-10s  %s", map[bool]string{true: "limits"}[i == 0], limit)
	}
}

// mebibytes are bytes in a unit for people.
func mebibytes(n *float64) string {
	if n == nil {
		return "?"
	}
	return strconv.FormatFloat(*n/(1<<20), 'f', 1, 64) + " MiB"
}

// limitLines are limits, one a line. Other members that a newer server sends are passed over.
func limitLines(raw json.RawMessage) (out []string) {
	type limit struct {
		Name  string
		Unit  string
		Value *float64
		Used  *float64
	}
	var all struct{ Principal, Namespace, Server []limit }
	if json.Unmarshal(raw, &all) != nil {
		return nil
	}
	number := func(n *float64, none string) string {
		if n == nil {
			return none
		}
		return strconv.FormatFloat(*n, 'f', -1, 64)
	}
	for _, of := range []struct {
		name   string
		limits []limit
	}{{"of this credential", all.Principal}, {"of the namespace", all.Namespace}, {"of the server", all.Server}} {
		for _, l := range of.limits {
			if l.Value == nil {
				continue // there is none
			}
			said := number(l.Used, "?") + " of " + number(l.Value, "") + " " + l.Unit
			if l.Unit == "bytes" {
				said = mebibytes(l.Used) + " of " + mebibytes(l.Value)
			}
			out = append(out, plain(fmt.Sprintf("%s %s: %s", strings.ReplaceAll(l.Name, "_", " "), of.name, said)))
		}
	}
	return out
}
