// This file tests what is taken for a value that somebody meant to be filled in.

package rule

import (
	"strings"
	"testing"
)

func TestLookalikes(t *testing.T) {
	t.Parallel()
	for src, want := range map[string]string{
		"$visitor.name":                        "$visitor.name",
		"Chat with $visitor.name.":             "$visitor.name",
		"{{ visitor.name }}":                   "{{ visitor.name }}",
		"{{visitor.name | upcase}} wrote":      "{{visitor.name | upcase}}",
		"{{{ visitor.email }}}":                "{{{ visitor.email }}}",
		"{visitor.name}":                       "{visitor.name}",
		"{ rating }":                           "{ rating }",
		"%{visitor.name}":                      "%{visitor.name}",
		"#{brand}":                             "#{brand}",
		"$rating of 5":                         "$rating",
		"${rating} of $visitor.vars.plan":      "$visitor.vars.plan",
		"{conversation.id} and {{ outcome }}!": "{conversation.id} {{ outcome }}",
		"{transcript.text}":                    "{transcript.text}",
		// What only looks similar.
		"":                                         "",
		"$5, $100.00 and US$ 3":                    "",
		`{"text": "hello", "rating": {"a": 1}}`:    "",
		"{{ ticket.requester.name }}":              "", // a placeholder of the help desk
		"{{visitor.nmae}} $visitors {name}":        "",
		"${visitor.name}":                          "",
		"$${visitor.name}":                         "", // the text ${visitor.name}
		`${"{{ visitor.name }}"} ${{"a": rating}}`: "",
		"${ {'a': '}'} } %d {} {0} $x $VISITOR":    "",
		"/tickets/{id}":                            "", // the receipt's id, of type http
		"messages.text {messages.text}":            "",
		"{ color: red } $(rating)":                 "",
		"${ never closed {rating}":                 "",
	} {
		var got []string
		for _, p := range Lookalikes(src) {
			found := src[p.Offset : p.Offset+p.Length]
			if !strings.HasPrefix(p.Text, found+" ") {
				t.Errorf("%q: %q is not at %d", src, p.Text, p.Offset)
			}
			got = append(got, found)
			// What the hint says is right: neither is found again.
			for _, fixed := range []string{strings.TrimPrefix(strings.Split(p.Hint, "; ")[0], "write "), p.Hint[strings.LastIndex(p.Hint, "write ")+6:]} {
				if again := Lookalikes(fixed); len(again) > 0 {
					t.Errorf("the hint %q has %s", fixed, again[0])
				}
				if _, problems := CompileTemplate(fixed, Scope{}); len(problems) > 0 {
					t.Errorf("the hint %q: %s", fixed, problems[0])
				}
			}
		}
		if all := strings.Join(got, " "); all != want {
			t.Errorf("%q: %q, want %q", src, all, want)
		}
	}
}
