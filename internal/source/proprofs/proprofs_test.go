package proprofs_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/afterchat/afterchat/internal/chat"
	"github.com/afterchat/afterchat/internal/source"
	"github.com/afterchat/afterchat/internal/source/proprofs"
)

var update = flag.Bool("update", false, "write the golden files")

// testCase is one txtar: hook.json, or hook1.json, hook2.json, … (or .txt, or .quoted: a Go string per line), with
// content-type and options; and for each the golden want.json or error, for several also identity.
type testCase struct {
	path    string
	archive *txtar.Archive
	hooks   []hook
	zone    *time.Location
}

type hook struct {
	number string // "" or 1, 2, …
	source.Hook
}

func readCase(t testing.TB, path string) testCase {
	t.Helper()
	archive, err := txtar.ParseFile(path)
	if err != nil {
		t.Fatal(err)
	}
	c := testCase{path: path, archive: archive, zone: time.UTC}
	contentType := ""
	for _, f := range archive.Files {
		name, extension, _ := strings.Cut(f.Name, ".")
		number, isHook := strings.CutPrefix(name, "hook")
		switch {
		case f.Name == "content-type":
			contentType = strings.TrimSpace(string(f.Data))
		case f.Name == "options":
			c.zone = zone(t, string(f.Data))
		case isHook && extension == "quoted":
			c.hooks = append(c.hooks, hook{number, source.Hook{Body: unquote(t, f.Data)}})
		case isHook:
			c.hooks = append(c.hooks, hook{number, source.Hook{Body: f.Data}})
		}
	}
	for i := range c.hooks {
		c.hooks[i].ContentType = contentType
	}
	return c
}

// zone reads the option "time_zone: NAME".
func zone(t testing.TB, options string) *time.Location {
	t.Helper()
	name, ok := strings.CutPrefix(strings.TrimSpace(options), "time_zone: ")
	location, err := time.LoadLocation(name)
	if !ok || err != nil {
		t.Fatalf("options %q: %v", options, err)
	}
	return location
}

func unquote(t testing.TB, data []byte) []byte {
	t.Helper()
	var out []byte
	for line := range strings.Lines(string(data)) {
		s, err := strconv.Unquote(strings.TrimSpace(line))
		if err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		out = append(out, s...)
	}
	return out
}

func decoder(zone *time.Location) source.Decoder {
	return proprofs.Type().New(source.Options{Zone: zone})
}

func TestCases(t *testing.T) {
	t.Parallel()
	paths, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no cases: %v", err)
	}
	for _, path := range paths {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txtar"), func(t *testing.T) {
			t.Parallel()
			c := readCase(t, path)
			var got []txtar.File
			var decoded []source.Decoded
			for _, h := range c.hooks {
				d, err := decoder(c.zone).Decode(h.Hook)
				if err != nil {
					if refused, ok := errors.AsType[*source.Error](err); !ok || refused.Reason == "" {
						t.Fatalf("error %#v is no *source.Error with a reason", err)
					}
					got = append(got, txtar.File{Name: "error" + h.number, Data: []byte(err.Error() + "\n")})
					continue
				}
				got = append(got, txtar.File{Name: "want" + h.number + ".json", Data: render(t, d)})
				decoded = append(decoded, d)
			}
			if len(decoded) > 1 {
				got = append(got, txtar.File{Name: "identity", Data: identity(decoded)})
			}
			golden(t, c, got)
		})
	}
}

