// This file tests the cutting of markup, the marker and the reading of fields.

package zendesk

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

func TestBlocks(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		in   string
		want []string
	}{
		"nothing":           {"", nil},
		"paragraphs":        {"<p>a</p>\n<p>b<br>\nc</p>", []string{"<p>a</p>", "<p>b<br>\nc</p>"}},
		"nested":            {"<div><p>a</p><p>b</p></div><p>c</p>", []string{"<div><p>a</p><p>b</p></div>", "<p>c</p>"}},
		"text":              {"hello <b>you</b> there<p>a</p>bye", []string{"hello <b>you</b> there", "<p>a</p>", "bye"}},
		"list":              {"<ul><li>a<li>b</ul><p>c</p>", []string{"<ul><li>a<li>b</ul>", "<p>c</p>"}},
		"stray end":         {"</p>a</b><p>b</p>", []string{"</p>a</b>", "<p>b</p>"}},
		"never ended":       {"<p>a<p>b", []string{"<p>a<p>b"}},
		"image":             {"<p>a</p><img src=x><p>b</p>", []string{"<p>a</p>", "<img src=x>", "<p>b</p>"}},
		"rule":              {"<p>a</p><hr><p>b</p>", []string{"<p>a</p>", "<hr>", "<p>b</p>"}},
		"a tag in a string": {`<p title="</p><p>">a</p><p>b</p>`, []string{`<p title="</p><p>">a</p>`, "<p>b</p>"}},
	}
	for name, tt := range tests {
		if diff := cmp.Diff(tt.want, blocks(tt.in)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// FuzzBlocks: nothing is lost, and cutting keeps to the room.
func FuzzBlocks(f *testing.F) {
	for _, seed := range []string{"<p>a</p>\n<p>b</p>", "x<b>y", "</p>", "<p><p", "<!-- c --><p>ž</p>", "<script><p></script>", "<p>&amp;&#x17e;</p>"} {
		f.Add(seed, 40)
	}
	strip := func(s string) string { return strings.Join(strings.Fields(s), "") }
	f.Fuzz(func(t *testing.T, text string, room int) {
		list := blocks(text)
		if got, want := strip(strings.Join(list, "")), strip(text); got != want && utf8.ValidString(text) && !strings.Contains(text, "<") {
			t.Errorf("%q became %q", want, got)
		}
		room = max(room%1000, 0)
		cut, whole := fitted(list, room)
		if len(cut) > room {
			t.Errorf("%d bytes in a room of %d", len(cut), room)
		}
		if whole && cut != "" && strip(cut) != strip(strings.Join(list, "")) {
			t.Errorf("%q is not all of %q", cut, list)
		}
	})
}

func FuzzPieces(f *testing.F) {
	f.Add("hello you there", 5)
	f.Add("ž&<\n", 12)
	f.Fuzz(func(t *testing.T, text string, room int) {
		room = 12 + max(room%1000, 0)
		if !utf8.ValidString(text) {
			return
		}
		got := pieces(text, room)
		if strings.Join(got, "") != text {
			t.Errorf("%q became %q", text, got)
		}
		for _, piece := range got {
			if len(escape(piece)) > room {
				t.Errorf("%q has %d bytes in a room of %d", piece, len(escape(piece)), room)
			}
		}
	})
}

func TestMarker(t *testing.T) {
	t.Parallel()
	s := state{revision: 3, blocks: 17, digest: digest("a"), summary: digest("b"), fields: digest("c")}
	line := marker("object", s)
	plain := plainText(line)
	for name, text := range map[string]string{
		"markup": "<p>hello</p>\n" + line, "in a div": `<div class="zd-comment" dir="auto"><p>x</p>` + line + "</div>",
		"plain": "hello\n\n" + plain, "with blanks": plain + "\n&nbsp;\n",
	} {
		if got, ok := readMarker("object", text); !ok || got != s {
			t.Errorf("%s: read %+v, %v", name, got, ok)
		}
	}
	for name, text := range map[string]string{
		"another object": marker("other", s), "not at the end": line + "<p>more</p>", "cut": line[:len(line)-30], "empty": "",
	} {
		if got, ok := readMarker("object", text); ok {
			t.Errorf("%s: read %+v", name, got)
		}
	}
}

func FuzzReadMarker(f *testing.F) {
	f.Add(marker("object", state{revision: 1, digest: digest("a"), summary: digest(""), fields: digest("")}))
	f.Add("afterchat:::")
	f.Fuzz(func(t *testing.T, text string) {
		if s, ok := readMarker("object", text); ok {
			if again, ok := readMarker("object", marker("object", s)); !ok || again != s {
				t.Errorf("%+v became %+v", s, again)
			}
		}
	})
}

func TestStateInReceipt(t *testing.T) {
	t.Parallel()
	s := state{revision: 3, blocks: 17, digest: digest("a"), summary: digest("b"), fields: ""}
	parts := map[string]string{}
	s.keep(parts)
	if got, ok := kept(parts); !ok || got != s {
		t.Errorf("kept %+v as %+v, %v", s, got, ok)
	}
	if _, ok := kept(nil); ok {
		t.Error("an empty receipt holds a state")
	}
	sent := map[string]string{"status": "1", "custom_fields.7": "2"}
	if diff := cmp.Diff(sent, sentFields(fieldDigests(sent))); diff != "" {
		t.Error(diff)
	}
}

func TestFollowUpID(t *testing.T) {
	t.Parallel()
	for _, object := range []string{"afterchat:x:help", strings.Repeat("x", 240)} {
		id, other := followUpID(object, 12345678901), followUpID(object, 12345678902)
		if len(id) > longestExternalID || id == other {
			t.Errorf("%d bytes: %s", len(id), id)
		}
	}
}

func TestCleanTags(t *testing.T) {
	t.Parallel()
	got := cleanTags([]any{"Chat", " bad rating! ", "", "chat", "Žluťoučký", "a,b", "ns:x/y-z", 7, "!!"})
	if diff := cmp.Diff([]string{"chat", "bad_rating", "žluťoučký", "a_b", "ns:x/y-z"}, got); diff != "" {
		t.Error(diff)
	}
}

func TestTimes(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 20, 0, 0, 0, 0, time.UTC)
	c, err := newContent(map[string]any{
		"created_at": now.Add(-time.Hour), "updated_at": now.Add(time.Hour), "solved_at": now.Add(-time.Minute), "status": "new",
	}, now)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]any{"created_at": "2026-11-19T23:00:00Z"}, c.times); diff != "" {
		t.Errorf("times in the future, and of solving what is not solved (-want +got):\n%s", diff)
	}
}
