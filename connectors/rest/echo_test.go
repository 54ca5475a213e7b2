// This file tests what an error quotes of an answer that repeats the request.

package rest

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestWithoutEcho(t *testing.T) {
	t.Parallel()
	request := `{"subject":"chat with Ada","transcript":"[10:00] Ada: my \"secret\" illness is nobody else's business, please help\n[10:01] Jan: of course"}`
	for name, tt := range map[string]struct{ text, request, want string }{
		"nothing repeated":      {"subject is too long", request, "subject is too long"},
		"a value is named":      {`subject "chat with Ada" is taken`, request, `subject "chat with Ada" is taken`},
		"the whole, as sent":    {"invalid: " + request, request, "invalid: {\"…\"}"},
		"unescaped":             {`invalid text: my "secret" illness is nobody else's business, please help; see the docs`, request, "invalid text: …; see the docs"},
		"without a request":     {"invalid: " + request, "", "invalid: " + request},
		"a short answer":        {"no", request, "no"},
		"letters of any script": {"chyba: příliš žluťoučký kůň úpěl ďábelské ódy", `{"t":"příliš žluťoučký kůň úpěl ďábelské ódy"}`, "chyba: …"},
	} {
		if got := withoutEcho(tt.text, []byte(tt.request)); got != tt.want {
			t.Errorf("%s:\n%s\nwant\n%s", name, got, tt.want)
		}
	}
}

func FuzzWithoutEcho(f *testing.F) {
	f.Add("invalid: my secret illness is nobody else's business", "my secret illness is nobody else's business")
	f.Add("é\xff", "\xff")
	f.Fuzz(func(t *testing.T, text, request string) {
		text = strings.ToValidUTF8(text, "?")
		got := withoutEcho(text, []byte(request))
		if !utf8.ValidString(got) {
			t.Errorf("%q is cut inside a character", got)
		}
		if len(got) > len(text)+len(text)/echoLength*len(echoMask) {
			t.Errorf("%q became longer: %q", text, got)
		}
	})
}
