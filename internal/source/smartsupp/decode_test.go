// This file runs the numbered cases in testdata: a hook as it may arrive, and the conversation that it must become.

package smartsupp_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/afterchat/afterchat/internal/chat"
	"github.com/afterchat/afterchat/internal/source"
	"github.com/afterchat/afterchat/internal/source/smartsupp"
)

var update = flag.Bool("update", false, "write the golden files")

// TestCases runs every case of testdata. A case holds hook.json, or hook1.json, hook2.json, … when it is about what
// makes two hooks the same; or hook.quoted, lines that are Go strings, for bytes that a text file cannot show; or
// generate, the size of a hook that is too large to be kept, whose golden is want.counts. It may hold a content-type and options (time_zone NAME). Golden are want.json, want1.json, …; identity, which compares the
// hooks, and transcript, both only where the case has them already; or error.
func TestCases(t *testing.T) {
	t.Parallel()
	for _, path := range cases(t) {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txtar"), func(t *testing.T) {
			t.Parallel()
			archive, err := txtar.ParseFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if strings.TrimSpace(string(archive.Comment)) == "" {
				t.Error("the case does not say what it is about")
			}
			golden := &txtar.Archive{Comment: archive.Comment}
			in := map[string][]byte{}
			for _, f := range archive.Files {
				in[f.Name] = f.Data
				if isInput(f.Name) {
					golden.Files = append(golden.Files, f)
				}
			}
			golden.Files = append(golden.Files, outputs(t, in)...)
			want, got := txtar.Format(archive), txtar.Format(golden)
			if *update {
				if err := os.WriteFile(path, got, 0o600); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := cmp.Diff(string(want), string(got)); diff != "" {
				t.Errorf("decoded differently (-want +got):\n%s", diff)
			}
		})
	}
}

func cases(t testing.TB) []string {
	t.Helper()
	paths, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no cases in testdata: %v", err)
	}
	return paths
}

func isInput(name string) bool {
	return strings.HasPrefix(name, "hook") || name == "generate" || name == "content-type" || name == "options"
}

// hooks returns the hooks of a case in order.
func hooks(t testing.TB, in map[string][]byte) []source.Hook {
	t.Helper()
	contentType := "application/json"
	if v, ok := in["content-type"]; ok {
		contentType = strings.TrimSpace(string(v))
	}
	var out []source.Hook
	add := func(body []byte) {
		out = append(out, source.Hook{Body: body, ContentType: contentType, ReceivedAt: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)})
	}
	if body, ok := in["hook.json"]; ok {
		add(body)
	}
	if body, ok := in["hook.txt"]; ok {
		add(body)
	}
	if lines, ok := in["hook.quoted"]; ok {
		var body []byte
		for line := range strings.Lines(string(lines)) {
			s, err := strconv.Unquote(strings.TrimSpace(line))
			if err != nil {
				t.Fatalf("hook.quoted: %q is no Go string: %v", line, err)
			}
			body = append(body, s...)
		}
		add(body)
	}
	for i := 1; ; i++ {
		body, ok := in[fmt.Sprintf("hook%d.json", i)]
		if !ok {
			break
		}
		add(body)
	}
	if len(out) == 0 {
		t.Fatal("the case has no hook")
	}
	return out
}

func decoder(t testing.TB, in map[string][]byte) source.Decoder {
	t.Helper()
	var options source.Options
	if name, ok := strings.CutPrefix(strings.TrimSpace(string(in["options"])), "time_zone "); ok {
		zone, err := time.LoadLocation(name)
		if err != nil {
			t.Fatal(err)
		}
		options.Zone = zone
	}
	return smartsupp.Type().New(options)
}

// outputs decodes the hooks of a case and returns its golden files.
func outputs(t testing.TB, in map[string][]byte) []txtar.File {
	t.Helper()
	d := decoder(t, in)
	if description, ok := in["generate"]; ok {
		return []txtar.File{{Name: "want.counts", Data: counts(t, d, generate(t, description))}}
	}
	all := hooks(t, in)
	var files []txtar.File
	var decoded []chat.Conversation
	for i, h := range all {
		suffix := ""
		if len(all) > 1 {
			suffix = strconv.Itoa(i + 1)
		}
		got, err := d.Decode(h)
		if err != nil {
			if sourceError := (*source.Error)(nil); !errors.As(err, &sourceError) {
				t.Fatalf("Decode: %v is no *source.Error", err)
			}
			files = append(files, txtar.File{Name: "error" + suffix, Data: []byte(err.Error() + "\n")})
			continue
		}
		if got.Session != "" || got.SessionWindow != 0 {
			t.Errorf("session %q, %v: this platform has none", got.Session, got.SessionWindow)
		}
		decoded = append(decoded, got.Conversation)
		files = append(files, txtar.File{Name: "want" + suffix + ".json", Data: indented(t, got.Conversation)})
	}
	if _, ok := in["identity"]; ok {
		files = append(files, txtar.File{Name: "identity", Data: compare(decoded, all)})
	}
	if _, ok := in["transcript"]; ok {
		files = append(files, txtar.File{Name: "transcript", Data: []byte(decoded[0].Render(chat.Style{}).Text + "\n")})
	}
	return files
}

