package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/headwayhq/headway/pkg/client"
	"github.com/headwayhq/headway/services/api/access"
	"github.com/headwayhq/headway/services/internal/backend"
)

// Keys is headway keys.
type Keys struct {
	Create KeysCreate `cmd:"" help:"Make a key, and print it. It can't be printed again."`
	List   KeysList   `cmd:"" help:"List the keys that you may manage."`
	Revoke KeysRevoke `cmd:"" help:"Revoke a key: it is refused within seconds, and its streams end."`
	Rotate KeysRotate `cmd:"" help:"Give a key a new secret, and print the key."`
}

// keysAPI are the flags of verbs about keys, which belong to no single namespace.
type keysAPI struct {
	target
	JSON bool `name:"json" help:"Print one JSON object per line, for programs."`
}

type keyJSON struct {
	ID         string     `json:"id"`
	Name       string     `json:"name"`
	Namespaces []string   `json:"namespaces"`
	Roles      []string   `json:"roles"`
	CreatedAt  time.Time  `json:"created_at"`
	CreatedBy  string     `json:"created_by"`
	ExpiresAt  *time.Time `json:"expires_at"`
	LastUsedAt *time.Time `json:"last_used_at"`
	Key        string     `json:"key,omitempty"`
}

// call sends a request about keys. A refusal of the API becomes an error that says what to do.
func (k *keysAPI) call(ctx context.Context, method, path string, body, answer any) error {
	r, err := (&shared{target: k.target}).reader(nil)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	err = r.Call(ctx, method, path, body, answer)
	var status *client.StatusError
	if errors.As(err, &status) && status.Status == http.StatusBadRequest {
		return ExitError{Code: exitUsage, Err: errors.New(plain(status.Detail))}
	}
	return k.refused(err)
}

// print writes a key that was made: the key alone to standard output, so that a script can store it.
func (k *keysAPI) print(key keyJSON) error {
	if k.JSON {
		text, err := json.Marshal(key)
		if err != nil {
			return err
		}
		return writeJSON(os.Stdout, text)
	}
	if _, err := fmt.Fprintln(os.Stdout, key.Key); err != nil {
		return err
	}
	ends := "never expires"
	if key.ExpiresAt != nil {
		ends = "expires at " + clock(key.ExpiresAt)
	}
	_, err := fmt.Fprintf(os.Stderr, "Key %s (%s): %s in %s. It %s, and is shown only now.\n", key.ID, plain(key.Name), strings.Join(key.Roles, ", "), strings.Join(key.Namespaces, ", "), ends)
	return err
}

// KeysCreate is headway keys create.
type KeysCreate struct {
	keysAPI
	Name      string            `required:"" help:"What it is for."`
	Namespace []string          `required:"" help:"A namespace that it is for, a prefix that ends in *, or * for all; may be repeated."`
	Role      []choice          `required:"" help:"What it allows: ${enum}; may be repeated." enum:"reader,writer,operator,admin"`
	Expires   time.Duration     `help:"After which time it expires, such as 720h; by default it never does." placeholder:"DURATION"`
	Direct    bool              `help:"Store it in NATS directly, for the first administrator, or where no administrator has a key any more."`
	NATSURL   string            `name:"nats-url" group:"Where" help:"NATS server, for --direct." default:"nats://127.0.0.1:4222" env:"HEADWAY_NATS_URL"`
	NATS      backend.NATSLogin `embed:"" group:"Where"`
}

// Run makes a key.
func (k *KeysCreate) Run(ctx context.Context) error {
	wanted := access.Wanted{Name: k.Name, Namespaces: k.Namespace, Roles: texts(k.Role)}
	if k.Expires != 0 {
		wanted.Expires = time.Now().Add(k.Expires)
	}
	var made keyJSON
	var err error
	if k.Direct {
		made, err = k.direct(ctx, wanted)
	} else {
		err = k.call(ctx, http.MethodPost, "/v1/keys", wanted, &made)
	}
	if err != nil {
		return err
	}
	return k.print(made)
}

// direct stores a key without asking the API: who may write to NATS may do everything anyhow.
func (k *KeysCreate) direct(ctx context.Context, wanted access.Wanted) (made keyJSON, err error) {
	nc, err := (&shared{NATSURL: k.NATSURL, NATS: k.NATS}).connect("keys")
	if err != nil {
		return made, err
	}
	defer nc.Close()
	keys, err := access.Open(nc, 1, slog.New(slog.DiscardHandler))
	if err != nil {
		return made, err
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	stored, text, err := keys.Create(ctx, access.Everybody(), wanted)
	var invalid *access.InvalidError
	switch {
	case errors.As(err, &invalid):
		return made, ExitError{Code: exitUsage, Err: err}
	case err != nil:
		return made, ExitError{Code: exitUnknown, Err: fmt.Errorf("--nats-url: %s: %s", bare(k.NATSURL), cause(err))}
	}
	made = keyJSON{ID: stored.ID, Name: stored.Name, Namespaces: stored.Namespaces, CreatedAt: stored.Created, Key: text}
	for _, r := range stored.Roles {
		made.Roles = append(made.Roles, string(r))
	}
	if !stored.Expires.IsZero() {
		made.ExpiresAt = &stored.Expires
	}
	return made, nil
}

// KeysList is headway keys list.
type KeysList struct{ keysAPI }

// Run lists keys.
func (k *KeysList) Run(ctx context.Context) error {
	var answer struct{ Keys []json.RawMessage }
	if err := k.call(ctx, http.MethodGet, "/v1/keys", nil, &answer); err != nil {
		return err
	}
	w := tabwriter.NewWriter(stdout(), 2, 8, 2, ' ', 0)
	if !k.JSON {
		_, _ = fmt.Fprintln(w, "ID\tNAME\tROLES\tNAMESPACES\tCREATED\tBY\tEXPIRES\tLAST USED")
	}
	for _, text := range answer.Keys {
		if k.JSON {
			if err := writeJSON(os.Stdout, text); err != nil {
				return err
			}
			continue
		}
		var key keyJSON
		if err := json.Unmarshal(text, &key); err != nil {
			return err
		}
		_, _ = fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", plain(key.ID), plain(key.Name), strings.Join(key.Roles, ","), strings.Join(key.Namespaces, ","),
			clock(&key.CreatedAt), orDash(&key.CreatedBy), clock(key.ExpiresAt), clock(key.LastUsedAt))
	}
	return w.Flush()
}

// KeysRevoke is headway keys revoke.
type KeysRevoke struct {
	keysAPI
	ID string `arg:"" help:"The id of the key: what is between hw_ and the next _."`
}

// Run revokes a key.
func (k *KeysRevoke) Run(ctx context.Context) error {
	if err := k.call(ctx, http.MethodDelete, "/v1/keys/"+url.PathEscape(k.ID), nil, nil); err != nil {
		return err
	}
	fmt.Fprintf(os.Stderr, "revoked %s: it is refused everywhere within seconds\n", plain(k.ID))
	return nil
}

// KeysRotate is headway keys rotate.
type KeysRotate struct {
	keysAPI
	ID      string        `arg:"" help:"The id of the key."`
	Overlap time.Duration `help:"How long the present secret is still accepted, up to 30 days." default:"0s"`
}

// Run gives a key a new secret.
func (k *KeysRotate) Run(ctx context.Context) error {
	var made keyJSON
	wanted := map[string]int64{"overlap_seconds": int64(k.Overlap / time.Second)}
	if err := k.call(ctx, http.MethodPost, "/v1/keys/"+url.PathEscape(k.ID)+"/rotate", wanted, &made); err != nil {
		return err
	}
	return k.print(made)
}
