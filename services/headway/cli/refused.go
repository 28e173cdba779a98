package cli

import (
	"cmp"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/headwayhq/headway/pkg/client"
)

// refused turns an error of the API or of the way to it into a sentence that says what was refused and what to do, and an exit code.
func (t *target) refused(err error) error {
	var exit ExitError
	var status *client.StatusError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &exit): // of a credential that can't be read
		return exit
	case errors.Is(err, context.Canceled):
		return ExitError{Code: exitUnknown, Err: errors.New("interrupted")}
	case errors.As(err, &status) && strings.HasPrefix(status.Detail, "X-Namespace:"): // none was named, and the credential has several
		return ExitError{Code: exitUsage, Err: fmt.Errorf("--namespace: name one of those of the credential, which headway whoami%s lists", t.flags())}
	case errors.As(err, &status):
		return ExitError{Code: exitUnknown, Err: errors.New(t.answer(status))}
	}
	var stranger x509.UnknownAuthorityError
	if errors.As(err, &stranger) {
		return ExitError{Code: exitUnknown, Err: fmt.Errorf("--url: %s has a certificate of an authority that isn't known here: name the file of its certificate with --ca-file", bare(t.URL))}
	}
	return ExitError{Code: exitUnknown, Err: fmt.Errorf("--url: %s can't be reached (%s): is Headway running there? headway doctor%s finds out more", bare(t.URL), cause(err), t.flags())}
}

// answer is an answer of the API with an error status in words.
func (t *target) answer(e *client.StatusError) string {
	from := t.in.credential.from
	said := strings.TrimSpace(plain(e.Detail))
	var text, todo string
	switch {
	case e.Status == http.StatusUnauthorized && from == "":
		text, todo = bare(t.URL)+" needs a credential (401)", "headway login"+t.flags()+" signs in; --token-file and HEADWAY_TOKEN give a key without that."
		said = ""
	case e.Status == http.StatusUnauthorized:
		text, todo = from+": the API refused its credential (401)", t.in.credential.again
	case e.Kind == client.KindRole:
		text, todo = cmp.Or(from, "--token")+": its credential may not do this (403)", "An administrator can give one with such a role: headway keys create. --context names another context."
	case e.Status == http.StatusForbidden:
		text = cmp.Or(from, "--token") + ": the API refused this (403)"
	case e.Kind == client.KindErased:
		return said
	case e.Status == http.StatusMisdirectedRequest:
		text = "--url: " + bare(t.URL) + " isn't a name of this Headway (421)"
	default:
		text = fmt.Sprintf("%s answers %d", bare(t.URL), e.Status)
	}
	if e.RetryAfter > 0 {
		todo = fmt.Sprintf("Try again in %s.", span(max(e.RetryAfter, time.Second).Seconds()))
	}
	if said != "" {
		text += ": " + said
	}
	if todo == "" || strings.HasSuffix(said, todo) {
		return text
	}
	if said == "" {
		return text + ": " + todo
	}
	return text + " " + todo
}
