package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/charmbracelet/x/term"

	"github.com/headwayhq/headway/pkg/client"
	"github.com/headwayhq/headway/services/api/access"
	"github.com/headwayhq/headway/services/headway/contexts"
)

// Login is headway login.
type Login struct {
	Context   string `help:"Name of the context (default: the current one if it has this address, else the host of the address)." placeholder:"NAME" env:"HEADWAY_CONTEXT"`
	URL       string `name:"url" help:"Address of the API (default: that of the context, else http://127.0.0.1:8080)." placeholder:"URL" env:"HEADWAY_URL"`
	Namespace string `help:"Namespace to use with the context (default: that which the API takes for the key)." placeholder:"NAME"`
	TokenFile string `help:"File with the key; - reads standard input." placeholder:"FILE" xor:"from"`
	Command   string `help:"Command for the shell that prints a key, run whenever one is needed. It is stored instead of a key." placeholder:"COMMAND" xor:"from"`
	JSON      bool   `name:"json" help:"Print one JSON object, for programs."`
	certificates
}

// Help is called by kong.
func (Login) Help() string {
	return "Asks for the key without showing it, or reads it from --token-file or standard input. It is checked before it is stored, in a file that only you may read: $HEADWAY_CONTEXTS, else ~/.config/headway/contexts.yaml."
}

// Run checks a credential and stores it in a context, which becomes the current one.
func (l *Login) Run(ctx context.Context) error {
	stored, err := contexts.Load()
	if err != nil {
		return ExitError{Code: exitUsage, Err: err}
	}
	name, c, err := l.place(stored)
	if err != nil {
		return err
	}
	if c.Files, err = l.stored(); err != nil {
		return err
	}
	if before := stored.Contexts[name]; c.Files == (contexts.Files{}) && sameURL(c.URL, before.URL) {
		c.Files = before.Files
	}
	who := whose{shared: shared{target: target{URL: c.URL}, Namespace: l.Namespace, JSON: l.JSON}}
	who.CAFile, who.CertFile, who.KeyFile = c.Files.CA, c.Files.Cert, c.Files.Key
	who.in.context = name
	if err := l.check(ctx, &who, name, &c); err != nil {
		return err
	}
	if c.Namespace == "" && who.me.Default != nil {
		c.Namespace = *who.me.Default
	}
	who.Namespace = c.Namespace
	err = contexts.Update(func(f *contexts.File) error {
		f.Contexts[name], f.Current = c, name
		return nil
	})
	if err != nil {
		return err
	}
	l.warn(c.URL)
	if l.JSON {
		return who.printJSON()
	}
	_, err = fmt.Fprintf(stdout(), "Signed in to %s: %s.\nThe context %s is the current one, with %s.\n", bare(c.URL), who.sentence(), plain(name), placeOf(c.Namespace))
	return err
}

func placeOf(namespace string) string {
	if namespace == "" {
		return "no namespace: --namespace names one"
	}
	return "the namespace " + namespace
}

// place finds the context to sign in to: its name and its address.
func (l *Login) place(stored contexts.File) (name string, c contexts.Context, err error) {
	c.URL, c.Namespace = l.URL, l.Namespace
	current, known := stored.Contexts[stored.Current]
	name = l.Context
	switch {
	case name != "":
	case known && (l.URL == "" || sameURL(l.URL, current.URL)):
		name = stored.Current
	case l.URL == "":
		name = hostOf(defaultURL)
	default:
		name = hostOf(l.URL)
	}
	before := stored.Contexts[name]
	if c.URL == "" {
		c.URL = cmp.Or(before.URL, defaultURL)
	}
	if c.Namespace == "" && sameURL(c.URL, before.URL) {
		c.Namespace = before.Namespace
	}
	switch u, bad := url.Parse(c.URL); {
	case bad != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil:
		return name, c, ExitError{Code: exitUsage, Err: fmt.Errorf("--url: %s is not an http or https address without a user", bare(c.URL))}
	case !contexts.ValidName(name):
		return name, c, ExitError{Code: exitUsage, Err: errors.New("--context: must begin with a letter or digit and have up to 64 of letters, digits and . _ : @ -")}
	}
	return name, c, nil
}

func hostOf(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return strings.Trim(strings.NewReplacer("[", "", "]", "").Replace(u.Host), ":")
}

