package cli

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/alecthomas/kong"

	"github.com/headwayhq/headway/services/headway/contexts"
)

const defaultURL = "http://127.0.0.1:8080"

// target are the flags of each verb that talks to the API or sends events: to which Headway, and as who. What isn't given comes from a
// context of headway login.
type target struct {
	Context   string `group:"Where" help:"Context of headway login to use instead of the current one." placeholder:"NAME" env:"HEADWAY_CONTEXT"`
	URL       string `name:"url" group:"Where" help:"Address of the API (default: that of the context, else http://127.0.0.1:8080)." placeholder:"URL" env:"HEADWAY_URL"`
	Token     string `group:"Where" help:"API key; better given by headway login, the environment or --token-file, since others can see command lines." env:"HEADWAY_TOKEN"`
	TokenFile string `group:"Where" help:"File with the API key. It is read for each connection, so that it can be replaced." placeholder:"FILE" env:"HEADWAY_TOKEN_FILE"`

	certificates

	in chosen `kong:"-"`
}

// chosen is what is used after flags, environment, headway.yaml and contexts were looked at.
type chosen struct {
	context    string // the name of the one in use; "": none
	credential credential
}

// AfterApply is called by kong.
func (t *target) AfterApply(k *kong.Context) error { return t.choose(k, "", nil) }

// The ranks of what may give a value: a higher one outweighs a lower one. A context has the rank of what names it.
const (
	notGiven = iota // or the current context
	inFile
	inEnvironment
	onCommandLine
)

// rank returns what gives a flag its value, and its name for messages.
func rank(k *kong.Context, name string) (rank int, source string) {
	for _, p := range k.Path {
		switch {
		case p.Flag == nil || p.Flag.Name != name:
		case p.Resolved:
			return inFile, "headway.yaml"
		default:
			return onCommandLine, "--" + name
		}
	}
	for _, f := range k.Flags() {
		if f.Name != name {
			continue
		}
		for _, variable := range f.Tag.Envs {
			if os.Getenv(variable) != "" {
				return inEnvironment, variable
			}
		}
	}
	return notGiven, ""
}

// choose completes the flags from the context in use. namespace is the value of a verb's flag for it; nil: it has none.
func (t *target) choose(k *kong.Context, flag string, namespace *string) error {
	stored, err := contexts.Load()
	if err != nil {
		return ExitError{Code: exitUsage, Err: err}
	}
	named, source := rank(k, "context")
	name := t.Context
	if name == "" {
		named, name = notGiven, stored.Current
	}
	c, found := stored.Contexts[name]
	if !found && named != notGiven {
		return noContext(source, name)
	}
	outweighs := func(flag string) bool { // the context, what the flag was given
		given, _ := rank(k, flag)
		return given == notGiven || given < named
	}
	if found {
		switch given, by := rank(k, "url"); {
		case outweighs("url"):
			t.URL = c.URL
		case sameURL(t.URL, c.URL):
		case given == named:
			return ExitError{Code: exitUsage, Err: fmt.Errorf("%s: isn't the address of the context %s, which is %s: leave out %s or %s", by, name, bare(c.URL), by, source)}
		default:
			found = false // another Headway: the context's credential isn't for it
		}
	}
	if t.URL == "" {
		t.URL = defaultURL
	}
	switch _, byToken := rank(k, "token"); {
	case found && outweighs("token") && outweighs("token-file"):
		t.in.credential = ofContext(name, c)
	default:
		file, byFile := rank(k, "token-file")
		given, _ := rank(k, "token")
		t.in.credential = givenCredential(t.Token, byToken, t.TokenFile, byFile, file >= given)
	}
	if !found {
		return nil
	}
	t.in.context = name
	for flag, value := range map[string]struct{ to, of *string }{
		"ca-file": {&t.CAFile, &c.Files.CA}, "cert-file": {&t.CertFile, &c.Files.Cert}, "key-file": {&t.KeyFile, &c.Files.Key},
	} {
		if *value.of != "" && outweighs(flag) {
			*value.to = *value.of
		}
	}
	if namespace != nil && c.Namespace != "" && outweighs(flag) {
		*namespace = c.Namespace
	}
	return nil
}

func noContext(source, name string) error {
	return ExitError{Code: exitUsage, Err: fmt.Errorf("%s: there is no context %q: headway contexts lists those that there are, and headway login makes one", source, plain(name))}
}

// sameURL reports whether two addresses are those of one API.
func sameURL(a, b string) bool {
	return strings.EqualFold(strings.TrimSuffix(a, "/"), strings.TrimSuffix(b, "/"))
}

// flags are those with which a command finds the same Headway. A token is never printed: it comes from where it came from.
func (t *target) flags() string {
	switch {
	case t.in.context != "":
		return " --context " + quoted(t.in.context)
	case sameURL(t.URL, defaultURL):
		return ""
	}
	return " --url " + quoted(bare(t.URL))
}

// contextName is how messages call a context.
func contextName(name string) string { return "the context " + plain(name) }

var errNoSecret = errors.New("is empty")
