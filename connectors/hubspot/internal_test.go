// This file tests the cutting of notes, their markers, and the account's midnight.

package hubspot

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	nethtml "golang.org/x/net/html"
)

func TestSplit(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, markup string
		limit        int
		want         []string
	}{
		{"short", "<p>a</p>", 20, []string{"<p>a</p>"}},
		{"empty", "", 20, []string{""}},
		{"between elements", "<p>aaaa</p>\n<p>bbbb</p>\n<p>cc</p>", 24, []string{"<p>aaaa</p>\n<p>bbbb</p>", "<p>cc</p>"}},
		{"within an element", "<p><b>Ada:</b> one two three four</p>", 24, []string{"<p><b>Ada:</b> one </p>", "<p>two three four</p>"}},
		{"a long word", "<p>aaaaaaaaaaaaaaaaaaaaaa</p>", 17, []string{"<p>aaaaaaaaaa</p>", "<p>aaaaaaaaaa</p>", "<p>aa</p>"}},
		{"an entity stays whole", "<p>aaaaaaa&amp;b</p>", 17, []string{"<p>aaaaaaa</p>", "<p>&amp;b</p>"}},
		{"a character of two units", "😀😀😀", 5, []string{"😀😀", "😀"}},
		{"attributes are opened again", `<div class="c">one two three</div>`, 28, []string{`<div class="c">one </div>`, `<div class="c">two </div>`, `<div class="c">three</div>`}},
		{"void elements", "<p>one<br>two<br>three</p>", 20, []string{"<p>one<br>two</p>", "<p><br>three</p>"}},
		{"an end without a beginning", "</b><p>one two</p></i><p>three</p>", 16, []string{"<p>one two</p>", "<p>three</p>"}},
		{"a beginning without an end", "<ul><li>one<li>two<li>three</ul>", 30, []string{"<ul><li>one</li></ul>", "<ul><li><li>two</li></li></ul>", "<ul><li><li><li></li></li></li></ul>"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := split(tt.markup, tt.limit)
			for _, piece := range got {
				if units(piece) > tt.limit {
					t.Errorf("%q has %d characters", piece, units(piece))
				}
			}
			if tt.name == "a beginning without an end" {
				return // how much is opened again is not worth a promise; the limit is
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// plainText is what a reader sees.
func plainText(markup string) string {
	var out strings.Builder
	z := nethtml.NewTokenizer(strings.NewReader(markup))
	for {
		switch z.Next() {
		case nethtml.ErrorToken:
			return strings.Join(strings.Fields(out.String()), "")
		case nethtml.TextToken:
			out.Write(z.Text())
		}
	}
}

func FuzzSplit(f *testing.F) {
	f.Add("<p><b>Ada:</b> one &amp; two three</p>\n<p>four<br>five</p>", 40)
	f.Add("<div><p>x</div></p>&#x1F600;😀", 33)
	f.Fuzz(func(t *testing.T, markup string, limit int) {
		limit = 32 + abs(limit)%4096
		pieces := split(markup, limit)
		if len(pieces) == 0 {
			t.Fatal("nothing is left")
		}
		for _, piece := range pieces {
			if n := units(piece); n > limit {
				t.Fatalf("%d of %d characters: %q", n, limit, piece)
			}
		}
		if strings.ContainsAny(markup, "<&") { // of odd markup only the limit is promised
			return
		}
		if got, want := plainText(strings.Join(pieces, "")), plainText(markup); got != want {
			t.Errorf("%q became %q", want, got)
		}
	})
}

func abs(n int) int {
	if n < 0 {
		return -(n + 1)
	}
	return n
}

// TestSplitKeepsText cuts a transcript and compares what a reader sees.
func TestSplitKeepsText(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	for i := range 300 {
		fmt.Fprintf(&b, "<p><small>10:00:%02d</small> <b>Žofie &amp; Ada:</b> %s</p>\n", i%60, strings.Repeat("příliš 😀 &lt;žluťoučký&gt; ", i%17))
	}
	for _, limit := range []int{100, 333, 5000, 65000} {
		pieces := split(b.String(), limit)
		if got, want := plainText(strings.Join(pieces, "")), plainText(b.String()); got != want {
			t.Errorf("limit %d: the text changed", limit)
		}
		for _, piece := range pieces {
			if units(piece) > limit || strings.Count(piece, "<p>") != strings.Count(piece, "</p>") || strings.Count(piece, "<b>") != strings.Count(piece, "</b>") {
				t.Errorf("limit %d: piece %.80q of %d", limit, piece, units(piece))
			}
		}
	}
}

func TestMarker(t *testing.T) {
	t.Parallel()
	const object = `afterchat:1f&"<:crm`
	notes := compose(strings.Repeat("<p>"+strings.Repeat("x", 1000)+"</p>", 100), object, maxProperty)
	for i, body := range notes {
		if n, ok := numberOf(body, object); !ok || n != i+1 {
			t.Errorf("part %d is read as %d, %t", i+1, n, ok)
		}
		if units(body) > maxProperty {
			t.Errorf("part %d has %d characters", i+1, units(body))
		}
	}
	for _, body := range []string{
		"", "afterchat:", "<p>afterchat:b:1/1</p>", "<p>afterchat:ab:1/1</p>", "<p>afterchat:a:0/1</p>", "<p>afterchat:a:1/1 more</p>",
		"<p>afterchat:a:1/1</p>more", "<p>afterchat:a:99999999999999999999/1</p>", "<p>afterchat:a:1/</p>",
	} {
		if n, ok := numberOf(body, "a"); ok {
			t.Errorf("%q is taken for part %d", body, n)
		}
	}
	if n, ok := numberOf("<div><P>afterchat:a:12/13 </P>\n</div>", "afterchat:a"); !ok || n != 12 {
		t.Errorf("rewritten markup is read as %d, %t", n, ok)
	}
}

func FuzzNumberOf(f *testing.F) {
	f.Add("<p>afterchat:a:1/1</p>", "a")
	f.Fuzz(func(t *testing.T, body, object string) {
		if n, ok := numberOf(body, object); ok && n < 1 {
			t.Errorf("part %d", n)
		}
	})
}

func TestUntilMidnight(t *testing.T) {
	t.Parallel()
	prague, err := time.LoadLocation("Europe/Prague")
	if err != nil {
		t.Fatal(err)
	}
	for now, want := range map[string]time.Duration{
		"2026-11-21T12:00:00Z":           11 * time.Hour,
		"2026-11-21T23:00:00Z":           24 * time.Hour,
		"2026-11-21T22:59:59.999999999Z": time.Second,
		"2026-03-28T23:00:00Z":           23 * time.Hour, // summer time begins
		"2026-10-24T22:00:00Z":           24 * time.Hour, // and ends: the day has 25 hours
	} {
		at, err := time.Parse(time.RFC3339, now)
		if err != nil {
			t.Fatal(err)
		}
		if got := untilMidnight(at, prague); got != want {
			t.Errorf("%s: %v, want %v", now, got, want)
		}
	}
}
