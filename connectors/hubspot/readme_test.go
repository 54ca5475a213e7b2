// This file keeps the tables of README.md like the declaration, and its configuration like the settings.

package hubspot_test

import (
	"encoding"
	"flag"
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/afterchat/afterchat/connectors"
	"github.com/afterchat/afterchat/connectors/hubspot"
)

var update = flag.Bool("update", false, "write what the tests compare with")

func TestReadmeTables(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	tables := map[string]string{
		"settings": "| setting | type | default | meaning |\n|---|---|---|---|\n" + settingRows(reflect.ValueOf(*settings(nil)), ""),
		"fields":   "| field | type | limit | meaning |\n|---|---|---|---|\n" + fieldRows(hubspot.Type().Fields(settings(nil))),
	}
	now := string(text)
	for name, table := range tables {
		before, rest, ok := strings.Cut(now, "<!-- "+name+" -->\n")
		_, after, ok2 := strings.Cut(rest, "<!-- end -->")
		if !ok || !ok2 {
			t.Fatalf("README.md has no table of %s", name)
		}
		now = before + "<!-- " + name + " -->\n" + table + "<!-- end -->" + after
	}
	if *update {
		if err := os.WriteFile("README.md", []byte(now), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want(t, "README.md; run go test -update", now, string(text))
}

// settingRows makes a row for each setting. s holds the defaults.
func settingRows(s reflect.Value, prefix string) string {
	var out strings.Builder
	for i := range s.NumField() {
		field, value := s.Type().Field(i), s.Field(i)
		kind, fallback := "text", ""
		if values := field.Tag.Get("enum"); values != "" {
			kind = "`" + strings.ReplaceAll(values, ",", "`, `") + "`"
		}
		nested := field.Type.Kind() == reflect.Pointer
		_, isSecret := value.Interface().(encoding.TextMarshaler)
		switch {
		case isSecret:
			kind = "secret"
		case nested:
			kind = "map"
		case value.String() != "":
			fallback = "`" + value.String() + "`"
		}
		if field.Tag.Get("required") == "true" {
			kind += ", required"
		}
		fmt.Fprintf(&out, "| `%s` | %s | %s | %s |\n", prefix+field.Tag.Get("yaml"), kind, fallback, field.Tag.Get("doc"))
		if nested {
			out.WriteString(settingRows(reflect.New(field.Type.Elem()).Elem(), prefix+field.Tag.Get("yaml")+"."))
		}
	}
	return out.String()
}

func fieldRows(fields []connectors.Field) string {
	var out strings.Builder
	for _, f := range fields {
		kind, limit := string(f.Type), ""
		if f.Items != nil {
			kind += " of " + string(f.Items.Type)
			if f.Items.Limit > 0 {
				limit = fmt.Sprintf("%d characters each", f.Items.Limit)
			}
		}
		if f.Required {
			kind += ", required"
		}
		if f.Limit > 0 {
			limit = fmt.Sprintf("%d bytes", f.Limit)
		}
		fmt.Fprintf(&out, "| `%s` | %s | %s | %s |\n", f.Name, kind, limit, f.Doc)
	}
	return out.String()
}