// render is the conversation as JSON with its session.
func render(t testing.TB, d source.Decoded) []byte {
	t.Helper()
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	err := e.Encode(struct {
		chat.Conversation

		Session       string `json:"session,omitempty"`
		SessionWindow string `json:"session_window,omitempty"`
	}{d.Conversation, d.Session, strings.TrimSuffix(d.SessionWindow.String(), "0s")})
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// identity compares each conversation with the first.
func identity(decoded []source.Decoded) []byte {
	var b bytes.Buffer
	first := decoded[0]
	for i, d := range decoded[1:] {
		fmt.Fprintf(&b, "1 and %d: same id %t, same session %t, same content %t, messages a prefix %t\n", i+2,
			d.Conversation.ID == first.Conversation.ID, d.Session == first.Session,
			d.Conversation.Fingerprint() == first.Conversation.Fingerprint(),
			chat.IsPrefix(first.Conversation.Chain(), d.Conversation.Chain()))
	}
	return b.Bytes()
}

func golden(t *testing.T, c testCase, got []txtar.File) {
	t.Helper()
	var want, inputs []txtar.File
	for _, f := range c.archive.Files {
		if f.Name == "identity" || strings.HasPrefix(f.Name, "want") || strings.HasPrefix(f.Name, "error") {
			want = append(want, f)
			continue
		}
		inputs = append(inputs, f)
	}
	if *update {
		out := txtar.Archive{Comment: c.archive.Comment, Files: append(inputs, got...)}
		if err := os.WriteFile(c.path, txtar.Format(&out), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	text := func(files []txtar.File) string { return string(txtar.Format(&txtar.Archive{Files: files})) }
	if diff := cmp.Diff(text(want), text(got)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestVendorSample holds the claim of case 35 against the vendor's own sample.
func TestVendorSample(t *testing.T) {
	t.Parallel()
	body, err := os.ReadFile("../../../../shared/fixtures/proprofs-transcript.json")
	if errors.Is(err, os.ErrNotExist) {
		t.Skip("the vendor's sample is not beside this checkout; testdata/35-sample.txtar is like it")
	}
	if err != nil {
		t.Fatal(err)
	}
	d, err := decoder(time.UTC).Decode(source.Hook{Body: body, ContentType: "application/json"})
	if err != nil {
		t.Fatal(err)
	}
	c := d.Conversation
	type said struct{ Role, Author, Text, Stamp, At string }
	var got []said
	for _, m := range c.Messages {
		got = append(got, said{string(m.Role), m.Author, m.Text, m.Stamp, m.At.Format(time.DateTime)})
	}
	want := []said{
		{"agent", "Test Account", "How may i help you today?", "01-01-2020 22:31:31", "2020-01-01 22:31:31"},
		{"agent", "Test Account", "test5", "09-01-2020     22:31:32", "2020-01-09 22:31:32"},
		{"agent", "Test Account", "hi", "09-01-2020 22:31:33", "2020-01-09 22:31:33"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("messages (-want +got):\n%s", diff)
	}
	if start, end := c.StartedAt.Format(time.DateTime), c.EndedAt.Format(time.DateTime); start != "2020-01-09 22:31:20" || end != "2020-01-09 22:31:35" {
		t.Errorf("from %s to %s", start, end)
	}
	if len(c.Warnings) != 1 || !strings.Contains(c.Warnings[0], "message 1 is too early") {
		t.Errorf("warnings %q", c.Warnings)
	}
}

// TestSeparatorsAreEqual holds that what stands between two lines changes nothing.
func TestSeparatorsAreEqual(t *testing.T) {
	t.Parallel()
	decode := func(separator string) []chat.Message {
		msg := strings.Join([]string{
			"Ann: hello [09-01-2020 22:31:31]", "Bob: hi there [09-01-2020 22:31:32]", "Ann: 50% [09-01-2020 22:31:33]", "",
		}, separator)
		body, err := json.Marshal(map[string]string{"l2s_msg": msg, "l2s_name": "Bob", "l2s_logid": "Ann", "l2s_date": "2020-01-09 22:31:35"})
		if err != nil {
			t.Fatal(err)
		}
		d, err := decoder(time.UTC).Decode(source.Hook{Body: body})
		if err != nil {
			t.Fatal(err)
		}
		return d.Conversation.Messages
	}
	want := decode("\r\n")
	if len(want) != 3 {
		t.Fatalf("got %d messages", len(want))
	}
	for _, separator := range []string{"\n", "\r", `\r\n`, `\n`, "<br>", "<br />", "<BR/>\r\n", " \r\n\r\n"} {
		if diff := cmp.Diff(want, decode(separator)); diff != "" {
			t.Errorf("separator %q (-want +got):\n%s", separator, diff)
		}
	}
}

// TestLargeHooks holds that hostile and huge transcripts are decoded whole, and in about linear time: a quadratic
// reading of 1 MB would take minutes.
func TestLargeHooks(t *testing.T) {
	t.Parallel()
	const size = 1 << 20
	repeat := func(s string) string { return strings.Repeat(s, size/len(s)) }
	for name, c := range map[string]struct {
		msg  string
		want int
	}{
		"messages":         {strings.Repeat("Bob: hi [09-01-2020 22:31:32]\r\n", 20_000), 20_000},
		"one message":      {"Bob: " + repeat("x ") + "[09-01-2020 22:31:32]\r\n", 1},
		"too many":         {strings.Repeat("B: [09-01-2020 22:31:32]\n", 200_010), 200_001},
		"half stamps":      {repeat("[1:11]\n"), 1},
		"brackets":         {repeat("["), 1},
		"line breaks":      {"a: b [1:11]" + repeat("\n"), 1},
		"tags":             {repeat(`<b a="`), 1},
		"mixed quotes":     {repeat(`<b a='"' b="`), 1},
		"links":            {repeat(`<a href="x">`), 1},
		"entities":         {repeat("&amp"), 1},
		"escaped breaks":   {repeat(`]\r\n`), 1},
		"colons":           {repeat("a:"), 1},
		"spaces and stamp": {"Bob: " + repeat(" ") + "[09-01-2020 22:31:32]", 1},
	} {
		body, err := json.Marshal(map[string]string{"l2s_msg": c.msg, "l2s_name": "Bob", "l2s_question": "<table>" + c.msg + "</table>"})
		if err != nil {
			t.Fatal(err)
		}
		begin := time.Now()
		d, err := decoder(time.UTC).Decode(source.Hook{Body: body})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if took := time.Since(begin); took > 20*time.Second {
			t.Errorf("%s: took %v", name, took)
		} else {
			t.Logf("%s: %d bytes in %v", name, len(body), took.Round(time.Millisecond))
		}
		if got := len(d.Conversation.Messages); got != c.want {
			t.Errorf("%s: got %d messages, want %d", name, got, c.want)
		}
	}
}

var (
	markup = regexp.MustCompile(`<[^>]*>|&[^;\s&]{1,32};`)
	word   = regexp.MustCompile(`[\pL\pN]+`)
)

func FuzzDecode(f *testing.F) {
	paths, err := filepath.Glob("testdata/*.txtar")
	if err != nil {
		f.Fatal(err)
	}
	for _, path := range paths {
		for _, h := range readCase(f, path).hooks {
			f.Add(h.Body)
		}
	}
	prague, err := time.LoadLocation("Europe/Prague")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		d, err := decoder(prague).Decode(source.Hook{Body: body})
		if err != nil {
			if _, ok := errors.AsType[*source.Error](err); !ok {
				t.Fatalf("error %#v is no *source.Error", err)
			}
			return
		}
		again, err := decoder(prague).Decode(source.Hook{Body: body})
		if diff := cmp.Diff(d, again); diff != "" || err != nil {
			t.Fatalf("decoded differently the second time: %v\n%s", err, diff)
		}
		checkNothingLost(t, body, d.Conversation)
	})
}

// FuzzTranscript is FuzzDecode with nothing but the transcript and the names to vary.
func FuzzTranscript(f *testing.F) {
	f.Add("Ann: a [09-01-2020 22:31:31]\nBob: b\nc [1:10 pm]\nx", "Bob", "Ann", "2020-01-09 22:31:35")
	f.Add(": [00-00-0000 00:00:00]\r<b>Ann</b>&nbsp;: http://x:80 [2020-10-25T02:30]", "A:b", "a  b", "25.10.2020 2:30")
	f.Fuzz(func(t *testing.T, msg, name, agent, date string) {
		body, err := json.Marshal(map[string]string{"l2s_msg": msg, "l2s_name": name, "l2s_logid": agent, "l2s_date": date, "l2s_sesid": "s"})
		if err != nil {
			t.Fatal(err)
		}
		d, err := decoder(time.UTC).Decode(source.Hook{Body: body})
		if err != nil {
			t.Fatal(err)
		}
		checkNothingLost(t, body, d.Conversation)
	})
}

// checkNothingLost compares the transcript with the messages: without markup, character by character but for white
// space and the grammar's own marks; with markup, word by word.
func checkNothingLost(t *testing.T, body []byte, c chat.Conversation) {
	t.Helper()
	var object map[string]any
	if json.Unmarshal(body, &object) != nil || !bytes.Equal(bytes.ToValidUTF8(body, nil), body) {
		return
	}
	msg, ok := object["l2s_msg"].(string)
	if !ok || strings.Contains(msg, `\`) || strings.TrimSpace(chat.Clean(msg)) == "" || bytes.Count(body, []byte("msg")) > 1 {
		return
	}
	var b strings.Builder
	for _, m := range c.Messages {
		fmt.Fprintf(&b, "%s: %s ", m.Author, m.Text)
		for _, f := range m.Files {
			if m.Text == "" {
				b.WriteString(f.Name)
			}
		}
		fmt.Fprintf(&b, "[%s]\n", m.Stamp)
	}
	got := bare(b.String())
	if !strings.ContainsAny(msg, "<&") {
		if want := bare(chat.Clean(msg)); got != want {
			t.Errorf("text was lost or made up:\n got %q\nwant %q\nfrom %q", got, want, msg)
		}
		return
	}
	for _, w := range word.FindAllString(markup.ReplaceAllString(chat.Clean(msg), " "), -1) {
		if !strings.Contains(got, w) {
			t.Errorf("%q was lost from %q: %q", w, msg, got)
		}
	}
}

// bare is s without white space and without the marks of the grammar.
func bare(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) || strings.ContainsRune(":[]", r) {
			return -1
		}
		return r
	}, s)
}
