// This file compiles and renders templates: text with ${ expr } in it.

package rule

import (
	"fmt"
	"slices"
	"strings"

	"github.com/afterchat/afterchat/internal/chat"
)

// Template is a compiled template. It is safe for concurrent use.
type Template struct {
	pieces []piece
}

// piece is literal text, or an expression if program is set.
type piece struct {
	text    string
	program *program
}

// CompileTemplate compiles text with ${ expr } parts; $${ is a literal ${. Problems of all parts are returned, with
// offsets into src; the template is nil if there are any.
func CompileTemplate(src string, s Scope) (*Template, []Problem) {
	parts, problems := split(src)
	t := &Template{}
	for _, p := range parts {
		if !p.expr {
			t.pieces = append(t.pieces, piece{text: p.text})
			continue
		}
		compiled, _, wrong := compile(p.text, s)
		for _, w := range wrong {
			w.Offset += p.at
			problems = append(problems, w)
		}
		t.pieces = append(t.pieces, piece{program: compiled})
	}
	if len(problems) > 0 {
		return nil, problems
	}
	return t, nil
}

// Literal returns the text of a template without any ${ }.
func (t *Template) Literal() (string, bool) {
	switch {
	case len(t.pieces) == 0:
		return "", true
	case len(t.pieces) == 1 && t.pieces[0].program == nil:
		return t.pieces[0].text, true
	}
	return "", false
}

// alone returns the expression of a template that is one ${ } and nothing else.
func (t *Template) alone() *program {
	if len(t.pieces) == 1 {
		return t.pieces[0].program
	}
	return nil
}

// Kind is the type that Render yields: that of the expression if it stands alone, else text.
func (t *Template) Kind() Kind {
	if p := t.alone(); p != nil {
		return p.shape.kind
	}
	return Text
}

// Texts lists the only texts that Render can yield, where that is known: what a condition chooses between, a field that
// is one of a few. It is nil otherwise.
func (t *Template) Texts() []string {
	if p := t.alone(); p != nil {
		return slices.Clone(p.shape.texts)
	}
	return nil
}

// Tables names the lookup tables whose values Render may yield as they are.
func (t *Template) Tables() []string {
	if p := t.alone(); p != nil {
		return slices.Clone(p.shape.tables)
	}
	return nil
}

// Outline is the text of the template with sure in place of each ${ } that always yields something, and perhaps in place
// of the others.
func (t *Template) Outline(sure, perhaps string) string {
	var b strings.Builder
	for _, p := range t.pieces {
		switch {
		case p.program == nil:
			b.WriteString(p.text)
		case p.program.shape.gone():
			b.WriteString(perhaps)
		default:
			b.WriteString(sure)
		}
	}
	return b.String()
}

// Composes tells whether Render puts several things together to one text: it has text beside ${ }, or an expression that
// uses +, join, replace, or string on a list or map. The digest of sha256 does not count. A name, a choice
// between values, and one value in another form are false.
func (t *Template) Composes() bool {
	p := t.alone()
	return p == nil && len(t.pieces) > 1 || p != nil && p.composes
}

// MayBeAbsent is false if rendering surely yields a value, whatever the conversation holds.
func (t *Template) MayBeAbsent() bool {
	for _, p := range t.pieces {
		if p.program == nil || !p.program.shape.gone() {
			return false
		}
	}
	return len(t.pieces) > 0
}

// Render renders for c, which should carry its transcript. ${ } alone keeps its type; inside text, what is absent is
// empty. Text beyond the bounds is cut, an expression that needs too many steps is […] where it makes text and else
// absent; Value.Cut tells of both. The only error is ErrTooCostly, for one that surely yields something else than text.
func (t *Template) Render(c *chat.Conversation) (Value, error) {
	if text, ok := t.Literal(); ok {
		return Value{V: text}, nil
	}
	r := newRun(c)
	if p := t.alone(); p != nil {
		v := r.exec(p)
		if rec, _ := recordOf(v); rec != nil {
			v = r.encode(v) // as long as the conversation at most, whatever was made before
		} else {
			v = r.export(v)
		}
		switch {
		case r.over && p.shape.isText():
			v = cutMark
		case r.over && !p.shape.gone():
			return Value{Absent: true}, ErrTooCostly
		case r.over:
			v = nil
		}
		return r.value(v), nil
	}
	var b strings.Builder
	t.each(r, func(text string, _ bool, _ bool) { b.WriteString(text) })
	return r.value(b.String()), nil
}

// RenderHTML renders for a field of HTML: the value is a chat.HTML in which every interpolated text is escaped, except
// values that are chat.HTML already. The literal text of the template is markup. The error is nil: markup is text, see
// Render.
func (t *Template) RenderHTML(c *chat.Conversation) (Value, error) {
	if text, ok := t.Literal(); ok {
		return Value{V: chat.HTML(text)}, nil
	}
	r := newRun(c)
	var b strings.Builder
	t.each(r, func(text string, interpolated, markup bool) {
		if !interpolated || markup {
			b.WriteString(text)
			return
		}
		b.WriteString(string(r.escape(text)))
	})
	return r.value(chat.HTML(b.String())), nil
}

// each calls write with each piece of text. The mark stands for what the budget does not cover.
func (t *Template) each(r *run, write func(text string, interpolated, markup bool)) {
	for _, p := range t.pieces {
		if p.program == nil {
			write(p.text, false, false)
			continue
		}
		v := r.exec(p.program)
		text, ok := r.format(v)
		_, markup := v.(chat.HTML)
		switch room := r.produce(len(text)); {
		case !ok:
			write(cutMark, true, false)
		case room == len(text):
			write(text, true, markup)
		case markup:
			write(cutMark, true, false) // half of it may be no markup
		default:
			write(cutAt(text, room), true, false)
		}
	}
}

// value ends a run with what it made. Text that came out empty is absent.
func (r *run) value(v any) Value {
	cut := ""
	switch {
	case r.over:
		cut = "an expression that needs too many steps, left out"
	case r.short:
		cut = fmt.Sprintf("expressions made more than %d bytes of text, cut", r.made)
	}
	if gone(v) {
		return Value{Absent: true, Cut: cut}
	}
	return Value{V: v, Cut: cut}
}
