package source_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/afterchat/afterchat/internal/chat"
	"github.com/afterchat/afterchat/internal/source"
)

var update = flag.Bool("update", false, "write the golden files")

// bodyCase is one txtar: body (or body.quoted, a Go string per line), content-type, and want.json or error.
type bodyCase struct {
	path    string
	archive *txtar.Archive
	hook    source.Hook
}

func bodyCases(t testing.TB) []bodyCase {
	t.Helper()
	paths, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no cases in testdata: %v", err)
	}
	cases := make([]bodyCase, 0, len(paths))
	for _, path := range paths {
		archive, err := txtar.ParseFile(path)
		if err != nil {
			t.Fatal(err)
		}
		c := bodyCase{path: path, archive: archive}
		for _, f := range archive.Files {
			switch f.Name {
			case "body":
				c.hook.Body = f.Data
			case "body.quoted":
				c.hook.Body = unquote(t, f.Data)
			case "content-type":
				c.hook.ContentType = strings.TrimSpace(string(f.Data))
			}
		}
		cases = append(cases, c)
	}
	return cases
}

// unquote joins lines of Go strings.
func unquote(t testing.TB, data []byte) []byte {
	t.Helper()
	var out []byte
	for line := range strings.Lines(string(data)) {
		s, err := strconv.Unquote(strings.TrimSpace(line))
		if err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		out = append(out, s...)
	}
	return out
}

func TestReadObject(t *testing.T) {
	t.Parallel()
	for _, c := range bodyCases(t) {
		t.Run(strings.TrimSuffix(filepath.Base(c.path), ".txtar"), func(t *testing.T) {
			t.Parallel()
			object, warnings, err := source.ReadObject(c.hook)
			got := txtar.File{Name: "want.json"}
			if err != nil {
				var refused *source.Error
				if !errors.As(err, &refused) || object != nil || warnings != nil {
					t.Fatalf("object %v, warnings %v, error %#v: want only an *Error", object, warnings, err)
				}
				got = txtar.File{Name: "error", Data: []byte(err.Error() + "\n")}
			} else {
				got.Data = indented(t, map[string]any{"object": object, "warnings": warnings})
			}
			golden(t, c.path, c.archive, got)
		})
	}
}

func indented(t testing.TB, v any) []byte {
	t.Helper()
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(v); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// golden compares got with the file of the archive that is no input, or writes it there.
func golden(t *testing.T, path string, archive *txtar.Archive, got txtar.File) {
	t.Helper()
	var want txtar.File
	var inputs []txtar.File
	for _, f := range archive.Files {
		if f.Name == "want.json" || f.Name == "error" {
			want = f
			continue
		}
		inputs = append(inputs, f)
	}
	if *update {
		out := txtar.Archive{Comment: archive.Comment, Files: append(inputs, got)}
		if err := os.WriteFile(path, txtar.Format(&out), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if want.Name != got.Name {
		t.Fatalf("got %s, want %s: %s", got.Name, want.Name, got.Data)
	}
	if diff := cmp.Diff(string(want.Data), string(got.Data)); diff != "" {
		t.Errorf("%s (-want +got):\n%s", got.Name, diff)
	}
}

func TestReadObjectKeepsDeepValuesAsText(t *testing.T) {
	t.Parallel()
	const levels = 9000
	body := `{"a":` + strings.Repeat("[", levels) + `"deep ]\" text"` + strings.Repeat("]", levels) + `,"b":1}`
	object, warnings, err := source.ReadObject(source.Hook{Body: []byte(body)})
	if err != nil {
		t.Fatal(err)
	}
	depth, v := 0, object["a"]
	for {
		list, ok := v.([]any)
		if !ok {
			break
		}
		depth, v = depth+1, list[0]
	}
	text, _ := v.(string)
	if depth != 99 || !strings.Contains(text, `"deep ]\" text"`) || len(warnings) != 1 || object["b"] != json.Number("1") {
		t.Errorf("depth %d, warnings %q, b %v, text holds %d bytes", depth, warnings, object["b"], len(text))
	}
}

func TestReadObjectRefusesTooManyValues(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]string{
		"json": `{"a":[` + strings.Repeat("1,", 1<<20) + `1]}`,
		"form": "a=1" + strings.Repeat("&a=", 1<<20),
	} {
		_, _, err := source.ReadObject(source.Hook{Body: []byte(body)})
		if err == nil || err.Error() != "the body holds more than 1048576 values" {
			t.Errorf("%s: got error %v", name, err)
		}
	}
}

func FuzzReadObject(f *testing.F) {
	for _, c := range bodyCases(f) {
		f.Add(c.hook.Body, c.hook.ContentType)
	}
	f.Fuzz(func(t *testing.T, body []byte, contentType string) {
		object, warnings, err := source.ReadObject(source.Hook{Body: body, ContentType: contentType})
		if err != nil {
			var refused *source.Error
			if !errors.As(err, &refused) || refused.Reason == "" {
				t.Fatalf("error %#v is no *Error with a reason", err)
			}
			return
		}
		again, warningsAgain, err := source.ReadObject(source.Hook{Body: body, ContentType: contentType})
		if err != nil || !cmp.Equal(object, again) || !cmp.Equal(warnings, warningsAgain) {
			t.Fatalf("read differently the second time: %v\n%v\n%v", err, object, again)
		}
		got := map[string]bool{}
		texts(object, func(s string) {
			if s != chat.Clean(s) {
				t.Errorf("%q is not clean", s)
			}
			got[s] = true
		})
		var plain map[string]any
		if strings.Contains(contentType, "charset") || json.Unmarshal(body, &plain) != nil || bytes.Count(body, []byte("["))+bytes.Count(body, []byte("{")) > 90 {
			return
		}
		if !bytes.Equal(bytes.ToValidUTF8(body, nil), body) {
			return
		}
		texts(plain, func(s string) {
			if !got[chat.Clean(s)] {
				t.Errorf("%q was lost from %v", s, object)
			}
		})
	})
}

// texts calls visit with every key and text in v.
func texts(v any, visit func(string)) {
	switch v := v.(type) {
	case string:
		visit(v)
	case []any:
		for _, e := range v {
			texts(e, visit)
		}
	case map[string]any:
		for k, e := range v {
			visit(k)
			texts(e, visit)
		}
	}
}
