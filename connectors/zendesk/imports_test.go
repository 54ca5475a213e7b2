// This file tests who asked, and imports: one comment for each message.

package zendesk_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/afterchat/afterchat/connectors/zendesk"
	"github.com/afterchat/afterchat/connectors/zendesk/zendesktest"
)

func TestRequester(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		mode      string
		requester map[string]any
		fallback  *zendesk.Requester
		want      string // address of the requester; "": the user of the credentials
	}{
		"visitor":                  {requester: map[string]any{"name": "Ada", "email": "ada@example.com"}, want: "ada@example.com"},
		"visitor without name":     {requester: map[string]any{"email": "ada@example.com"}, want: "ada@example.com"},
		"nobody":                   {requester: map[string]any{"name": "Ada"}},
		"nobody, fallback by id":   {fallback: &zendesk.Requester{ID: 77}, want: "petr@acme.example"},
		"nobody, fallback":         {fallback: &zendesk.Requester{Email: "chat@acme.example"}, want: "chat@acme.example"},
		"import, visitor":          {mode: "import", requester: map[string]any{"name": "Ada", "email": "Petr@acme.example"}, want: "petr@acme.example"},
		"import, nobody":           {mode: "import"},
		"import, fallback by id":   {mode: "import", fallback: &zendesk.Requester{ID: 77}, want: "petr@acme.example"},
		"import, fallback, lookup": {mode: "import", fallback: &zendesk.Requester{Email: "chat@acme.example", Name: "Chat"}, want: "chat@acme.example"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := account()
			rec := record(1, 1)
			delete(rec.Fields, "requester")
			if tt.requester != nil {
				rec.Fields["requester"] = tt.requester
			}
			mustPush(t, open(t, a, settings(func(s *zendesk.Settings) {
				s.FallbackRequester = tt.fallback
				if tt.mode != "" {
					s.Mode = tt.mode
				}
			})), rec)
			got := ""
			for _, u := range a.Users() {
				if u.ID == only(t, a).Requester {
					got = u.Email
				}
			}
			if got != tt.want {
				t.Errorf("the requester is %q, want %q", got, tt.want)
			}
		})
	}
}

// TestImport looks at the comments of an imported ticket.
func TestImport(t *testing.T) {
	t.Parallel()
	at := func(second int) time.Time { return time.Date(2026, 11, 3, 10, 0, second, 0, time.UTC) }
	a := account()
	a.Now = func() time.Time { return time.Date(2026, 11, 20, 0, 0, 0, 0, time.UTC) }
	c := open(t, a, settings(imports))
	zendesk.SetNow(c, a.Now)
	rec := record(1, 1)
	rec.Fields["messages"] = []any{
		map[string]any{"at": at(0), "role": "bot", "author": "x", "trigger": "Welcome", "text": "Hi"},
		map[string]any{"at": at(1), "role": "visitor", "author": "Ada", "text": "a <b>\nc"},
		map[string]any{"at": at(2), "role": "agent", "author": "Petr Novak", "text": "yes"},
		map[string]any{"at": at(3), "role": "agent", "author": "Eva", "text": "no"},
		map[string]any{"at": at(4), "role": "system", "event": "agent.leave"},
		map[string]any{"at": at(5), "role": "visitor", "author": "Ada"},
		map[string]any{"at": at(6), "role": "visitor", "author": "Ada", "files": []any{
			map[string]any{"name": "a<b.png", "url": "https://files.example/a.png"}, map[string]any{"name": "evil", "url": "javascript:alert(1)"},
		}},
		map[string]any{"at": time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC), "role": "visitor", "author": "Ada", "text": "from the future"},
	}
	mustPush(t, c, rec)
	ticket := only(t, a)
	ada := ticket.Requester
	want := []zendesktest.Comment{
		{Author: 1, HTML: "<p><b>Welcome:</b> Hi</p>\n", CreatedAt: at(0)},
		{Author: ada, Public: true, HTML: "<p>a &lt;b&gt;<br>\nc</p>\n", CreatedAt: at(1)},
		{Author: 77, Public: true, HTML: "<p>yes</p>\n", CreatedAt: at(2)},
		{Author: 1, Public: true, HTML: "<p><b>Eva:</b> no</p>\n", CreatedAt: at(3)},
		{Author: 1, HTML: "<p>agent.leave</p>\n", CreatedAt: at(4)},
		{Author: ada, Public: true, HTML: "<p></p>\n<p><a href=\"https://files.example/a.png\">a&lt;b.png</a></p>\n<p>evil</p>\n", CreatedAt: at(6)},
		{Author: ada, Public: true, HTML: "<p>from the future</p>\n", CreatedAt: a.Now()},
	}
	got := ticket.Comments
	last := got[len(got)-1]
	if diff := cmp.Diff(want, got[:len(got)-1], cmp.FilterPath(func(p cmp.Path) bool { return p.String() == "Files.used" }, cmp.Ignore())); diff != "" {
		t.Errorf("comments (-want +got):\n%s", diff)
	}
	if last.Public || !strings.Contains(last.HTML, "Rating: 1/5") || !strings.Contains(last.HTML, "afterchat:") {
		t.Errorf("the last comment is %+v", last)
	}
}

// TestImportLong splits a message that is longer than a comment, and stops before a ticket is full.
func TestImportLong(t *testing.T) {
	t.Parallel()
	a := account()
	c := open(t, a, settings(imports))
	rec := record(1, 1)
	giant := strings.Repeat("žluť & ", 20_000)
	rec.Fields["messages"] = []any{map[string]any{"role": "visitor", "text": giant}}
	mustPush(t, c, rec)
	var all strings.Builder
	comments := only(t, a).Comments
	for _, comment := range comments[:len(comments)-1] {
		all.WriteString(strings.TrimSuffix(strings.TrimPrefix(comment.HTML, "<p>"), "</p>\n"))
	}
	if got := strings.ReplaceAll(all.String(), "&amp;", "&"); got != giant {
		t.Errorf("%d bytes of %d in %d comments", len(got), len(giant), len(comments))
	}

	rec = record(2, 1)
	var many []any
	for i := range 6000 {
		many = append(many, map[string]any{"role": "visitor", "text": fmt.Sprint(i)})
	}
	rec.Fields["messages"] = many
	mustPush(t, c, rec)
	ticket := a.Tickets()[1]
	last := ticket.Comments[len(ticket.Comments)-1]
	if len(ticket.Comments) != 4901 || len(last.Files) != 1 || !strings.Contains(last.HTML, "attached file") {
		t.Errorf("%d comments, files %v", len(ticket.Comments), last.Files)
	}
}

// TestUsers: the search lags behind, and still one visitor is one user, who is written once.
func TestUsers(t *testing.T) {
	t.Parallel()
	a := account()
	a.SearchLag = time.Hour
	for restart := range 2 {
		c := open(t, a, settings(imports))
		for n := 1; n <= 3; n++ {
			rec := record(10*restart+n, 1)
			rec.Fields["requester"] = map[string]any{"name": "Ada", "email": "ada@example.com"}
			mustPush(t, c, rec)
		}
	}
	users := a.Users()
	if len(users) != 2 || users[1].Writes != 2 {
		t.Errorf("users %+v; want one new, written once by each process", users)
	}
}
