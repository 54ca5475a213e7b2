// This file tests what hostile expressions and odd callers run into: bounds on size, nesting, steps and text.

package rule

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/afterchat/afterchat/internal/chat"
)

// long is a conversation of n messages of 100 bytes each.
func long(n int) *chat.Conversation {
	c := &chat.Conversation{ID: "long", Source: "shop", Platform: "smartsupp", Outcome: chat.Completed}
	for i := range n {
		role := chat.Visitor
		if i%2 == 1 {
			role = chat.Agent
		}
		c.Messages = append(c.Messages, chat.Message{Role: role, Author: "Jana", Text: strings.Repeat("lorem ipsum, ", 8)[:100]})
	}
	return c
}

func TestSourceLimits(t *testing.T) {
	t.Parallel()
	tests := map[string]struct{ src, want string }{
		"bytes":       {`"` + strings.Repeat("a", maxSource) + `"`, "expression of 8194 bytes, at most 8192 are allowed"},
		"nodes":       {strings.Repeat("1 + ", maxNodes) + "1", "expression has more than 400 parts"},
		"parentheses": {strings.Repeat("(", 4000) + "1" + strings.Repeat(")", 4000), ""},
		"open":        {strings.Repeat("(", 8000), "unexpected end of expression"},
		"brackets":    {strings.Repeat("[", 8000), "unexpected end of expression"},
		"minus":       {strings.Repeat("-", 8000) + "1", "expression has more than 400 parts"},
		"elvis":       {strings.Repeat("(", 60) + "true" + strings.Repeat(" ?: true)", 60), "expression repeats parts of itself too often"},
		"chains":      {strings.Repeat("1 < (", 60) + "1" + strings.Repeat(") < 2", 60), "expression repeats parts of itself too often"},
		"not UTF-8":   {"\"\xff\"", "expression is not valid UTF-8"},
		"loops":       {"any(messages, any(messages, any(messages, any(messages, true))))", "loops nested 4 deep, at most 2 are allowed"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, _, problems := compile(test.src, testScope)
			got := ""
			if len(problems) > 0 {
				got = problems[0].Text
			}
			if got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

func TestTooCostly(t *testing.T) {
	t.Parallel()
	c := long(2000)
	const slow = `let v = visitor.name; any(messages, let m = .text; len(split(trim(v, m), "")) == 1)`
	c.Person.Name = strings.Repeat("abc ", 1<<18)
	condition, problems := CompileCondition(slow, testScope)
	if problems != nil {
		t.Fatal(list(problems))
	}
	if _, err := condition.Match(c); !errors.Is(err, ErrTooCostly) {
		t.Errorf("error %v, want ErrTooCostly", err)
	}
	for text, want := range map[string]Value{
		`${` + slow + ` ? "a" : "b"}`:               {V: cutMark},
		`a ${` + slow + `} b ${visitor.id}c`:        {V: "a " + cutMark + " b " + cutMark + "c"},
		`${visitor.vars[` + slow + ` ? "a" : "b"]}`: {Absent: true},
	} {
		tmpl, problems := CompileTemplate(text, testScope)
		if problems != nil {
			t.Fatal(list(problems))
		}
		got, err := tmpl.Render(c)
		if err != nil || got.V != want.V || got.Absent != want.Absent || !strings.Contains(got.Cut, "too many steps") {
			t.Errorf("%s: %+v, %v", text, got, err)
		}
	}
}

// Text that grows beyond what a run may make is cut, visibly. So it renders, in every field and in a condition.
func TestGrowingTextIsCut(t *testing.T) {
	t.Parallel()
	short := long(1)
	short.Messages[0].Text = strings.Repeat("ž", 1800)
	for name, c := range map[string]*chat.Conversation{"one message of 3.6 kB": short, "200 messages": long(200)} {
		for src, kind := range map[string]string{
			`replace(transcript.text, "", transcript.text)`:                                                                                     "text",
			`replace(replace(replace(transcript.text, "", transcript.text), "", transcript.text), "", transcript.text)`:                         "text",
			`replace(replace(transcript.text, "", transcript.text), "x", "")`:                                                                   "text",
			`split(replace(transcript.text, "", "          "), "")`:                                                                             "list",
			`len(split(replace(transcript.text, "", "          "), "")) > 0 and len(split(replace(transcript.text, "", "          "), "")) > 0`: "truth",
			`let a = transcript.text + transcript.text; let b = a + a; let c = b + b; let d = c + c; let e = d + d; let f = e + e; let g = f + f; let h = g + g; let i = h + h; let j = i + i; let k = j + j; k + k`: "text",
			`let t = replace(transcript.text, "", transcript.text); any(split(t, ""), lower(#) + upper(#) == "zZ")`:                                                                                                  "truth",
			`let t = replace(transcript.text, "", transcript.text); string(conversation) + t`:                                                                                                                        "text",
			`let t = replace(transcript.text, "", transcript.text); t == "" ? visitor : visitor`:                                                                                                                     "record",
			`join(map(messages, replace(.text, "", .text)), replace(transcript.text, "", transcript.text))`:                                                                                                          "text",
			`html(replace(transcript.text, "", "<" + transcript.text))`:                                                                                                                                              "html",
			`markdown(replace(transcript.text, "", "*" + transcript.text))`:                                                                                                                                          "text",
			`{"a": transcript.html, "b": replace(transcript.text, "", transcript.text), "c": [conversation]}`:                                                                                                        "map",
		} {
			for _, text := range []string{"${" + src + "}", "a ${" + src + "} b"} {
				tmpl, problems := CompileTemplate(text, testScope)
				if problems != nil {
					t.Fatalf("%s: %s", src, list(problems))
				}
				v, err := tmpl.Render(c)
				if err != nil || v.Absent || !utf8.ValidString(FormatValue(v.V)) {
					t.Errorf("%s: %s: %s: absent %v, %v", name, kind, text, v.Absent, err)
				}
				if s, ok := v.V.(string); ok && name != "200 messages" && kind == "text" && (v.Cut == "" || !strings.Contains(s, cutMark)) {
					t.Errorf("%s: %d bytes, nothing tells that it was cut (%q)", text, len(s), v.Cut)
				}
				if v, err := tmpl.RenderHTML(c); err != nil || v.Absent {
					t.Errorf("%s: %s as HTML: absent %v, %v", name, text, v.Absent, err)
				}
			}
			if condition, problems := CompileCondition(`string(`+src+`) != "x"`, testScope); problems == nil {
				if ok, err := condition.Match(c); !ok || err != nil {
					t.Errorf("%s: %s as a condition: %v, %v", name, src, ok, err)
				}
			}
		}
	}
}

// What passes check ends within the bounds, however many messages there are: what is the same for every item of a loop is
// computed once, and a loop in a loop goes through what belongs to one item.
func TestLoopsOverManyMessages(t *testing.T) {
	t.Parallel()
	c := long(20_000)
	for i := range c.Messages {
		c.Messages[i].Files = []chat.File{{Name: "a.png", Type: "image/png"}}
	}
	c.Agents = []chat.Author{{Name: "Jana"}, {Name: "Petr"}}
	for src, want := range map[string]bool{
		`any(messages, any(messages, .text == "x"))`:                                                false,
		`none(messages, any(messages, .text == "x"))`:                                               true,
		`count(messages, .role == "agent" and any(messages, .role == "visitor")) == 10000`:          true,
		`any(messages, len(filter(messages, .role == "agent")) < 3)`:                                false,
		`all(messages, not mentions(messages, "nothing", "of", "this", "kind"))`:                    true,
		`none(messages, transcript.text matches "(lorem|x)+(y|z)*q")`:                               true,
		`any(messages, any(.files, .name endsWith ".jpg"))`:                                         false,
		`all(messages, any(split(.text, " "), # == "lorem"))`:                                       true,
		`any(messages, any(split(.text, ""), lower(#) + upper(#) == "zZ"))`:                         false,
		`none(agents, let a = #; any(messages, .author == a.name + "x"))`:                           true,
		`all(messages, .author in map(agents, .name))`:                                              true,
		`all(messages, let m = #; any(agents, .name == m.author))`:                                  true,
		`let names = map(filter(messages, .role == "agent"), .author); all(agents, len(names) > 3)`: true,
		`any(messages, .text == first(messages).text + "!")`:                                        false,
		`all(agents, let a = #; none(agents, .name == a.name + "x" and len(messages) > 3))`:         true,
	} {
		condition, problems := CompileCondition(src, testScope)
		if problems != nil {
			t.Errorf("%s: %s", src, list(problems))
			continue
		}
		if got, err := condition.Match(c); err != nil || got != want {
			t.Errorf("%s: %v, %v; want %v", src, got, err, want)
		}
	}
}

// A part that is the same for every item must not be taken for it if it depends on the item after all, nor be kept from
// one expression to the next.
func TestComputedOnce(t *testing.T) {
	t.Parallel()
	c := long(4)
	for i := range c.Messages {
		c.Messages[i].Author, c.Messages[i].Text = string("abcd"[i]), string("abcd"[3-i])
	}
	c.Agents = []chat.Author{{Name: "b"}, {Name: "c"}}
	for src, want := range map[string]string{
		`${map(messages, upper(.author)) | join("")}`:                                      "ABCD",
		`${map(messages, upper(first(messages).author)) | join("")}`:                       "AAAA",
		`${map(messages, let m = .author; upper(m)) | join("")}`:                           "ABCD",
		`${let m = first(messages).author; map(messages, upper(m) + .author) | join("")}`:  "AaAbAcAd",
		`${map(messages, let m = #; count(agents, .name >= m.author)) | join("")}`:         "2210",
		`${map(messages, count(agents, .name >= "c")) | join("")}`:                         "1111",
		`${map(agents, upper(.name)) | join("")}${map(messages, upper(brand)) | join("")}`: "BCSSSS",
		`${map(messages, upper(brand)) | join("")}${map(messages, upper(id)) | join("")}`:  "SSSSLONGLONGLONGLONG",
		`${map(messages, string(#index)) | join("")}`:                                      "0123",
		`${map(agents, join(map(messages, upper(.author)), "")) | join("-")}`:              "ABCD-ABCD",
		`${map(agents, let n = .name; string(count(messages, .author <= n))) | join("")}`:  "23",
	} {
		c.Brand = "s"
		tmpl, problems := CompileTemplate(src, testScope)
		if problems != nil {
			if !strings.Contains(list(problems), "too long in a long chat") {
				t.Errorf("%s: %s", src, list(problems))
			}
			continue
		}
		v, err := tmpl.Render(c)
		if err != nil || v.V != want {
			t.Errorf("%s: %v, %v; want %s", src, v.V, err, want)
		}
	}
}

// A long conversation is no attack: the default mapping must be able to send it whole.
func TestLongConversation(t *testing.T) {
	t.Parallel()
	c := long(8_000) // its JSON is larger than maxText
	for _, src := range []string{"${conversation}", "${transcript.html}", "a ${transcript.text} b"} {
		tmpl, problems := CompileTemplate(src, testScope)
		if problems != nil {
			t.Fatal(list(problems))
		}
		v, err := tmpl.Render(c)
		if err != nil || v.Absent {
			t.Errorf("%s: absent %v, error %v", src, v.Absent, err)
		}
	}
}

func TestConcurrent(t *testing.T) {
	t.Parallel()
	c := load(t, "sample")
	tmpl, problems := CompileTemplate(`${let v = visitor.name; map(messages, .author ?? v) | join(",")} ${transcript.text}`, testScope)
	if problems != nil {
		t.Fatal(list(problems))
	}
	want, err := tmpl.Render(c)
	if err != nil {
		t.Fatal(err)
	}
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			for range 50 {
				if got, err := tmpl.Render(c); err != nil || got != want {
					t.Errorf("got %v, %v", got, err)
					return
				}
			}
		})
	}
	group.Wait()
}

