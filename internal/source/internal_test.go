// This file holds what the walk over JSON takes against what encoding/json does.

package source

import (
	"encoding/json"
	"strings"
	"testing"
)

// FuzzJSON holds that the walk finds a mistake where encoding/json does and nowhere else, and that it reads the same
// values where no key is repeated and no text had to be cleaned.
func FuzzJSON(f *testing.F) {
	for _, text := range []string{
		"", "{", "[", "{}", "[]", "[1,]", "[1 2]", `{"a":1,}`, `{"a" 1}`, `{"a":}`, `{a:1}`, `{"a":1}x`, " [ 1 , 2 ] ", `"`, `"\`, `"\u12`, `"\u12g4"`,
		`"\x"`, "\"\x01\"", `"\ud800"`, "tru", "true", "nul", "null", "falsey", "-", "-1", "01", "1.", "1.5", ".5", "1e", "1e+", "1E-05", "+1", "[[[]]]",
		`{"a":{"b":[{"c":"d\n\u00e9"}]},"e":null}`, `{"a":1,"a":2}`, "[,1]", "{,}", "[1}", `{"a":1]`, strings.Repeat("[", 200) + strings.Repeat("]", 200),
		strings.Repeat("[", 200) + strings.Repeat("]", 199) + "}", strings.Repeat("[", 20000) + strings.Repeat("]", 20000),
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var notes notes
		value, err := parseJSON(text, &notes)
		if valid := json.Valid([]byte(text)); valid != (err == nil) {
			t.Fatalf("valid %v, but %v", valid, err)
		}
		if err != nil {
			if len(notes) > 0 {
				t.Errorf("notes about a body that is none: %q", notes)
			}
			return
		}
		if len(notes) > 0 {
			return
		}
		again, err := json.Marshal(Plain(value))
		if err != nil {
			t.Fatal(err)
		}
		d := json.NewDecoder(strings.NewReader(text))
		d.UseNumber()
		var want any
		if err := d.Decode(&want); err != nil {
			t.Fatal(err)
		}
		usual, err := json.Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		if string(again) != string(usual) && !unclean(text) {
			t.Errorf("read as %s, encoding/json reads %s", again, usual)
		}
	})
}

// unclean tells whether a text may hold what chat.Clean changes, as it is or as an escape.
func unclean(text string) bool {
	return strings.Contains(text, `\`) || strings.ContainsFunc(text, func(r rune) bool { return r >= 0x7f })
}
