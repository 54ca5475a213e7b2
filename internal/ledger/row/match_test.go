package row

import (
	"strings"
	"testing"
)

func TestMatch(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]Match{
		"":                 {"email", "", false},
		"Ada@Example.com":  {"email", "ada@example.com", false},
		"ada":              {"email", "ada", true},
		"ada*":             {"email", "ada", true},
		"ada@*":            {"email", "ada@", true},
		"ada@exa*":         {"email", "ada@exa", true},
		"@Example.com":     {"domain", "example.com", false},
		"@exa*":            {"domain", "exa", true},
		`"a@b"@example.cz`: {"email", `"a@b"@example.cz`, false},
	} {
		if got := MatchEmail(value); got != want {
			t.Errorf("e-mail %q: %+v, want %+v", value, got, want)
		}
	}
	for value, want := range map[string]Match{"X1": {"external_id", "X1", false}, "X1*": {"external_id", "X1", true}, "": {"external_id", "", false}} {
		if got := MatchExternalID(value); got != want {
			t.Errorf("external id %q: %+v, want %+v", value, got, want)
		}
	}
	for email, want := range map[string]string{"": "", "ada": "", "ada@Example.com": "example.com", `"a@b"@c.cz`: "c.cz", "ada@": ""} {
		if got := Domain(email); got != want {
			t.Errorf("domain of %q: %q, want %q", email, got, want)
		}
	}
	for text, want := range map[string]string{"4711": "4711", " #4711 ": "4711", "#": "", "two words": "", strings.Repeat("x", 201): ""} {
		if got := ReceiptID(text); got != want {
			t.Errorf("receipt %q: %q, want %q", text, got, want)
		}
	}
}

func TestBehind(t *testing.T) {
	t.Parallel()
	for prefix, want := range map[string]string{
		"": "", "a": "b", "ab": "ac", "az": "a{", "é": "ê", "a\U0010ffff": "b", "\U0010ffff": "", "\ud7ff": "\ue000", "a\U0010ffff\U0010ffff": "b",
	} {
		got := Behind(prefix)
		if got != want {
			t.Errorf("behind %q: %q, want %q", prefix, got, want)
		}
		if got != "" && (got <= prefix || got <= prefix+"\U0010ffff\U0010ffff\U0010ffff" || strings.HasPrefix(got, prefix)) {
			t.Errorf("%q is not behind all that begin with %q", got, prefix)
		}
	}
}
