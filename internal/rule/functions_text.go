// This file holds the functions on text. Each asks the budget before it makes a text.

package rule

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"github.com/expr-lang/expr/ast"
	"golang.org/x/net/html"

	"github.com/afterchat/afterchat/internal/chat"
)

func lower(r *run, a []any) any { return r.convert(a, strings.ToLower) }
func upper(r *run, a []any) any { return r.convert(a, strings.ToUpper) }

func trim(r *run, a []any) any {
	if len(a) > 1 {
		return strings.Trim(a[0].(string), a[1].(string))
	}
	return strings.TrimSpace(a[0].(string))
}

// convert makes a text whose length is near that of the first argument.
func (r *run) convert(a []any, f func(string) string) any {
	return f(r.fitting(a[0].(string), 1))
}

func replace(r *run, a []any) any {
	s, from, to := a[0].(string), a[1].(string), a[2].(string)
	wanted := len(s) + strings.Count(s, from)*max(0, len(to)-len(from))
	room := r.produce(wanted)
	if room == wanted {
		return strings.ReplaceAll(s, from, to)
	}
	// Each replacement makes the text longer, so no more than room of them are in what is left.
	return cutAt(strings.Replace(head(s, room), from, to, room/max(1, len(to))+1), room)
}

func splitText(r *run, a []any) any {
	s, sep := a[0].(string), a[1].(string)
	limit := int64(-1)
	if len(a) > 2 {
		limit = a[2].(int64)
		if limit < 1 {
			return nil
		}
	}
	if !r.spend(4 * (strings.Count(s, sep) + 1)) {
		return nil
	}
	pieces := strings.SplitN(s, sep, int(min(limit, int64(len(s)+1))))
	out := make([]any, len(pieces))
	for i, p := range pieces {
		out[i] = p
	}
	return out
}

func join(r *run, a []any) any {
	sep := ""
	if len(a) > 1 {
		sep = a[1].(string)
	}
	var b strings.Builder
	between := ""
	for _, v := range a[0].([]any) {
		text, ok := r.format(v)
		if !ok || !r.spend(1) {
			return nil
		}
		if v == nil {
			continue
		}
		if room := r.produce(len(between) + len(text)); room < len(between)+len(text) {
			return b.String() + cutAt(between+text, room)
		}
		b.WriteString(between + text)
		between = sep
	}
	return b.String()
}

// truncate cuts after limit-1 characters and adds an ellipsis.
func truncate(r *run, a []any) any {
	s, limit := a[0].(string), a[1].(int64)
	if limit < 1 || !r.spend(len(s)/64) {
		return nil
	}
	if int64(len(s)) <= limit || int64(utf8.RuneCountInString(s)) <= limit {
		return s
	}
	runes := int64(0)
	for i := range s {
		if runes == limit-1 {
			return s[:i] + "…" // shorter than s: it takes nothing from the budget
		}
		runes++
	}
	return s
}

// literalWithin reports an argument that is a whole number beyond what the function takes.
func literalWithin(arg int, least, most int64) func(*checker, *ast.CallNode, []code) {
	return func(c *checker, n *ast.CallNode, args []code) {
		if arg >= len(args) {
			return
		}
		if v, ok := args[arg].literal.(int64); ok && (v < least || v > most) {
			limits := fmt.Sprintf("at least %d", least)
			if most != math.MaxInt64 {
				limits = fmt.Sprintf("%d to %d", least, most)
			}
			c.fail(n.Arguments[arg], "write a number within these limits", "%s takes %s here, not %d", n.Callee.String(), limits, v)
		}
	}
}

// dynamic: an argument that is not a literal may be beyond what the function takes, and then there is no result.
func dynamic(arg int) func(shape, []code) shape {
	return func(out shape, args []code) shape {
		return out.orAbsent(arg < len(args) && args[arg].literal == nil)
	}
}

func between(_ *run, a []any) any {
	_, rest, ok := strings.Cut(a[0].(string), a[1].(string))
	if !ok {
		return nil
	}
	text, _, ok := strings.Cut(rest, a[2].(string))
	if !ok {
		return nil
	}
	return strings.TrimSpace(text)
}

func plural(_ *run, a []any) any {
	if n, _ := asNumber(a[0]); n.f == 1 {
		return a[1]
	}
	return a[2]
}

func slug(r *run, a []any) any {
	return r.convert(a, func(s string) string {
		var b strings.Builder
		gap := false
		for _, c := range strings.ToLower(s) {
			if unicode.Is(unicode.Mn, c) || c == '\'' || c == '’' {
				continue
			}
			if !unicode.IsLetter(c) && !unicode.IsDigit(c) {
				gap = b.Len() > 0
				continue
			}
			if gap {
				b.WriteByte('-')
				gap = false
			}
			b.WriteString(unaccented(c))
		}
		return b.String()
	})
}

