// This file checks what redaction finds, and what it must leave alone.

package pipeline

import (
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"pgregory.net/rapid"

	"github.com/afterchat/afterchat/internal/chat"
)

func finderNamed(t testing.TB, name string) finder {
	t.Helper()
	for _, b := range builtins() {
		if b.name == name {
			return b.find
		}
	}
	t.Fatalf("no finder %q", name)
	return nil
}

func TestFind(t *testing.T) {
	t.Parallel()
	// What is to be found stands in «».
	cases := map[string][]string{
		"card": {
			"my card is «4111 1111 1111 1111», thanks",
			"«4111111111111111»",
			"«3782-822463-10005» Amex",
			"«4111 - 1111 - 1111 - 1111»",
			"order 1234 «4111111111111111»",
			"«4111 1111 1111 1111» 12/27",
			"https://shop.example/?c=«4111%201111%201111%201111»&x=1",
			"«4111+1111+1111+1111»",
			"«٤١١١ ١١١١ ١١١١ ١١١١» on an Arabic keyboard",
			"«5555555555554444» and «4012888888881881»",
			"4111 1111 1111 1112 has a wrong check digit",
			"41111111111111111111111 is a longer run",
			"1427470439703 is a time in milliseconds",
			"+491511234567 8901 is called",
			"«4111\n1111 1111 1111» is on two lines", "«4111-1111\n1111-1111»", "«4111 1111\r\n1111 1111»", "«3782\n822463\n10005»",
			"«4111.1111.1111.1111»", "«4111. 1111. 1111. 1111».",
			"41111111\n11111111 are two numbers", "411111111111\n1111", "4111.11.11.11.11.11.11", "255.255.255.255 on 4111.11.11",
		},
		"iban": {
			"pay to «DE89 3704 0044 0532 0130 00» please",
			"«GB82WEST12345698765432»",
			"«cz6508000000192000145399» in lower case",
			"«GB82-WEST-1234-5698-7654-32»",
			"«MT84 MALT 0110 0001 2345 MTLC AST0 01S» Malta",
			"DE89 3704 0044 0532 0130 01 has wrong check digits",
			"IBAN: «DE89370400440532013000».",
			"XDE89370400440532013000",
			"ab12 is no account",
		},
		"email": {
			"write to «jan.novak+shop@example.co.uk».",
			"<«jan@example.com»>",
			"«jan@žluťoučký.cz»",
			"https://x.example/?mail=«jan%40example.com»&y=1",
			"mailto:«jan@example.com»",
			"@jan is a name on a network, 5 @ 3 is a price",
		},
		"ip": {
			"from «192.0.2.17»,", "«192.0.2.17»:8080", "«2001:db8::1» and «::1»", "[«2001:db8::7»]:443", "IP:«198.51.100.1»",
			"http://«203.0.113.9»/login",
			"version 1.2.3.4.5, v1.2.3.4, 300.1.1.1, 192.0.2.x",
			"at 10:30:00, std::string, ::, a.b.c.d",
		},
		"phone": {
			"call «+420 777 123 456» today", "«+420777123456»", "«+1 (555) 123-4567»", "«(555) 123-4567»", "«555-123-4567»",
			"«777 123 456»", "«0171 1234567»", "«07700900123»", "«00420 777 123 456»", "«01.23.45.67.89»", "«555.123.4567»",
			"«+49 (0) 171 1234567»", "tel:«+420777123456»",
			"on 2024-01-15 10:30:00 and 15.01.2024 and 1/15/24", "2024-01-15 «777 123 456»",
			"2024-01-15T10:30:00Z, 1427470439703, order 1234567890, #123 456 789",
			"192.168.100.200, 550e8400-e29b-41d4-a716-446655440000, AB123456789",
			"50.087465 14.421254, 1 234 567, 12:30:45",
		},
	}
	for name, texts := range cases {
		find := finderNamed(t, name)
		for _, want := range texts {
			plain := strings.NewReplacer("«", "", "»", "").Replace(want)
			var got strings.Builder
			last := 0
			for _, sp := range find(plain) {
				got.WriteString(plain[last:sp.from] + "«" + plain[sp.from:sp.to] + "»")
				last = sp.to
			}
			got.WriteString(plain[last:])
			if got.String() != want {
				t.Errorf("%s\n got %s\nwant %s", name, got.String(), want)
			}
		}
	}
}