// check gets the credential and asks the API who it is for. A Headway without access control needs none.
func (l *Login) check(ctx context.Context, who *whose, name string, c *contexts.Context) error {
	if l.TokenFile == "" && l.Command == "" {
		err := who.ask(ctx)
		var status *client.StatusError
		if err == nil || !errors.As(err, &status) || status.Status != http.StatusUnauthorized {
			return who.refused(err)
		}
	}
	if err := l.read(ctx, c); err != nil {
		return err
	}
	who.in.credential = ofContext(name, *c)
	if who.in.credential.again != "" && c.Token != "" {
		who.in.credential.from, who.in.credential.again = "headway login", "Nothing was stored."
	}
	if err := who.ask(ctx); err != nil {
		return who.refused(err)
	}
	if ns := c.Namespace; ns != "" && !access.Namespaces(who.me.Namespaces).Has(ns) {
		if l.Namespace != "" {
			return ExitError{Code: exitUnknown, Err: fmt.Errorf("--namespace: %s isn't among those of the credential: %s", ns, plain(strings.Join(who.me.Namespaces, ", ")))}
		}
		c.Namespace = "" // it was that of another key
	}
	return nil
}

// read gets the credential from where the flags say: a file, a command, a terminal or standard input.
func (l *Login) read(ctx context.Context, c *contexts.Context) (err error) {
	var text []byte
	from := "the key"
	switch {
	case l.Command != "":
		c.Command = l.Command // the first request runs it
		return nil
	case l.TokenFile != "" && l.TokenFile != "-":
		from = "--token-file"
		text, err = os.ReadFile(l.TokenFile)
	case l.TokenFile == "" && term.IsTerminal(os.Stdin.Fd()):
		text, err = hidden(ctx, "Key for "+bare(c.URL)+": ")
	default:
		text, err = io.ReadAll(io.LimitReader(os.Stdin, 64<<10))
	}
	if err == nil {
		c.Token, err = secret(text)
	}
	if ctx.Err() != nil {
		return ExitError{Code: exitUnknown, Err: errors.New("interrupted")}
	}
	if err != nil {
		return ExitError{Code: exitUsage, Err: fmt.Errorf("%s: %w", from, err)}
	}
	return nil
}

// hidden reads a line from the terminal that isn't shown there.
func hidden(ctx context.Context, prompt string) ([]byte, error) {
	fd := os.Stdin.Fd()
	before, err := term.GetState(fd)
	if err != nil {
		return nil, err
	}
	type line struct {
		text []byte
		err  error
	}
	typed := make(chan line, 1)
	go func() {
		text, err := term.ReadPassword(fd)
		typed <- line{text, err}
	}()
	for range 200 { // the prompt comes once what is typed isn't shown any more
		if now, err := term.GetState(fd); err != nil || *now != *before {
			break
		}
		time.Sleep(time.Millisecond)
	}
	fmt.Fprint(os.Stderr, prompt)
	select {
	case l := <-typed:
		fmt.Fprintln(os.Stderr)
		return l.text, l.err
	case <-ctx.Done(): // Ctrl-C: the read can't be ended, but the terminal shows again what is typed
		_ = term.Restore(fd, before)
		fmt.Fprintln(os.Stderr)
		return nil, ctx.Err()
	}
}

// warn says what may surprise afterwards.
func (l *Login) warn(address string) {
	u, err := url.Parse(address)
	if ip := net.ParseIP(u.Hostname()); err == nil && u.Scheme == "http" && u.Hostname() != "localhost" && !(ip != nil && ip.IsLoopback()) {
		fmt.Fprintln(os.Stderr, "Warning: this address isn't encrypted. Whoever can read the traffic can read the key.")
	}
	for _, variable := range []string{"HEADWAY_TOKEN", "HEADWAY_TOKEN_FILE", "HEADWAY_NAMESPACE"} {
		if os.Getenv(variable) != "" {
			fmt.Fprintf(os.Stderr, "Warning: %s is set, and outweighs the current context. --context uses one all the same.\n", variable)
		}
	}
}

// Logout is headway logout.
type Logout struct {
	Context string `help:"Name of the context (default: the current one)." placeholder:"NAME" env:"HEADWAY_CONTEXT"`
}

// Run removes the credential of a context. Address and namespace stay.
func (l *Logout) Run() error {
	name, had := "", contexts.Context{}
	err := contexts.Update(func(f *contexts.File) error {
		if name = cmp.Or(l.Context, f.Current); name == "" {
			return ExitError{Code: exitUsage, Err: errors.New("--context: there is no current context, so name one; headway contexts lists them")}
		}
		c, known := f.Contexts[name]
		if !known {
			return noContext("--context", name)
		}
		had = c
		c.Token, c.Command = "", ""
		f.Contexts[name] = c
		return nil
	})
	switch {
	case err != nil:
		return err
	case had.Token == "" && had.Command == "":
		_, err = fmt.Fprintf(stdout(), "The context %s has no credential.\n", plain(name))
	case had.Token != "":
		_, err = fmt.Fprintf(stdout(), "Removed the key from %s. The key itself is still accepted; headway keys revoke ends it.\n", contextName(name))
	default:
		_, err = fmt.Fprintf(stdout(), "Removed the command from %s.\n", contextName(name))
	}
	return err
}

// askWithin is how long whoever asks who they are waits for an answer.
const askWithin = 30 * time.Second
