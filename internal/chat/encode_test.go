// This file holds our encoding of conversations against that of encoding/json.

package chat_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/afterchat/afterchat/internal/chat"
	"github.com/afterchat/afterchat/internal/chat/chattest"
)

// usual is what encoding/json makes of c.
func usual(tb testing.TB, c *chat.Conversation, escapeHTML bool) string {
	tb.Helper()
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(escapeHTML)
	if err := e.Encode(c); err != nil {
		tb.Fatal(err)
	}
	return string(bytes.TrimSuffix(b.Bytes(), []byte("\n")))
}

func checkEncoding(tb testing.TB, c *chat.Conversation) {
	tb.Helper()
	got, err := c.JSON()
	if err != nil {
		tb.Fatal(err)
	}
	if diff := cmp.Diff(usual(tb, c, false), string(got)); diff != "" {
		tb.Errorf("JSON (-encoding/json +ours):\n%s", diff)
	}
	content, err := c.Content()
	if err != nil {
		tb.Fatal(err)
	}
	bare := *c
	bare.ID, bare.Source, bare.Brand, bare.Revision, bare.ReceivedAt, bare.Warnings, bare.Transcript = "", "", "", 0, time.Time{}, nil, nil
	if diff := cmp.Diff(usual(tb, &bare, true), string(content)); diff != "" {
		tb.Errorf("content (-encoding/json +ours):\n%s", diff)
	}
	origin, err := c.AppendOrigin(nil)
	if err != nil {
		tb.Fatal(err)
	}
	want, err := json.Marshal(struct {
		Source     string    `json:"source"`
		Brand      string    `json:"brand,omitempty"`
		ReceivedAt time.Time `json:"received_at,omitzero"`
		Warnings   []string  `json:"warnings,omitempty"`
	}{c.Source, c.Brand, c.ReceivedAt, c.Warnings})
	if err != nil {
		tb.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(origin)); diff != "" {
		tb.Errorf("origin (-encoding/json +ours):\n%s", diff)
	}
}

func TestEncoding(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		c := chattest.Conversation().Draw(r, "conversation")
		if rapid.Bool().Draw(r, "transcript") {
			transcript := c.Render(chat.Style{})
			c.Transcript = &transcript
		}
		got, err := c.JSON()
		if err != nil {
			r.Fatal(err)
		}
		var b bytes.Buffer
		e := json.NewEncoder(&b)
		e.SetEscapeHTML(false)
		if err := e.Encode(c); err != nil {
			r.Fatal(err)
		}
		if diff := cmp.Diff(b.String(), string(got)+"\n"); diff != "" {
			r.Errorf("(-encoding/json +ours):\n%s", diff)
		}
	})
}

// TestEncodingOfAll has something in every field there is, so that a new one is not forgotten.
func TestEncodingOfAll(t *testing.T) {
	t.Parallel()
	var c chat.Conversation
	full(reflect.ValueOf(&c).Elem(), "c")
	checkEncoding(t, &c)
	checkEncoding(t, &chat.Conversation{})
	none := chat.Conversation{}
	none.Normalize()
	checkEncoding(t, &none)
}

// full puts something into everything that v points to.
func full(v reflect.Value, name string) {
	switch v.Interface().(type) {
	case time.Time:
		v.Set(reflect.ValueOf(time.Date(2026, 11, 22, 1, 2, 3, 450_000_000, time.UTC)))
		return
	case map[string]any:
		v.Set(reflect.ValueOf(map[string]any{"b": "<" + name + ">", "a": []any{json.Number("1e3"), nil, true}}))
		return
	case map[string]string:
		v.Set(reflect.ValueOf(map[string]string{"b": name, "a": ""}))
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			full(v.Field(i), name+"."+v.Type().Field(i).Name)
		}
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		full(v.Elem(), name)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		full(v.Index(0), name)
	case reflect.String:
		v.SetString(name)
	case reflect.Int, reflect.Int64:
		v.SetInt(42)
	case reflect.Float64:
		v.SetFloat(4.25)
	case reflect.Bool:
		v.SetBool(true)
	default:
		panic(fmt.Sprintf("%s is a %s; put something into it here", name, v.Kind()))
	}
}

func TestEncodingOfNumbers(t *testing.T) {
	t.Parallel()
	for _, f := range []float64{0, -1, 1e-6, 9.9e-7, 1e21, 9.9e20, 1e-9, -1e300, 0.1, 5e-324, 1 << 53} {
		checkEncoding(t, &chat.Conversation{Rating: &f, DurationSeconds: &f})
	}
}

func TestEncodingFails(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]*chat.Conversation{
		"extra": {Extra: map[string]any{"n": json.Number("no number")}},
		"time":  {StartedAt: time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)},
	} {
		_, want := json.Marshal(c)
		if _, err := c.Content(); (err == nil) != (want == nil) {
			t.Errorf("%s: %v, want %v", name, err, want)
		}
	}
}

func FuzzEncoding(f *testing.F) {
	f.Add("a\"b\\c\n\t\x00\x7f<&>\u2028\u2029\xff\xc3", int64(0))
	f.Add("ž…😀", int64(-62135596800000))
	f.Fuzz(func(t *testing.T, text string, at int64) {
		when := time.UnixMilli(at % 253_000_000_000_000).UTC()
		if when.Year() < 0 {
			t.Skip("years before 0 have no form in JSON")
		}
		checkEncoding(t, &chat.Conversation{
			ID: text, StartedAt: when, Messages: []chat.Message{{Text: text, Author: text, At: when}},
			Transcript: &chat.Transcript{HTML: chat.HTML(text)},
		})
	})
}