// holdsCard looks for a card in the plainest way: every start, every end. It is what findCards promises.
func holdsCard(s string) string {
	runes := []rune(strings.ReplaceAll(s, "%20", " "))
	isDigit := func(i int) bool {
		if i < 0 || i >= len(runes) {
			return false
		}
		_, ok := decimal(runes[i])
		return ok
	}
	for i := range runes {
		if !isDigit(i) || isDigit(i-1) || i > 0 && runes[i-1] == '+' {
			continue
		}
		var digits []byte
		gap := 0
		for j := i; j < len(runes) && gap <= 3 && len(digits) <= 19; j++ {
			if isDigit(j) {
				d, _ := decimal(runes[j])
				digits, gap = append(digits, d), 0
				if !isDigit(j+1) && isCard(digits) && printed(string(runes[i:j+1])) {
					return string(runes[i : j+1])
				}
				continue
			}
			if gap++; !strings.ContainsRune(" -.\n", runes[j]) {
				break
			}
		}
	}
	return ""
}

// printed tells whether a number with points or line breaks is in groups of four, as on a card.
func printed(number string) bool {
	if !strings.ContainsAny(number, ".\n") {
		return true
	}
	for _, group := range strings.FieldsFunc(number, func(r rune) bool { return strings.ContainsRune(" -.\n", r) }) {
		if utf8.RuneCountInString(group) != 4 {
			return false
		}
	}
	return true
}

func luhn(digits string) string {
	for d := range 10 {
		if number := digits + fmt.Sprint(d); isCard([]byte(number)) {
			return number
		}
	}
	return ""
}

// numbers draws a text full of digits, separators, cards and IBANs.
func numbers() *rapid.Generator[string] {
	card := rapid.Custom(func(t *rapid.T) string {
		digits := luhn("4" + rapid.StringMatching(`[0-9]{11,17}`).Draw(t, "digits"))
		if sep := rapid.SampledFrom([]string{"", ".", "\n", ". "}).Draw(t, "points"); sep != "" && len(digits) == 16 {
			return strings.Join([]string{digits[:4], digits[4:8], digits[8:12], digits[12:]}, sep)
		}
		at := rapid.IntRange(1, len(digits)-1).Draw(t, "at")
		sep := rapid.SampledFrom([]string{"", " ", "-", " - ", "%20", "+"}).Draw(t, "sep")
		return digits[:at] + sep + digits[at:]
	})
	part := rapid.OneOf(card, rapid.StringMatching(`[0-9]{1,6}`), rapid.StringMatching(`[a-z@.:+/()# -]{1,3}`),
		rapid.SampledFrom([]string{"DE89 3704 0044 0532 0130 00", "GB82WEST12345698765432", "jan@example.com", "192.0.2.1", "+420777123456", "[removed]", "é", "４"}))
	return rapid.Custom(func(t *rapid.T) string { return strings.Join(rapid.SliceOfN(part, 0, 8).Draw(t, "parts"), "") })
}

func everything(t testing.TB) *redaction {
	t.Helper()
	r, problems := newRedaction(Redaction{Find: []Find{{Name: "card"}, {Name: "iban"}, {Name: "email"}, {Name: "phone"}, {Name: "ip"}}})
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	return r
}

func TestNoCardSurvives(t *testing.T) {
	t.Parallel()
	for _, find := range [][]Find{{{Name: "card"}}, {{Name: "card"}, {Name: "iban"}, {Name: "email"}, {Name: "phone"}, {Name: "ip"}}} {
		r, problems := newRedaction(Redaction{Find: find})
		if len(problems) > 0 {
			t.Fatal(problems)
		}
		rapid.Check(t, func(t *rapid.T) {
			text := numbers().Draw(t, "text")
			clean := redactText([]*redaction{r}, freeText, text)
			if card := holdsCard(clean); card != "" {
				t.Fatalf("%q became %q, which holds %q", text, clean, card)
			}
			if again := redactText([]*redaction{r}, freeText, clean); again != clean {
				t.Fatalf("%q became %q, and again %q", text, clean, again)
			}
		})
	}
}

func FuzzRedact(f *testing.F) {
	for _, s := range []string{"4111 1111 1111 1111", "DE89 3704 0044 0532 0130 00", "jan@example.com", "+420 777 123 456", "::1 192.0.2.1", "\xff4111", "https://u:p@x/?token=1#key=2"} {
		f.Add(s)
	}
	r := everything(f)
	f.Fuzz(func(t *testing.T, text string) {
		clean := redactText([]*redaction{r}, freeText, text)
		if again := redactText([]*redaction{r}, freeText, clean); again != clean {
			t.Errorf("%q became %q, and again %q", text, clean, again)
		}
		if card := holdsCard(clean); card != "" {
			t.Errorf("%q became %q, which holds %q", text, clean, card)
		}
		links := stripLinks(text)
		if again := stripLinks(links); again != links {
			t.Errorf("%q became %q, and again %q", text, links, again)
		}
		url := stripSecrets(text)
		if again := stripSecrets(url); again != url {
			t.Errorf("%q became %q, and again %q", text, url, again)
		}
	})
}

