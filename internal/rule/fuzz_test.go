// This file fuzzes the parsers and the evaluation: no panic, offsets inside the source, and an end in bounded time.

package rule

import (
	"bufio"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/afterchat/afterchat/internal/chat"
)

// seeds are the left sides of all tables.
func seeds(f *testing.F) {
	f.Helper()
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		f.Fatal("no tables: ", err)
	}
	for _, name := range files {
		file, err := os.Open(name)
		if err != nil {
			f.Fatal(err)
		}
		lines := bufio.NewScanner(file)
		for lines.Scan() {
			src, _, _ := strings.Cut(lines.Text(), " =>")
			f.Add(src)
		}
		if err := file.Close(); err != nil {
			f.Fatal(err)
		}
	}
}

func inside(t *testing.T, src string, problems []Problem) {
	t.Helper()
	for _, p := range problems {
		if p.Offset < 0 || p.Length < 0 || p.Offset+p.Length > len(src) || p.Text == "" || strings.Contains(p.Text, "\n") {
			t.Errorf("%q: problem %+v", src, p)
		}
	}
}

// soon is generous: a run within the bounds takes half a second on an idle machine.
func soon(t *testing.T, src string, start time.Time) {
	t.Helper()
	if took := time.Since(start); took > 30*time.Second {
		t.Errorf("%q took %v", src, took)
	}
}

func FuzzSplit(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, src string) {
		parts, problems := split(src)
		inside(t, src, problems)
		for _, p := range parts {
			if p.expr && src[p.at:p.at+len(p.text)] != p.text {
				t.Errorf("%q: part %+v is not where it says", src, p)
			}
		}
	})
}

func FuzzCondition(f *testing.F) {
	seeds(f)
	sample, bare := load(f, "sample"), load(f, "bare")
	f.Fuzz(func(t *testing.T, src string) {
		defer soon(t, src, time.Now())
		condition, problems := CompileCondition(src, testScope)
		inside(t, src, problems)
		if (condition == nil) == (problems == nil) {
			t.Fatalf("%q: condition %v, problems %v", src, condition, problems)
		}
		if condition == nil {
			return
		}
		ok, err := condition.Match(sample)
		term := condition.Explain(sample)
		if err == nil && term.True != ok {
			t.Errorf("%q: match %v, but the explanation says %s", src, ok, explained(term))
		}
		if !decided(term) {
			t.Errorf("%q: nothing decides: %s", src, explained(term))
		}
		if _, err := condition.Match(bare); err != nil && !errors.Is(err, ErrTooCostly) {
			t.Error(err)
		}
	})
}

// decided tells whether a term that decides is in t.
func decided(t Term) bool { return t.Decides || slices.ContainsFunc(t.Terms, decided) }

func FuzzTemplate(f *testing.F) {
	seeds(f)
	sample, bare := load(f, "sample"), load(f, "bare")
	bare.ReceivedAt = time.Date(2026, 11, 3, 9, 30, 0, 0, time.UTC) // intake stamps every hook
	f.Fuzz(func(t *testing.T, src string) {
		defer soon(t, src, time.Now())
		tmpl, problems := CompileTemplate(src, testScope)
		inside(t, src, problems)
		if tmpl == nil {
			if problems == nil {
				t.Fatalf("%q: neither template nor problems", src)
			}
			return
		}
		v, err := tmpl.Render(bare)
		if err == nil && v.Absent && !tmpl.MayBeAbsent() {
			t.Errorf("%q is absent, and should never be", src)
		}
		if v.Absent != (v.V == nil) {
			t.Errorf("%q: %+v", src, v)
		}
		if _, err := tmpl.RenderHTML(sample); err != nil && !errors.Is(err, ErrTooCostly) {
			t.Error(err)
		}
		settings := Settings{
			Env:  func(string) (string, bool) { return "", false },
			File: func(string) (string, error) { return "", os.ErrNotExist },
		}
		_, problems = ExpandSetting(src, settings)
		inside(t, src, problems)
	})
}

// BenchmarkConversation is the work for one delivery: a condition and twelve fields of a chat of 20 messages.
func BenchmarkConversation(b *testing.B) {
	c := long(20)
	t := c.Render(chat.Style{})
	c.Transcript = &t
	condition, problems := CompileCondition(`outcome in ["completed", "missed"] and any(messages, .text contains "refund" or .role == "agent")`, testScope)
	if problems != nil {
		b.Fatal(list(problems))
	}
	var fields []*Template
	for _, src := range []string{
		`${outcome} chat with ${coalesce(visitor.name, visitor.email, "a visitor") | truncate(60)}`, `${source}`, `${brand}`, `${rating}`,
		`${first_response_seconds}`, `${transcript.html}`, `${visitor.email}`, `${lookup("brand_id", brand, 0)}`,
		`${date(started_at, "YYYY-MM-DD", "Europe/Prague")}`, `${count(messages, .role == "visitor")}`,
		`${map(filter(messages, .role == "agent"), .author) | join(", ")}`, `${rating <= 2 ? "high" : "normal"}`,
	} {
		tmpl, problems := CompileTemplate(src, testScope)
		if problems != nil {
			b.Fatal(list(problems))
		}
		fields = append(fields, tmpl)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := condition.Match(c); err != nil {
			b.Fatal(err)
		}
		for _, f := range fields {
			if _, err := f.Render(c); err != nil {
				b.Fatal(err)
			}
		}
	}
}

func BenchmarkCompile(b *testing.B) {
	for b.Loop() {
		if _, problems := CompileCondition(`outcome in ["missed", "offline"] and visitor.email != ""`, testScope); problems != nil {
			b.Fatal(list(problems))
		}
	}
}
