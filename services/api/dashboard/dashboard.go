package dashboard

import (
	"bytes"
	"compress/gzip"
	"embed"
	"html"
	"io/fs"
	"mime"
	"path"
)

// all: a dot file keeps the directory in the repository, so that it can be embedded before anything is built.
//
//go:embed all:dist
var built embed.FS

// Asset is one file of the page. Its name contains a hash of its contents.
type Asset struct {
	Type string
	Body []byte
	Zip  []byte // the same, compressed; nil if that saves nothing
}

// Dashboard is the built page.
type Dashboard struct {
	Page    []byte           // index.html; nil if it wasn't built
	Guarded []byte           // the same for an API with access control, which the page can't find out without asking for something more
	Assets  map[string]Asset // by name below /assets/
}

// Built reports whether there is a page.
func (d *Dashboard) Built() bool { return d.Page != nil }

// Tell gives the page of an API without access control a value, as data-NAME of its root.
func (d *Dashboard) Tell(name, value string) {
	if value != "" {
		d.Page = bytes.Replace(d.Page, []byte("<html "), []byte(`<html data-`+name+`="`+html.EscapeString(value)+`" `), 1)
	}
}

// Load reads the page that the program was built with, to be served under a base path such as /headway, "" for none.
func Load(base string) (*Dashboard, error) { return load(built, base) }

// Under makes the links of a page, which begin with ./, lead to addresses under a base path. The page can have several addresses, so
// that they can't stay relative.
func Under(base string, page []byte) []byte {
	page = bytes.ReplaceAll(page, []byte(`="./`), []byte(`="`+base+`/`))
	return bytes.Replace(page, []byte("<html "), []byte(`<html data-base="`+base+`" `), 1)
}

func load(files fs.FS, base string) (*Dashboard, error) {
	d := &Dashboard{Assets: map[string]Asset{}}
	page, err := fs.ReadFile(files, "dist/index.html")
	if err != nil {
		return d, nil //nolint:nilerr // built without Node
	}
	names, err := fs.Glob(files, "dist/assets/*")
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		body, err := fs.ReadFile(files, name)
		if err != nil {
			return nil, err
		}
		zip, err := compress(body)
		if err != nil {
			return nil, err
		}
		d.Assets[path.Base(name)] = Asset{Type: typeOf(name), Body: body, Zip: zip}
	}
	page = Under(base, page)
	d.Page = page
	d.Guarded = bytes.Replace(page, []byte("<html "), []byte(`<html data-access="on" `), 1)
	return d, nil
}

// typeOf has fixed content types, because browsers are strict with nosniff and the machine's tables may differ.
func typeOf(name string) string {
	switch path.Ext(name) {
	case ".js":
		return "text/javascript; charset=utf-8"
	case ".css":
		return "text/css; charset=utf-8"
	case ".svg":
		return "image/svg+xml"
	}
	if t := mime.TypeByExtension(path.Ext(name)); t != "" {
		return t
	}
	return "application/octet-stream"
}

func compress(body []byte) ([]byte, error) {
	var out bytes.Buffer
	w, err := gzip.NewWriterLevel(&out, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(body); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	if out.Len() >= len(body) {
		return nil, nil
	}
	return out.Bytes(), nil
}