// What is rendered belongs to the caller; changing it must not change the conversation.
func TestRenderedIsACopy(t *testing.T) {
	t.Parallel()
	c := load(t, "sample")
	tmpl, problems := CompileTemplate(`${visitor.vars}`, testScope)
	if problems != nil {
		t.Fatal(list(problems))
	}
	v, err := tmpl.Render(c)
	if err != nil {
		t.Fatal(err)
	}
	v.V.(map[string]any)["plan"] = "changed"
	if got := c.Person.Vars["plan"]; got != "pro" {
		t.Errorf("the conversation's plan is now %v", got)
	}
}

func TestConversationKeepsNamesAndOrder(t *testing.T) {
	t.Parallel()
	c := load(t, "sample")
	tmpl, _ := CompileTemplate(`${conversation}`, testScope)
	v, err := tmpl.Render(c)
	if err != nil {
		t.Fatal(err)
	}
	raw, ok := v.V.(json.RawMessage)
	if !ok {
		t.Fatalf("got a %T", v.V)
	}
	keys := topKeys(t, raw)
	var declared []string
	for _, n := range Names()[1:] {
		if !strings.ContainsAny(n.Name, ".[") && slices.Contains(keys, n.Name) {
			declared = append(declared, n.Name)
		}
	}
	if diff := cmp.Diff(declared, keys); diff != "" {
		t.Errorf("order (-declared +rendered):\n%s", diff)
	}
	if len(keys) < 15 || keys[len(keys)-1] != "transcript" {
		t.Errorf("keys %v", keys)
	}
	if c.Transcript != nil {
		t.Error("rendering changed the conversation")
	}
}

