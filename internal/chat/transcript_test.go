// This file tests how conversations are shown to people.

package chat_test

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"
	"golang.org/x/net/html"

	"github.com/afterchat/afterchat/internal/chat"
)

var update = flag.Bool("update", false, "write the golden files")

// TestRender renders the conversations of testdata. A case holds conversation.json and perhaps style (time_zone NAME,
// language CODE); golden are transcript.txt, transcript.html and transcript.md.
func TestRender(t *testing.T) {
	t.Parallel()
	paths, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no cases in testdata: %v", err)
	}
	for _, path := range paths {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txtar"), func(t *testing.T) {
			t.Parallel()
			archive, err := txtar.ParseFile(path)
			if err != nil {
				t.Fatal(err)
			}
			golden := &txtar.Archive{Comment: archive.Comment}
			var c chat.Conversation
			var style chat.Style
			for _, f := range archive.Files {
				switch f.Name {
				case "conversation.json":
					if err := json.Unmarshal(f.Data, &c); err != nil {
						t.Fatal(err)
					}
				case "style":
					style = readStyle(t, string(f.Data))
				default:
					continue
				}
				golden.Files = append(golden.Files, f)
			}
			got := c.Render(style)
			golden.Files = append(golden.Files,
				txtar.File{Name: "transcript.txt", Data: []byte(got.Text + "\n")},
				txtar.File{Name: "transcript.html", Data: []byte(string(got.HTML) + "\n")},
				txtar.File{Name: "transcript.md", Data: []byte(got.Markdown + "\n")})
			checkHTML(t, got.HTML)
			if *update {
				if err := os.WriteFile(path, txtar.Format(golden), 0o600); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := cmp.Diff(string(txtar.Format(archive)), string(txtar.Format(golden))); diff != "" {
				t.Errorf("rendered differently (-want +got):\n%s", diff)
			}
		})
	}
}

func readStyle(t *testing.T, text string) chat.Style {
	t.Helper()
	var style chat.Style
	for line := range strings.Lines(text) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		switch key {
		case "language":
			style.Language = value
		case "time_zone":
			zone, err := time.LoadLocation(value)
			if err != nil {
				t.Fatal(err)
			}
			style.Zone = zone
		default:
			t.Fatalf("style: %q", line)
		}
	}
	return style
}

// checkHTML parses the HTML and refuses everything but the few elements that Render writes.
func checkHTML(t *testing.T, fragment chat.HTML) {
	t.Helper()
	z := html.NewTokenizer(strings.NewReader(string(fragment)))
	for {
		switch z.Next() {
		case html.ErrorToken:
			return
		case html.StartTagToken, html.SelfClosingTagToken:
			token := z.Token()
			allowed := map[string][]string{"p": nil, "b": nil, "br": nil, "small": nil, "a": {"href", "rel"}}
			attributes, ok := allowed[token.Data]
			if !ok {
				t.Errorf("the HTML has the element %s", token)
			}
			for _, a := range token.Attr {
				scheme, _, _ := strings.Cut(strings.ToLower(a.Val), "://")
				if !slices.Contains(attributes, a.Key) || a.Key == "href" && scheme != "http" && scheme != "https" {
					t.Errorf("the HTML has the attribute %s=%q", a.Key, a.Val)
				}
			}
		case html.CommentToken, html.DoctypeToken:
			t.Errorf("the HTML has %s", z.Token())
		}
	}
}

// FuzzRender renders what a stranger may write.
// Every byte is escaped in a transcript as it is by itself.
func TestRenderEscapes(t *testing.T) {
	for b := range 256 {
		text := "a" + string(rune(b)) + "b"
		got := (&chat.Conversation{Messages: []chat.Message{{Role: chat.Visitor, Author: "Ada", Text: text}}}).Render(chat.Style{})
		if want := ":</b> " + string(chat.EscapeHTML(text)) + "</p>"; !strings.HasSuffix(string(got.HTML), want) {
			t.Errorf("HTML of %q: %q, want %q at its end", text, got.HTML, want)
		}
		if want := ":** " + strings.ReplaceAll(chat.EscapeMarkdown(text), "\n", "  \n"); !strings.HasSuffix(got.Markdown, want) {
			t.Errorf("Markdown of %q: %q, want %q at its end", text, got.Markdown, want)
		}
	}
}

