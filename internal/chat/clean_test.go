// This file tests what becomes of the text of strangers.

package chat_test

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/afterchat/afterchat/internal/chat"
)

func TestClean(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"":                                "",
		"plain text\n\tindented":          "plain text\n\tindented",
		"one\r\ntwo\rthree\nfour":         "one\ntwo\nthree\nfour",
		"\r\r\n\n":                        "\n\n\n",
		"vt\vff\fnel\u0085end":            "vt\nff\nnel\nend",
		"nul\x00 bell\a del\x7f c1\u009b": "nul bell del c1",
		"\x1b[31mred\x1b[0m":              "[31mred[0m",
		"caf\xe9 \xff\xfe":                "caf\ufffd \ufffd",
		"cut \xe2\x82":                    "cut \ufffd",
		"👩‍💻 שלום \u202eabc\u202c e\u0301 zero\u200bwidth \u2028": "👩‍💻 שלום \u202eabc\u202c e\u0301 zero\u200bwidth \u2028",
		"<b>&amp;</b> =cmd() **x**": "<b>&amp;</b> =cmd() **x**",
	} {
		if got := chat.Clean(in); got != want {
			t.Errorf("Clean(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestCleanLine(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"":                               "",
		" \r\n\t ":                       "",
		"  Ann ":                         "Ann",
		"Ann\r\nBcc: all@example.com":    "Ann Bcc: all@example.com",
		"a\tb\u2028c\u2029d\u0085e\vf":   "a b c d e f",
		"\u00a0no-break space\u00a0":     "no-break space",
		"\x00Ann\x00":                    "Ann",
		"line\u0000\nbreak and a\x1bESC": "line break and aESC",
	} {
		if got := chat.CleanLine(in); got != want {
			t.Errorf("CleanLine(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestEmail(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("a", 243) + "@example.cz" // 254 bytes
	for _, test := range []struct{ in, address, raw string }{
		{"", "", ""},
		{" \t", "", ""},
		{"\u200b", "", ""},
		{"ann@example.com", "ann@example.com", ""},
		{" Ann.B+chat@Example.CZ\n", "ann.b+chat@example.cz", ""},
		{"ann@example.com\u200b", "ann@example.com", ""},
		{"\ufeffann@example.com\u00a0", "ann@example.com", ""},
		{"jiří@háčky.cz", "jiří@háčky.cz", ""},
		{"o'hara@example.co.uk", "o'hara@example.co.uk", ""},
		{long, long, ""},
		{"a" + long, "", "a" + long},
		{"n/a", "", "n/a"},
		{"ann@localhost", "", "ann@localhost"},
		{"ann@[192.0.2.1]", "", "ann@[192.0.2.1]"},
		{"ann@example..com", "", "ann@example..com"},
		{"ann@example.com.", "", "ann@example.com."},
		{"@example.com", "", "@example.com"},
		{"ann@", "", "ann@"},
		{"ann@b@example.com", "", "ann@b@example.com"},
		{"ann@example.com, bob@example.com", "", "ann@example.com, bob@example.com"},
		{"Ann <ann@example.com>", "", "Ann <ann@example.com>"},
		{"mailto:ann@example.com", "", "mailto:ann@example.com"},
		{"ann @example.com", "", "ann @example.com"},
		{"an\u200bn@example.com", "", "an\u200bn@example.com"},
		{"ann@example.com\r\nBcc: all@example.com", "", "ann@example.com Bcc: all@example.com"},
		{"caf\xe9@example.com", "", "caf\ufffd@example.com"},
	} {
		address, raw := chat.Email(test.in)
		if address != test.address || raw != test.raw {
			t.Errorf("Email(%q) = %q, %q, want %q, %q", test.in, address, raw, test.address, test.raw)
		}
	}
}

func FuzzClean(f *testing.F) {
	for _, s := range []string{"", "a\r\nb", "\x00\x1b[2J", "caf\xe9", "Ann@Example.com\u200b", "\u2028\u0085\v\f", "İ@ſ.K", strings.Repeat("@", 300)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		clean := chat.Clean(s)
		if !utf8.ValidString(clean) {
			t.Errorf("Clean(%q) is not valid UTF-8", s)
		}
		if i := strings.IndexFunc(clean, func(r rune) bool { return unicode.Is(unicode.Cc, r) && r != '\n' && r != '\t' }); i >= 0 {
			t.Errorf("Clean(%q) has the control character %q", s, clean[i])
		}
		if again := chat.Clean(clean); again != clean {
			t.Errorf("Clean(%q) = %q, cleaned again %q", s, clean, again)
		}
		if got, want := visible(clean), visible(strings.ToValidUTF8(s, "\ufffd")); got != want {
			t.Errorf("Clean(%q) lost text: %q, want %q", s, got, want)
		}
		line := chat.CleanLine(s)
		if strings.ContainsAny(line, "\r\n\t\v\f\u0085\u2028\u2029") || chat.CleanLine(line) != line || strings.TrimSpace(line) != line {
			t.Errorf("CleanLine(%q) = %q", s, line)
		}
		checkEmail(t, s)
	})
}

func checkEmail(t *testing.T, s string) {
	t.Helper()
	address, raw := chat.Email(s)
	if address != "" && raw != "" {
		t.Errorf("Email(%q) = %q and %q", s, address, raw)
	}
	if again, raw := chat.Email(address); again != address || raw != "" {
		t.Errorf("Email(%q) = %q, read again %q, %q", s, address, again, raw)
	}
	if address != "" && (strings.ContainsAny(address, " \r\n,;<>") || strings.Count(address, "@") != 1) {
		t.Errorf("Email(%q) = %q", s, address)
	}
}

// visible is s without white space and control characters.
func visible(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.Is(unicode.Cc, r) || unicode.IsSpace(r) {
			return -1
		}
		return r
	}, s)
}
