package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/alecthomas/kong"

	"github.com/headwayhq/headway/pkg/diagnostics"
	"github.com/headwayhq/headway/services/headway/bundle"
)

// Bundle is headway bundle.
type Bundle struct {
	Doctor
	Batch        string   `arg:"" optional:"" help:"The batch that the report is about."`
	File         string   `short:"f" help:"Where to write it: a name that ends in .tar.gz or .zip; - is standard output (default headway-bundle-TIME.tar.gz)." placeholder:"FILE"`
	WithMessages bool     `help:"Keep the texts that producers wrote: messages, errors, logs and stacks, ids of documents. Without it they are left out."`
	MetricsURL   []string `name:"metrics-url" help:"Other /metrics to include, such as http://10.0.0.5:9090/metrics of --ops-listen or of ingest. Several with commas." placeholder:"URL"`
	MaxEvents    int      `help:"At most this many events of the batch." default:"100000"`
}

// Help is called by kong.
func (Bundle) Help() string {
	return "Credentials never get into it. Each part that can't be had is listed in manifest.json with the reason, and the others are there."
}

// Validate is called by kong.
func (b *Bundle) Validate() error {
	switch {
	case b.MaxEvents < 1:
		return errors.New("--max-events: must be at least 1")
	case b.File != "" && b.File != "-" && !isArchive(b.File):
		return errors.New("--file: must end in .tar.gz, .tgz or .zip, or be -")
	}
	if _, ok := diagnostics.EncodeID(b.Batch); b.Batch != "" && !ok {
		return errors.New("<batch>: isn't the id of a batch: 1 to 128 bytes of UTF-8 without control characters")
	}
	return nil
}

func isArchive(name string) bool {
	return strings.HasSuffix(name, ".tar.gz") || strings.HasSuffix(name, ".tgz") || strings.HasSuffix(name, ".zip")
}

// Run writes the archive, with whatever can be had. Exit code 0: it is written.
func (b *Bundle) Run(ctx context.Context, k *kong.Context) error {
	b.find(k)
	now := time.Now()
	name := "headway-bundle-" + now.UTC().Format("20060102-150405")
	switch b.File {
	case "":
		b.File = name + ".tar.gz"
	case "-":
	default:
		base := filepath.Base(b.File)
		name = base[:strings.IndexByte(base+".", '.')]
	}
	c := &collector{Bundle: b, k: k, namespace: b.batchNamespace(ctx)}
	defer c.close()
	o := bundle.Options{Taken: now, Batch: b.Batch, Messages: b.WithMessages, Secrets: b.secrets(ctx, k), Within: max(4*b.Timeout, time.Second)}
	if b.Batch != "" {
		o.Namespace = c.namespace
	}
	got := bundle.Collect(ctx, o, c.parts())
	if ctx.Err() != nil {
		return ExitError{Code: exitUnknown, Err: errors.New("interrupted")}
	}
	var archive bytes.Buffer
	if err := got.Write(&archive, name, strings.HasSuffix(b.File, ".zip")); err != nil {
		return err
	}
	if b.File == "-" {
		if _, err := os.Stdout.Write(archive.Bytes()); err != nil {
			return err
		}
	} else if err := os.WriteFile(b.File, archive.Bytes(), 0o600); err != nil {
		return ExitError{Code: exitUsage, Err: fmt.Errorf("--file: %w", err)}
	}
	return b.report(&got.Manifest)
}

// batchNamespace is the namespace whose batch is meant. Where only the API knows it, it is asked.
func (b *Bundle) batchNamespace(ctx context.Context) string {
	if known := b.known(); known != "" {
		return known
	}
	ctx, cancel := context.WithTimeout(ctx, b.Timeout)
	defer cancel()
	who := whose{shared: b.shared}
	if who.ask(ctx) != nil {
		return b.namespace() // the parts say what is wrong
	}
	if used := who.used(); used != "" {
		return used
	}
	return b.namespace()
}

// report says on standard error what was written, what is missing and what is left in; with --json, the manifest on standard output.
func (b *Bundle) report(m *bundle.Manifest) error {
	if b.JSON && b.File != "-" {
		return encodeJSON(m)
	}
	w := writer{os.Stderr}
	for _, x := range m.Missing {
		w.linef("? %-21s %s", plain(x.Name), plain(x.Why))
	}
	if b.File != "-" {
		w.linef("%s has %d files; manifest.json lists them.", plain(b.File), len(m.Files)+1)
	}
	w.linef("Left in: %s", m.LeftIn)
	if b.WithMessages {
		w.linef("With the texts that producers wrote: read them before you give the file to anybody.")
	}
	return nil
}