// generate makes a hook from its description: messages N, in reverse order, of text N bytes; depth N nested lists.
func generate(t testing.TB, description []byte) []byte {
	t.Helper()
	size := map[string]int{}
	for line := range strings.Lines(string(description)) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		n, err := strconv.Atoi(value)
		if err != nil {
			t.Fatalf("generate: %q: %v", line, err)
		}
		size[key] = n
	}
	var b bytes.Buffer
	b.WriteString(`{"accountId":1,"channel":{"id":5},"visitor":{"id":7},"messages":[`)
	for i := range size["messages"] {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"type":"visitor","from":"visitor:abc","content":%q,"sentAt":%d}`,
			strings.Repeat("x", size["text"]), 1760529600000+1000*(size["messages"]-i))
	}
	fmt.Fprintf(&b, `],"deep":%s1%s}`, strings.Repeat("[", size["depth"]), strings.Repeat("]", size["depth"]))
	return b.Bytes()
}

// counts decodes a generated hook and says how much of it there is.
func counts(t testing.TB, d source.Decoder, body []byte) []byte {
	t.Helper()
	got, err := d.Decode(source.Hook{Body: body, ContentType: "application/json"})
	if err != nil {
		return []byte(err.Error() + "\n")
	}
	c := got.Conversation
	text := 0
	for _, m := range c.Messages {
		text += len(m.Text)
	}
	return fmt.Appendf(nil, "messages %d\ntext %d\nstarted %s\nended %s\nwarnings %q\n", len(c.Messages), text,
		c.StartedAt.Format(time.RFC3339), c.EndedAt.Format(time.RFC3339), c.Warnings)
}

// compare says how each hook relates to the one before it.
func compare(decoded []chat.Conversation, all []source.Hook) []byte {
	var b bytes.Buffer
	for i := 1; i < len(decoded); i++ {
		was, is := &decoded[i-1], &decoded[i]
		say := func(same bool) string {
			if same {
				return "same"
			}
			return "other"
		}
		chain := "other"
		switch before, after := was.Chain(), is.Chain(); {
		case chat.IsPrefix(before, after) && chat.IsPrefix(after, before):
			chain = "same"
		case chat.IsPrefix(before, after):
			chain = "longer"
		case chat.IsPrefix(after, before):
			chain = "shorter"
		}
		fmt.Fprintf(&b, "hook%d after hook%d: body %s, id %s, fingerprint %s, messages %s\n", i+1, i,
			say(chat.RawFingerprint(all[i-1].Body) == chat.RawFingerprint(all[i].Body)),
			say(was.ID == is.ID), say(was.Fingerprint() == is.Fingerprint()), chain)
	}
	return b.Bytes()
}

func indented(t testing.TB, c chat.Conversation) []byte {
	t.Helper()
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(c); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestVendorSample decodes the vendor's own sample, where a checkout has it beside it.
func TestVendorSample(t *testing.T) {
	t.Parallel()
	const path = "../../../../shared/fixtures/smartsupp-completed.json"
	body, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		t.Skipf("the vendor's sample is not at %s", path)
	}
	if err != nil {
		t.Fatal(err)
	}
	got, err := smartsupp.Type().New(source.Options{}).Decode(source.Hook{Body: body, ContentType: "application/json"})
	if err != nil {
		t.Fatal(err)
	}
	c := got.Conversation
	if c.Account != "208" || c.ExternalID != "55039" || c.Outcome != chat.Completed || c.Person.CountryCode != "CZ" {
		t.Errorf("account %q, id %q, outcome %q, country %q", c.Account, c.ExternalID, c.Outcome, c.Person.CountryCode)
	}
	if diff := cmp.Diff([]chat.Author{{ID: "3", Name: "John Doe"}}, c.Agents); diff != "" {
		t.Errorf("agents (-want +got):\n%s", diff)
	}
	want := `2015-03-27 (UTC)
[15:33:59] Dusan Kmet: Hello
[15:34:06] — John Doe: agent.join
[15:34:09] Automatic: Test Trigger: This is triggered message
[15:34:13] John Doe: Hi, how can i help you ?
[15:34:33] Dusan Kmet: tanks.
[15:34:36] — Dusan Kmet: close.visitorClose`
	if diff := cmp.Diff(want, c.Render(chat.Style{}).Text); diff != "" {
		t.Errorf("transcript (-want +got):\n%s", diff)
	}
	if len(c.Warnings) > 0 {
		t.Errorf("warnings %q", c.Warnings)
	}
}

// TestReadme keeps the table of cases complete.
func TestReadme(t *testing.T) {
	t.Parallel()
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range cases(t) {
		if !bytes.Contains(readme, []byte("]("+filepath.ToSlash(path)+")")) {
			t.Errorf("README.md does not list %s", path)
		}
	}
}
