// This file checks on any input that decoding neither fails without saying so nor loses a text.

package smartsupp_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"
	"pgregory.net/rapid"

	"github.com/afterchat/afterchat/internal/chat"
	"github.com/afterchat/afterchat/internal/source"
	"github.com/afterchat/afterchat/internal/source/smartsupp"
)

func FuzzDecode(f *testing.F) {
	for _, path := range cases(f) {
		archive, err := txtar.ParseFile(path)
		if err != nil {
			f.Fatal(err)
		}
		in := map[string][]byte{}
		for _, file := range archive.Files {
			in[file.Name] = file.Data
		}
		if _, ok := in["generate"]; ok {
			continue
		}
		for _, h := range hooks(f, in) {
			f.Add(h.Body, h.ContentType)
		}
	}
	f.Fuzz(func(t *testing.T, body []byte, contentType string) {
		check(t, source.Hook{Body: body, ContentType: contentType})
	})
}

// TestAnyShape puts values of any shape where the hook has fields.
func TestAnyShape(t *testing.T) {
	t.Parallel()
	scalar := rapid.Custom(func(t *rapid.T) any {
		return rapid.OneOf(
			rapid.SampledFrom([]any{
				nil, true, false, 0, 5, -1, 1e6, 1760529600000, 1760529600.5, "", "0", "5", " 5 ", "agent:3", "visitor:abc", "system",
				"agent.join", "agent", "visitor", "bot", "text", "upload", "2025-10-15 14:00:00", "https://files.example/a?b=1", "javascript:x",
				"A@b.cz", "203.0.113.9, 10.0.0.1", "a\u0000b\r\nc", "\u2028", json.Number("12345678901234567890"), json.Number("1e300"),
			}),
			rapid.Map(rapid.String(), func(s string) any { return s }),
			rapid.Map(rapid.Int(), func(n int) any { return n }),
		).Draw(t, "scalar")
	})
	// object draws an object with about half of the given keys.
	object := func(values *rapid.Generator[any], keys ...string) *rapid.Generator[any] {
		return rapid.Custom(func(t *rapid.T) any {
			fields := map[string]any{}
			for _, key := range keys {
				if rapid.Bool().Draw(t, "has "+key) {
					fields[key] = values.Draw(t, key)
				}
			}
			return fields
		})
	}
	list := func(values *rapid.Generator[any]) *rapid.Generator[any] {
		return rapid.Map(rapid.SliceOfN(values, 0, 5), func(l []any) any { return l })
	}
	small := rapid.OneOf(scalar, object(scalar, "type", "text", "html", "url", "fileName", "size", "expireAt", "id", "name", "label", "value", "key", "0"))
	value := rapid.OneOf(scalar, scalar, small, list(small), object(small, "type", "data", "text", "url", "label", "value", "key", "0", "1"))
	message := object(value, "type", "subType", "from", "name", "content", "sentAt", "triggeredBy", "email", "attachments", "file", "x")
	top := map[string]*rapid.Generator[any]{
		"accountId": scalar,
		"beginAt":   scalar,
		"endAt":     value,
		"channel":   object(value, "id", "isChat", "isMissed", "isCompleted", "rating", "ratingDesc", "duration", "x"),
		"visitor": object(value, "id", "name", "email", "phone", "note", "group", "groupKey", "ipAddress", "city", "countryCode",
			"variables", "referer", "x"),
		"paths":    list(object(value, "url", "title", "x")),
		"messages": list(message),
		"x":        value,
	}
	rapid.Check(t, func(t *rapid.T) {
		hook := map[string]any{}
		for _, key := range slices.Sorted(maps.Keys(top)) {
			hook[key] = top[key].Draw(t, key)
			if rapid.IntRange(0, 9).Draw(t, "odd "+key) == 0 {
				hook[key] = value.Draw(t, "another "+key)
			}
		}
		body, err := json.Marshal(hook)
		if err != nil {
			t.Fatal(err)
		}
		check(t, source.Hook{Body: body, ContentType: "application/json"})
	})
}

// failer is what testing.T and rapid.T have in common.
type failer interface {
	Helper()
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
}

// check decodes one hook twice and looks at everything that holds for any hook.
func check(t failer, h source.Hook) {
	t.Helper()
	d := smartsupp.Type().New(source.Options{})
	got, err := d.Decode(h)
	if err != nil {
		if sourceError := (*source.Error)(nil); !errors.As(err, &sourceError) || sourceError.Reason == "" {
			t.Fatalf("%v is no *source.Error with a reason", err)
		}
		return
	}
	encoded, err := json.Marshal(got)
	if err != nil {
		t.Fatalf("the conversation is no JSON: %v", err)
	}
	h.ReceivedAt = time.Unix(1760529600, 0)
	again, err := d.Decode(h)
	if err != nil {
		t.Fatalf("the second time: %v", err)
	}
	if diff := cmp.Diff(got, again); diff != "" {
		t.Fatalf("decoded differently the second time:\n%s", diff)
	}
	c := got.Conversation
	if c.ID == "" || c.Outcome == "" {
		t.Errorf("id %q, outcome %q", c.ID, c.Outcome)
	}
	for _, at := range []time.Time{c.StartedAt, c.EndedAt} {
		if !at.IsZero() && at.Year() < 1973 {
			t.Errorf("time %v", at)
		}
	}
	for _, m := range c.Messages {
		if m.Trigger != "" && m.Role == chat.Agent {
			t.Errorf("the automatic message %+v is credited to a person", m)
		}
	}
	checkNothingLost(t, h.Body, encoded)
}

