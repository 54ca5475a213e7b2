// This file tests what counts as a word.

package row

import (
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestWords(t *testing.T) {
	t.Parallel()
	for text, want := range map[string][]string{
		"":                              nil,
		" \x00\t!?":                     nil,
		"Hello, World!":                 {"hello", "world"},
		"Příliš ŽLUŤOUČKÝ kůň":          {"prilis", "zlutoucky", "kun"},
		"e\u0301te\u0301 \u00e9t\u00e9": {"ete", "ete"},
		"ann.b@example.com":             {"ann", "b", "example", "com"},
		"ΟΔΟΣ οδος οδός":                {"οδοσ", "οδοσ", "οδοσ"},
		"İstanbul ISTANBUL":             {"istanbul", "istanbul"},
		"Straße":                        {"straße"},
		"order #12-34, ½ ٣":             {"order", "12", "34", "½", "٣"},
		"a\x00b \xff c\u200bd":          {"a", "b", "c", "d"},
		"返金 お願い😀します":                    {"返金", "お願い", "します"},
		"שָׁלוֹם":                       {"שלום"},
		strings.Repeat("x", 100) + " y": {strings.Repeat("x", 64), "y"},
	} {
		if got := Words(text); !slices.Equal(got, want) {
			t.Errorf("Words(%q) = %q, want %q", text, got, want)
		}
	}
}

func FuzzWords(f *testing.F) {
	for _, s := range []string{"", "Příliš", "a\x00b", "\xff\xfe", "İ ſ K Å", "한국어"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		words := Words(text)
		for _, word := range words {
			if word == "" || !utf8.ValidString(word) || strings.ContainsAny(word, " '\\:*&|!<>()\x00%_") {
				t.Errorf("Words(%q) has %q", text, word)
			}
		}
		if again := Words(strings.Join(words, " ")); !slices.Equal(again, words) {
			t.Errorf("Words(%q) = %q, and of these %q", text, words, again)
		}
	})
}

func FuzzWordsOfASCII(f *testing.F) {
	f.Add("It's 5 o'clock, ADA_Lovelace@example.com!" + strings.Repeat("x", 70))
	f.Fuzz(func(t *testing.T, text string) {
		if !isASCII(text) {
			t.Skip("beyond ASCII")
		}
		if want, got := wordsOfAny(text), wordsOfASCII(text); !slices.Equal(want, got) {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	})
}
