// This file checks what is cut and how.

package pipeline

import (
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"golang.org/x/net/html"
	"pgregory.net/rapid"
)

func TestCutText(t *testing.T) {
	t.Parallel()
	cases := []struct {
		in    string
		limit int
		bytes bool
		want  string
	}{
		{"short", 5, false, "short"},
		{"a longer text", 0, false, "a longer text"},
		{"a longer text", 10, false, "a long […]"},
		{"a longer text", 12, true, "a long […]"},
		{"a text", 5, false, "a […]"},
		{"a text", 3, false, "a t"},
		{"žluťoučký kůň", 9, true, "žl […]"},
		{"žluťoučký kůň", 9, false, "žluťo […]"},
		{"ab" + strings.Repeat("e\u0301", 4), 8, false, "abe\u0301 […]"},
		{"family 👨‍👩‍👧 and more", 13, false, "family […]"},
		{"🇨🇿🇩🇪🇦🇹🇵🇱", 7, false, "🇨🇿 […]"},
		{"👍🏽👍🏽👍🏽👍🏽", 7, false, "👍🏽 […]"},
	}
	for _, c := range cases {
		if got, cut := cutText(c.in, c.limit, c.bytes); got != c.want || cut != (c.in != c.want) {
			t.Errorf("cutText(%q, %d, %v) = %q, %v, want %q", c.in, c.limit, c.bytes, got, cut, c.want)
		}
	}
}

func TestCutTextKeepsTheLimit(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s, limit, bytes := rapid.String().Draw(t, "text"), rapid.IntRange(1, 40).Draw(t, "limit"), rapid.Bool().Draw(t, "bytes")
		got, cut := cutText(s, limit, bytes)
		switch {
		case length(got, bytes) > limit:
			t.Fatalf("%q has %d, more than %d", got, length(got, bytes), limit)
		case cut && !utf8.ValidString(got):
			t.Fatalf("%q is not UTF-8", got)
		case !cut && got != s:
			t.Fatalf("%q became %q and was not cut", s, got)
		case !strings.HasPrefix(s, strings.TrimSuffix(got, cutMark)):
			t.Fatalf("%q is not the beginning of %q", got, s)
		}
	})
}

func TestCutHTML(t *testing.T) {
	t.Parallel()
	cases := []struct {
		in    string
		limit int
		want  string
	}{
		{"<p>short</p>", 12, "<p>short</p>"},
		{"<p>one two three four five six</p>", 32, "<p>one two three four […]</p>"},
		{"<p>one</p><p>two <b>three four five</b></p>", 36, "<p>one</p><p>two <b>th […]</b></p>"},
		{"<p>one</p><p>two</p><p>three</p><p>four</p>", 36, "<p>one</p><p>two</p><p>thr […]</p>"},
		{"a &amp; b &amp; c &amp; d &amp; e &amp; f", 32, "a &amp; b &amp; c &amp; d […]"},
		{"<br><br/><hr><img src=x>" + strings.Repeat("x", 40), 40, "<br><br/><hr><img src=x>xxxxxxxxxx […]"},
		{"<p>one<p>two<p>three" + strings.Repeat(" and more", 9), 48, "<p>one<p>two<p>three and more […]</p></p></p>"},
		{"</b>stray" + strings.Repeat(" text", 9), 30, "</b>stray text text […]"},
		{"<p>" + strings.Repeat("x", 40), 12, "<p>xxxxx</p>"},
	}
	for _, c := range cases {
		got, cut := cutHTML(c.in, c.limit)
		if got != c.want || cut != (c.in != c.want) {
			t.Errorf("cutHTML(%q, %d) = %q, %v, want %q", c.in, c.limit, got, cut, c.want)
		}
	}
}

// openElements returns the elements that are left open. An end tag that closes none means nothing.
func openElements(s string) []string {
	z := html.NewTokenizer(strings.NewReader(s))
	var open []string
	for {
		switch z.Next() {
		case html.ErrorToken:
			return open
		case html.StartTagToken:
			if name := tagName(z); !isVoid(name) {
				open = append(open, name)
			}
		case html.EndTagToken:
			name := tagName(z)
			for i, opened := range slices.Backward(open) {
				if opened == name {
					open = open[:i]
					break
				}
			}
		}
	}
}

func FuzzCutHTML(f *testing.F) {
	f.Add("<p>one</p><p>two <b>three &amp; four</b></p>", 20)
	f.Add("<a href=\"x\">y</a><script>a<b</script><!-- c --><br/>", 30)
	f.Fuzz(func(t *testing.T, s string, limit int) {
		limit = 1 + limit&0xff
		got, cut := cutHTML(s, limit)
		if len(got) > limit {
			t.Fatalf("%q has %d bytes, more than %d", got, len(got), limit)
		}
		if !cut {
			return
		}
		if again, _ := cutHTML(s, limit); again != got {
			t.Fatalf("%q, and then %q", got, again)
		}
		if open := openElements(got); len(open) > 0 {
			t.Fatalf("%q became %q, which leaves %v open", s, got, open)
		}
	})
}