func TestFormatValue(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 3, 10, 0, 0, 0, time.FixedZone("", 3600))
	for want, v := range map[string]any{
		"": nil, "x": "x", "<b>": chat.HTML("<b>"), "true": true, "-7": int64(-7), "7": 7, "0.1": 0.1,
		"100000000000000000000000": 1e23, "0.000001": 1e-6,
		"12345678901234567890": json.Number("12345678901234567890"), "1500": json.Number("1.5e3"), "-0.0012": json.Number("-1.2E-3"),
		"0": json.Number("0e9"), "1e999999999": json.Number("1e999999999"), "1.10": json.Number("1.10"),
		"2026-11-03T09:00:00Z": at, `["a",1]`: []any{"a", 1}, `{"a":"<"}`: map[string]any{"a": "<"},
	} {
		if got := FormatValue(v); got != want {
			t.Errorf("FormatValue(%#v) = %q, want %q", v, got, want)
		}
	}
}

// topKeys lists the keys of a JSON object in their order.
func topKeys(t *testing.T, raw []byte) (keys []string) {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(raw))
	if _, err := d.Token(); err != nil {
		t.Fatal(err)
	}
	for d.More() {
		key, err := d.Token()
		if err != nil {
			t.Fatal(err)
		}
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			t.Fatal(err)
		}
		keys = append(keys, key.(string))
	}
	return keys
}
