package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"time"
	"unicode"

	"github.com/headwayhq/headway/pkg/client"
	"github.com/headwayhq/headway/services/headway/contexts"
)

// credential is what a verb shows to the API, and who gave it.
type credential struct {
	from  string       // for messages: a flag, a variable or a context; "": there is none
	again string       // what to do if it isn't accepted any more
	token client.Token // nil: there is none
}

// givenCredential is that of the flags. A file is read for each connection.
func givenCredential(text, byText, path, byFile string, fileFirst bool) credential {
	switch {
	case path != "" && (fileFirst || text == ""):
		return credential{byFile, "Put the present credential into that file.", func(context.Context) (string, error) {
			read, err := os.ReadFile(path)
			if err == nil {
				text, err = secret(read)
			}
			if err != nil {
				return "", ExitError{Code: exitUsage, Err: fmt.Errorf("%s: %w", byFile, err)}
			}
			return text, nil
		}}
	case text != "":
		return credential{byText, "Give the present credential.", client.Key(text)}
	}
	return credential{}
}

// ofContext is the credential of a context.
func ofContext(name string, c contexts.Context) credential {
	from := contextName(name)
	switch {
	case c.Command != "":
		x := &command{line: c.Command, context: name}
		return credential{from, "The command of the context has to print the present credential.", x.token}
	case c.Token != "":
		return credential{from, "headway login --context " + name + " signs in again.", client.Key(c.Token)}
	}
	return credential{}
}

// secret finds the credential in what a file or a program says. No error shows it.
func secret(text []byte) (string, error) {
	text = bytes.TrimSpace(text)
	switch {
	case len(text) == 0:
		return "", errNoSecret
	case len(text) > 16<<10:
		return "", errors.New("is longer than any credential")
	case bytes.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r > unicode.MaxASCII || r == 0x7f }):
		return "", errors.New("must be one credential and nothing else, on one line")
	}
	return string(text), nil
}

// commandWithin is how long the command of a context may take. It may open a browser for somebody to sign in.
const commandWithin = 5 * time.Minute

// command gets a credential from a program. What it printed is kept until the API refuses it.
type command struct {
	line, context string

	mu   sync.Mutex // while it is held, others wait for the one run
	held string
}

func (c *command) token(ctx context.Context) (string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.held != "" && c.held != client.RefusedCredential(ctx) {
		return c.held, nil
	}
	printed, err := run(ctx, c.line)
	if err != nil {
		return "", ExitError{Code: exitUnknown, Err: fmt.Errorf("%s: its command %w", contextName(c.context), err)}
	}
	c.held = printed
	return printed, nil
}

// run has a shell run a command, and returns the credential that it prints. What it says on standard error is shown.
func run(ctx context.Context, line string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, commandWithin)
	defer cancel()
	shell := []string{"sh", "-c", line}
	if runtime.GOOS == "windows" {
		shell = []string{"cmd", "/C", line}
	}
	x := exec.CommandContext(ctx, shell[0], shell[1:]...) // the user's own command, from a file that only they can write
	x.Stderr, x.WaitDelay = os.Stderr, time.Second
	printed, err := x.Output()
	if err != nil {
		return "", fmt.Errorf("failed: %w", err)
	}
	text, err := secret(printed)
	if err != nil {
		return "", fmt.Errorf("printed what isn't a credential: it %s", strings.TrimPrefix(err.Error(), "it "))
	}
	return text, nil
}
