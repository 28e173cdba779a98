// Package bundle makes the archive of a bug report, without secrets, and reads the events of such an archive so that they can be
// played back.
//
// An archive consists of parts, each a file. A part that can't be had is listed in manifest.json with the reason, and the others are
// there all the same. Nothing leaves Pack that Redactor hasn't seen.
package bundle

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"
	"time"

	"github.com/headwayhq/headway/pkg/buildinfo"
)

// format is the version of the archive's layout.
const format = 1

// Part is one file of an archive.
type Part struct {
	Name string // path in the archive; its ending says how it is redacted: .json, .jsonl, or text
	From string // where the content comes from, for readers
	// Take gets the content. With an error, what it returns besides is kept, if anything.
	Take func(context.Context) ([]byte, error)
}

// Options of an archive.
type Options struct {
	Taken            time.Time
	Namespace, Batch string        // the batch whose parts are there; "": none
	Messages         bool          // keep the texts that producers wrote
	Secrets          []string      // values that must not be in any file
	Within           time.Duration // the limit of each part
}

// Manifest lists what an archive has, and what it couldn't have.
type Manifest struct {
	Format    int       `json:"bundle"`
	Taken     time.Time `json:"taken_at"`
	Headway   string    `json:"headway"` // the program that made it
	Namespace string    `json:"namespace,omitempty"`
	Batch     string    `json:"batch,omitempty"`
	Messages  string    `json:"messages"` // kept, removed
	Redacted  string    `json:"redacted"`
	LeftIn    string    `json:"left_in"`
	Files     []File    `json:"files"`
	Missing   []Missing `json:"missing"`
}

// File is a part that is in the archive.
type File struct {
	Name  string `json:"name"`
	From  string `json:"from"`
	Bytes int    `json:"bytes"`
}

// Missing is a part that isn't, or of which something isn't.
type Missing struct {
	Name string `json:"name"`
	From string `json:"from"`
	Why  string `json:"why"`
}

// What the manifest says of redaction.
const (
	redactedText = "Credentials, passwords, tokens, keys, users in addresses, values of environment variables and e-mail addresses are replaced by [redacted]."
	withoutTexts = " Texts that producers wrote (messages, errors, logs, stacks, details) and ids of documents are replaced by [text N, M characters]: equal texts have equal numbers."
	leftIn       = "Ids and names of batches, jobs, collections, clusters and workers; pipelines, owners, labels; types of errors; parameters of jobs; names of hosts, and addresses without users."
)

// ManifestName is the name of the file that lists the others.
const ManifestName = "manifest.json"

// Collected is a redacted archive that isn't written yet.
type Collected struct {
	Manifest Manifest
	content  map[string][]byte
}

// Collect takes all parts, one after another, and redacts them.
func Collect(ctx context.Context, o Options, parts []Part) *Collected {
	m := Manifest{
		Format: format, Taken: o.Taken.UTC(), Headway: buildinfo.Read().String(), Namespace: o.Namespace, Batch: o.Batch, Messages: "kept", Redacted: redactedText, LeftIn: leftIn,
		Files: []File{}, Missing: []Missing{},
	}
	if !o.Messages {
		m.Messages, m.Redacted = "removed", redactedText+withoutTexts
	}
	c := &Collected{Manifest: m, content: map[string][]byte{}}
	r := newRedactor(o.Secrets, o.Messages)
	for _, p := range parts {
		limited, cancel := context.WithTimeout(ctx, o.Within)
		taken, err := p.Take(limited)
		cancel()
		if err != nil {
			c.Manifest.Missing = append(c.Manifest.Missing, Missing{p.Name, p.From, r.line(err.Error())})
		}
		if taken != nil {
			c.Manifest.Files = append(c.Manifest.Files, File{Name: p.Name, From: p.From})
			c.content[p.Name] = taken
			r.learn(p.Name, taken)
		}
	}
	for i := range c.Manifest.Files { // only now all texts are known
		f := &c.Manifest.Files[i]
		c.content[f.Name] = r.file(f.Name, c.content[f.Name])
		f.Bytes = len(c.content[f.Name])
	}
	return c
}

// Write writes the archive as .zip, or else as .tar.gz. All files are in one directory of the given name.
func (c *Collected) Write(out io.Writer, dir string, zipped bool) error {
	list, err := json.MarshalIndent(c.Manifest, "", "  ")
	if err != nil {
		return fmt.Errorf("bundle: %w", err)
	}
	w := archive(&tarred{})
	if zipped {
		w = &zippedFiles{}
	}
	w.begin(out)
	err = w.add(path.Join(dir, ManifestName), append(list, '\n'), c.Manifest.Taken)
	for _, f := range c.Manifest.Files {
		err = errors.Join(err, w.add(path.Join(dir, f.Name), c.content[f.Name], c.Manifest.Taken))
	}
	if err = errors.Join(err, w.end()); err != nil {
		return fmt.Errorf("bundle: %w", err)
	}
	return nil
}

type archive interface {
	begin(out io.Writer)
	add(name string, content []byte, at time.Time) error
	end() error
}

type tarred struct {
	zip *gzip.Writer
	tar *tar.Writer
}

func (t *tarred) begin(out io.Writer) { t.zip = gzip.NewWriter(out); t.tar = tar.NewWriter(t.zip) }

func (t *tarred) add(name string, content []byte, at time.Time) error {
	if err := t.tar.WriteHeader(&tar.Header{Name: name, Mode: 0o600, Size: int64(len(content)), ModTime: at}); err != nil {
		return err
	}
	_, err := t.tar.Write(content)
	return err
}

func (t *tarred) end() error { return errors.Join(t.tar.Close(), t.zip.Close()) }

type zippedFiles struct{ zip *zip.Writer }

func (z *zippedFiles) begin(out io.Writer) { z.zip = zip.NewWriter(out) }

func (z *zippedFiles) add(name string, content []byte, at time.Time) error {
	w, err := z.zip.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Deflate, Modified: at})
	if err == nil {
		_, err = w.Write(content)
	}
	return err
}

func (z *zippedFiles) end() error { return z.zip.Close() }

// maxFile limits a file of an archive that is read.
const maxFile = 512 << 20

var errTooLarge = errors.New("a file of it is larger than 512 MiB")

// files reads the named files of an archive, by their names without the directory.
func files(data []byte, names ...string) (map[string][]byte, error) {
	out := map[string][]byte{}
	take := func(name string, from io.Reader) error {
		for _, wanted := range names {
			if name != wanted && !strings.HasSuffix(name, "/"+wanted) {
				continue
			}
			content, err := io.ReadAll(io.LimitReader(from, maxFile+1))
			if err != nil {
				return err
			}
			if len(content) > maxFile {
				return errTooLarge
			}
			out[wanted] = content
		}
		return nil
	}
	if bytes.HasPrefix(data, []byte("PK")) {
		return out, fromZip(data, take)
	}
	return out, fromTar(data, take)
}

func fromZip(data []byte, take func(string, io.Reader) error) error {
	z, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		return err
	}
	for _, f := range z.File {
		content, err := f.Open()
		if err == nil {
			err = errors.Join(take(f.Name, content), content.Close())
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func fromTar(data []byte, take func(string, io.Reader) error) error {
	z, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		return err
	}
	t := tar.NewReader(z)
	for {
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil {
			err = take(h.Name, t)
		}
		if err != nil {
			return err
		}
	}
}
