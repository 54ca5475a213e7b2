// Package page turns what the console knows into HTML. It is pure: a view goes in, a page comes out. Pages work without
// JavaScript; console.js adds keys, live updates and local times.
//
// This file holds the templates and the files that go with them.
package page

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"html/template"
	"io"
	"io/fs"
	"path"
	"strings"
	"sync"
)

//go:embed templates/*.html
var templates embed.FS

//go:embed static/*
var static embed.FS

// Asset is a file that pages refer to, under a name that changes with its content.
type Asset struct {
	Type string // Content-Type
	Data []byte
}

type assets struct {
	byURL map[string]Asset
	urls  map[string]string // by file name
}

// files are the assets under their addresses, made once.
var files = sync.OnceValue(func() assets {
	all := assets{byURL: map[string]Asset{}, urls: map[string]string{}}
	types := map[string]string{".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}
	names, err := fs.Glob(static, "static/*")
	if err != nil {
		panic(err) // the pattern is wrong
	}
	for _, name := range names {
		data, err := static.ReadFile(name)
		if err != nil {
			panic(err) // embedded files can be read
		}
		digest := sha256.Sum256(data)
		file := path.Base(name)
		url := "/assets/" + hex.EncodeToString(digest[:6]) + "/" + file
		all.urls[file] = url
		all.byURL[url] = Asset{Type: types[path.Ext(file)], Data: data}
	}
	return all
})

// File returns the asset at an address such as /assets/0123456789ab/console.css, which never changes.
func File(url string) (Asset, bool) {
	a, ok := files().byURL[url]
	return a, ok
}

// set is every page, parsed once. Each page is the layout with its own main.
var set = sync.OnceValue(func() map[string]*template.Template {
	parts := []string{"templates/layout.html", "templates/parts.html"}
	names, err := fs.Glob(templates, "templates/*.html")
	if err != nil {
		panic(err) // the pattern is wrong
	}
	pages := map[string]*template.Template{}
	for _, name := range names {
		if name == parts[0] || name == parts[1] {
			continue
		}
		t := template.New("layout.html").Funcs(functions)
		pages[strings.TrimSuffix(path.Base(name), ".html")] = template.Must(t.ParseFS(templates, append(parts, name)...))
	}
	return pages
})

// Render writes the page of a view. It fails only when w does, or by a mistake in a template.
func Render(w io.Writer, v View) error {
	name := v.page()
	t := set()[name]
	if t == nil {
		return fmt.Errorf("there is no page %q", name)
	}
	var out bytes.Buffer
	if err := t.Execute(&out, v); err != nil {
		return err
	}
	_, err := w.Write(visible(out.Bytes()))
	return err
}