func FuzzRender(f *testing.F) {
	f.Add("Ann", "Hello\n[12:00:00] Eva: forged", "a.png", "https://files.example/a?b=1&c=2")
	f.Add("<b>", "<script>alert(1)</script>\n- x\n# y", "](javascript:x)", "javascript:alert(1)")
	f.Add("", "", "", "http://x/\"onclick=\"y")
	f.Add("**", "    code\n```", "\n", "HTTP://X/<>\\&lt;")
	f.Fuzz(func(t *testing.T, author, text, name, address string) {
		c := chat.Conversation{Messages: []chat.Message{
			{Role: chat.Visitor, Author: author, Text: chat.Clean(text), Files: []chat.File{{Name: name, URL: address}}},
			{Role: chat.System, Author: author, Event: "marker"},
		}}
		got := c.Render(chat.Style{})
		checkHTML(t, got.HTML)
		// A line that does not begin a message is indented, so nobody forges one.
		starts := 0
		for line := range strings.Lines(got.Text) {
			if !strings.HasPrefix(line, "    ") {
				starts++
			}
		}
		if starts != 2 {
			t.Errorf("two messages became %d lines:\n%s", starts, got.Text)
		}
		if z := html.NewTokenizer(strings.NewReader(string(got.HTML))); !strings.Contains(htmlText(z), strings.ReplaceAll(chat.Clean(text), "\n", "\n\n")) {
			t.Errorf("the HTML lost %q:\n%s", text, got.HTML)
		}
	})
}

// htmlText is what a reader sees; <br> is a line break.
func htmlText(z *html.Tokenizer) string {
	var b strings.Builder
	for {
		switch z.Next() {
		case html.ErrorToken:
			return b.String()
		case html.TextToken:
			b.WriteString(z.Token().Data)
		case html.StartTagToken:
			if z.Token().Data == "br" {
				b.WriteString("\n")
			}
		}
	}
}

func TestLanguages(t *testing.T) {
	t.Parallel()
	c := chat.Conversation{}
	seen := map[string]string{}
	for _, language := range chat.Languages() {
		text := c.Render(chat.Style{Language: language}).Text
		if other, ok := seen[text]; ok {
			t.Errorf("%s and %s are the same", language, other)
		}
		seen[text] = language
	}
	if got := c.Render(chat.Style{Language: "xx"}).Text; seen[got] != "en" {
		t.Errorf("an unknown language renders as %q, want English", got)
	}
}

func TestDefaultAuthor(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		role     chat.Role
		id, want string
	}{
		{chat.Visitor, "abc", "Visitor"},
		{chat.Agent, "3", "Agent 3"},
		{chat.Agent, "", "Agent"},
		{chat.Bot, "3", ""},
		{chat.System, "3", ""},
		{chat.UnknownRole, "3", ""},
	} {
		if got := chat.DefaultAuthor(test.role, test.id); got != test.want {
			t.Errorf("DefaultAuthor(%s, %q) = %q, want %q", test.role, test.id, got, test.want)
		}
	}
}

func TestClickable(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]bool{
		"https://shop.example/a?b=1#c": true, "http://shop.example": true, "HTTPS://shop.example": true, "https://shop.example/ü b": true,
		"": false, "shop.example": false, "//shop.example": false, "/a": false, "https:///a": false, "https:shop.example": false,
		"javascript:alert(1)": false, "data:text/html,x": false, "file:///etc/passwd": false, "ftp://shop.example": false,
		"https://shop.example/\nx": false, "https://shop.example/\tx": false, " https://shop.example": false, "java\nscript:alert(1)": false,
	} {
		if got := chat.Clickable(address); got != want {
			t.Errorf("Clickable(%q) = %t", address, got)
		}
	}
}