// accents pairs Latin letters that carry an accent with their base letters.
var accents = sync.OnceValue(func() map[rune]string {
	out := map[rune]string{}
	for base, letters := range map[string]string{
		"a": "àáâãäåāăąǎạảấầẩẫậắằẳẵặ", "ae": "æ", "c": "çćĉċč", "d": "ďđð", "e": "èéêëēĕėęěẹẻẽếềểễệ", "g": "ĝğġģ", "h": "ĥħ",
		"i": "ìíîïĩīĭįıǐỉị", "j": "ĵ", "k": "ķ", "l": "ĺļľŀł", "n": "ñńņňŋ", "o": "òóôõöøōŏőǒọỏốồổỗộớờởỡợơ", "oe": "œ",
		"r": "ŕŗř", "s": "śŝşšș", "ss": "ß", "t": "ţťŧțþ", "u": "ùúûüũūŭůűųǔụủứừửữựư", "w": "ŵ", "y": "ýÿŷỳỵỷỹ", "z": "źżž",
	} {
		for _, c := range letters {
			out[c] = base
		}
	}
	return out
})

func unaccented(c rune) string {
	if c < utf8.RuneSelf {
		return string(c)
	}
	if base, ok := accents()[c]; ok {
		return base
	}
	return string(c)
}

func mask(r *run, a []any) any {
	return r.convert(a, func(s string) string {
		at := strings.LastIndexByte(s, '@')
		if at > 0 && len(a) == 1 {
			_, size := utf8.DecodeRuneInString(s)
			return s[:size] + "***" + s[at:]
		}
		keep := 4
		if len(a) > 1 {
			keep = int(min(max(a[1].(int64), 0), 1<<20))
		}
		runes := []rune(s)
		if keep >= len(runes) {
			keep = 0
		}
		for i := range runes[:len(runes)-keep] {
			runes[i] = '*'
		}
		return string(runes)
	})
}

func sha256Hex(r *run, a []any) any {
	return r.convert(a, func(s string) string {
		sum := sha256.Sum256([]byte(s))
		return hex.EncodeToString(sum[:])
	})
}

func markdown(r *run, a []any) any {
	return chat.EscapeMarkdown(r.fitting(a[0].(string), 2))
}

func toHTML(r *run, a []any) any {
	return r.escape(a[0].(string))
}

// mostEscaped is how many bytes a byte of text has at most in markup: &quot;.
const mostEscaped = 6

// escape makes markup of a text.
func (r *run) escape(s string) chat.HTML {
	escaped := chat.EscapeHTML(s)
	if room := r.produce(len(escaped)); room < len(escaped) {
		return chat.EscapeHTML(cutAt(s, room/mostEscaped))
	}
	return escaped
}

// stripHTML keeps the text. What a browser would not show (scripts, styles) goes, block elements end a line.
func stripHTML(r *run, a []any) any {
	return r.convert(a, func(s string) string {
		var b strings.Builder
		z := html.NewTokenizer(strings.NewReader(s))
		hidden := ""
		for {
			kind := z.Next()
			if kind == html.ErrorToken {
				return strings.TrimSpace(b.String())
			}
			t := z.Token()
			switch {
			case hidden != "":
				if kind == html.EndTagToken && t.Data == hidden {
					hidden = ""
				}
			case kind == html.TextToken:
				b.WriteString(t.Data)
			case kind == html.StartTagToken && (t.Data == "script" || t.Data == "style"):
				hidden = t.Data
			case breaksLine(t.Data, kind) && !strings.HasSuffix(b.String(), "\n"):
				b.WriteByte('\n')
			}
		}
	})
}

func breaksLine(tag string, kind html.TokenType) bool {
	switch tag {
	case "br":
		return true
	case "p", "div", "li", "tr", "h1", "h2", "h3", "h4", "h5", "h6", "blockquote", "pre":
		return kind == html.StartTagToken || kind == html.EndTagToken
	}
	return false
}

func checkMentions(c *checker, n *ast.CallNode, args []code) {
	if s := args[0].shape; !s.takes(List) && !s.takes(Text) {
		c.fail(n.Arguments[0], "give it messages, a list of texts or a text", "cannot use %s as argument to call mentions", s)
	}
}

// mentions looks for whole words: no letter or digit stands before or after.
func mentions(r *run, a []any) any {
	var words []string
	for _, w := range a[1:] {
		if word := strings.ToLower(strings.TrimSpace(w.(string))); word != "" {
			words = append(words, word)
		}
	}
	list, ok := a[0].([]any)
	if !ok {
		list = a[:1]
	}
	for _, it := range list {
		text, ok := asText(it)
		if !ok {
			text, _ = asText(r.member(it, "text"))
		}
		if !r.spend(len(text)/16*(len(words)+1) + 1) {
			return nil
		}
		text = strings.ToLower(text)
		for _, w := range words {
			if hasWord(text, w) {
				return true
			}
		}
	}
	if _, isText := asText(a[0]); !ok && !isText {
		return nil
	}
	return false
}

func hasWord(text, word string) bool {
	for from := 0; ; {
		i := strings.Index(text[from:], word)
		if i < 0 {
			return false
		}
		i += from
		before, _ := utf8.DecodeLastRuneInString(text[:i])
		after, _ := utf8.DecodeRuneInString(text[i+len(word):])
		if !inWord(before) && !inWord(after) {
			return true
		}
		_, size := utf8.DecodeRuneInString(text[i:])
		from = i + size
	}
}

func inWord(c rune) bool {
	return c != utf8.RuneError && (unicode.IsLetter(c) || unicode.IsDigit(c) || c == '_')
}