// checkNothingLost looks for the texts of a JSON body in the encoded conversation: those of the messages and all that
// is said about the visitor.
func checkNothingLost(t failer, body, encoded []byte) {
	t.Helper()
	var sent map[string]any
	if json.Unmarshal(body, &sent) != nil {
		return // a form or an odd encoding; ReadObject has its own test
	}
	var kept any
	if err := json.Unmarshal(encoded, &kept); err != nil {
		t.Fatalf("the conversation is no JSON: %v", err)
	}
	var all strings.Builder
	for _, s := range append(texts(kept, nil), keys(kept)...) {
		all.WriteString(fold(s) + "\x00")
	}
	var want []string
	messages, _ := sent["messages"].([]any)
	for _, m := range messages {
		if m, ok := m.(map[string]any); ok {
			want = append(want, texts(m["content"], []string{"type", "expireAt", "expiresAt", "expire_at", "size"})...)
		}
	}
	want = append(want, texts(sent["visitor"], nil)...)
	want = append(want, texts(sent["paths"], nil)...)
	for _, s := range want {
		if !strings.Contains(all.String(), fold(s)) {
			t.Errorf("%q is lost", s)
		}
	}
}

// texts returns all strings in a JSON value but those under the given keys.
func texts(v any, but []string) []string {
	var out []string
	switch v := v.(type) {
	case string:
		out = append(out, v)
	case []any:
		for _, e := range v {
			out = append(out, texts(e, but)...)
		}
	case map[string]any:
		for key, e := range v {
			if !slices.Contains(but, key) {
				out = append(out, texts(e, but)...)
			}
		}
	}
	return out
}

// keys returns all keys in a JSON value: the key of a variable in a list becomes one.
func keys(v any) []string {
	var out []string
	switch v := v.(type) {
	case []any:
		for _, e := range v {
			out = append(out, keys(e)...)
		}
	case map[string]any:
		for key, e := range v {
			out = append(append(out, key), keys(e)...)
		}
	}
	return out
}

// fold makes texts comparable: cleaned, without white space, invisible marks and the sign of broken text, in lower case.
func fold(s string) string {
	s = strings.Join(strings.Fields(chat.Clean(s)), "")
	s = strings.Map(func(r rune) rune {
		if unicode.Is(unicode.Cf, r) || r == utf8.RuneError {
			return -1
		}
		return r
	}, s)
	return strings.ToLower(s)
}

// TestHostileBodies checks that bodies of the largest size decode in a time that grows with their size.
func TestHostileBodies(t *testing.T) {
	if testing.Short() {
		t.Skip("decodes bodies of 16 MB")
	}
	const size = 16 << 20
	fill := func(head, element, tail string) []byte {
		n := (size - len(head) - len(tail)) / len(element)
		n = min(n, 180_000) // ReadObject takes about a million values
		b := append([]byte(head), bytes.Repeat([]byte(element), n)...)
		return append(b[:len(b)-1], tail...)
	}
	for name, body := range map[string][]byte{
		"equal variables":   fill(`{"accountId":1,"channel":{"id":5},"visitor":{"variables":[`, `{"key":"a","value":1},`, `]}}`),
		"messages":          fill(`{"accountId":1,"channel":{"id":5},"messages":[`, `{"content":"x","from":3},`, `]}`),
		"strange messages":  fill(`{"accountId":1,"channel":{"id":5},"messages":[`, `{"content":{"a":1},"x":[]},`, `]}`),
		"one content":       fill(`{"accountId":1,"channel":{"id":5},"messages":[{"type":"system","content":[`, `"agent.join",`, `]}]}`),
		"one long text":     fill(`{"accountId":1,"channel":{"id":5},"messages":[{"type":"system","content":"`, strings.Repeat("a.", 40)+" ", `"}]}`),
		"one long e-mail":   fill(`{"accountId":1,"channel":{"id":5},"visitor":{"email":"`, strings.Repeat("a@", 40)+",", `"}}`),
		"one long number":   fill(`{"accountId":1,"channel":{"id":5,"duration":`, strings.Repeat("1", 80), `}}`),
		"pages with extras": fill(`{"accountId":1,"channel":{"id":5},"paths":[`, `{"url":"x","y":1},`, `]}`),
	} {
		t.Run(name, func(t *testing.T) {
			start := time.Now()
			got, err := smartsupp.Type().New(source.Options{}).Decode(source.Hook{Body: body, ContentType: "application/json"})
			if err != nil {
				t.Fatal(err)
			}
			got.Conversation.Chain()
			if took := time.Since(start); took > 20*time.Second {
				t.Errorf("%d bytes took %v", len(body), took)
			} else {
				t.Logf("%d bytes in %v", len(body), took)
			}
		})
	}
}