// TestFindIsLinear reads 128 KiB of the worst texts that one can think of.
func TestFindIsLinear(t *testing.T) {
	t.Parallel()
	for _, part := range []string{"1 ", "1", "11-", "a1", "DE89 ", "DE89", "@", "a@", "a@b.", "1.", ":", "1:", "(1) ", "+1", "::1 ", "%", "00 "} {
		text := strings.Repeat(part, (128<<10)/len(part))
		for _, b := range builtins() {
			start := time.Now()
			b.find(text)
			if took := time.Since(start); took > 10*time.Second {
				t.Errorf("%s took %v for 128 KiB of %q", b.name, took, part)
			}
		}
	}
}

func TestStripSecrets(t *testing.T) {
	t.Parallel()
	cases := map[string]string{
		"https://shop.example/cart?a=1&token=abc&b=2#top":                   "https://shop.example/cart?a=1&b=2#top",
		"https://shop.example/?token=abc":                                   "https://shop.example/",
		"https://user:pw@shop.example/x":                                    "https://shop.example/x",
		"https://a@b@shop.example":                                          "https://shop.example",
		"//u:p@host/x?y":                                                    "//host/x?y",
		"https://x.example/?api_key=1&accessToken=2&user[password]=3&q=key": "https://x.example/?q=key",
		"https://x.example/#access_token=1&state=2":                         "https://x.example/#state=2",
		"https://x.example/?monkey=1;PassWord=2;c=3":                        "https://x.example/?monkey=1;c=3",
		"https://x.example/?pass%77ord=2":                                   "https://x.example/",
		"/path@2x.png?v=1":                                                  "/path@2x.png?v=1",
		"https://x.example/a@b?":                                            "https://x.example/a@b?",
		"":                                                                  "",
	}
	for in, want := range cases {
		if got := stripSecrets(in); got != want {
			t.Errorf("%q became %q, want %q", in, got, want)
		}
	}
}

func TestStripLinks(t *testing.T) {
	t.Parallel()
	cases := map[string]string{
		"I am on https://shop.example/reset?token=abc123&lang=en, and it fails":  "I am on https://shop.example/reset?lang=en, and it fails",
		"see HTTPS://u:pw@shop.example/x.":                                       "see HTTPS://shop.example/x.",
		"[here](https://shop.example/?password=x) and (http://a.example/?sid=1)": "[here](https://shop.example/) and (http://a.example/)",
		"two: https://a.example/?key=1 https://b.example/?q=2&sig=3":             "two: https://a.example/ https://b.example/?q=2",
		"https://a.example/#access_token=1":                                      "https://a.example/",
		`{"url":"https://a.example/?jwt=1"}`:                                     `{"url":"https://a.example/"}`,
		"https://a.example/?user[password]=x!":                                   "https://a.example/!",
		"my password=x, a@b.example and ftp://u:p@c.example":                     "my password=x, a@b.example and ftp://u:p@c.example",
	}
	for in, want := range cases {
		if got := stripLinks(in); got != want {
			t.Errorf("%q became %q, want %q", in, got, want)
		}
	}
}

// Every text that somebody wrote loses the secrets of its links; the address of an attachment is of no use without its
// signature.
func TestLinksEverywhere(t *testing.T) {
	t.Parallel()
	const secret = "https://a.example/?token=hunter2"
	c := &chat.Conversation{ID: "c1", Source: "shop", Question: secret, RatingComment: secret, Extra: map[string]any{"x": []any{secret}}}
	c.Person.Vars, c.Person.Note = map[string]any{"link": secret}, secret
	c.Messages = []chat.Message{{Role: chat.Visitor, Text: "open " + secret, Extra: map[string]any{"y": secret}}}
	r, problems := newRedaction(Redaction{Find: []Find{{Name: "card"}}})
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	clean := redact(c, []*redaction{r})
	if text := encoded(t, clean) + clean.Render(chat.Style{}).Text; strings.Contains(text, "hunter2") {
		t.Error(text)
	}
	c.Messages[0].Files = []chat.File{{Name: "a", URL: secret}}
	if got := redact(c, []*redaction{r}).Messages[0].Files[0].URL; got != secret {
		t.Errorf("the attachment is at %s", got)
	}
}
