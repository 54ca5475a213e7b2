// This file removes from a copy of a conversation what a redaction names: fields by their path, and what its finders
// find in every text.
//
// Finders read everything that a person may have written or that came along as a variable. Two kinds of text are
// special. Identity fields (the visitor's name, e-mail, phone, ip and user agent) lose cards and IBANs only, because a
// help desk that does not know the requester is of no use: drop them to be rid of them. A text that is put together of
// several things sees a conversation in which name, e-mail, phone and ip are redacted, too: see compose. Ids, names from the
// configuration and codes of the vendor are never changed, for deliveries are recognized by them.

package pipeline

import (
	"encoding/json"
	"errors"
	"regexp"
	"regexp/syntax"
	"slices"
	"strings"

	"github.com/afterchat/afterchat/internal/chat"
	"github.com/afterchat/afterchat/internal/rule"
)

// removed takes the place of what was found, unless the configuration says otherwise.
const removed = "[removed]"

// textKind says which finders read a text.
type textKind int

const (
	freeText   textKind = iota // what somebody wrote
	identity                   // names the visitor: cards and IBANs only
	phone                      // like identity, but only numbers that are too long for a telephone number are cards
	address                    // a URL: its secrets go, whatever is to be found
	attachment                 // a URL that is of no use without its signature
)

// redaction is a compiled Redaction.
type redaction struct {
	free, identity, phone []finder
	replace               string
	wanted                map[string]bool // names of the built-ins
	drop                  []dropPath
	problems              []Problem
}

// redact returns a copy of c without what the redactions name. c stays as it is.
func redact(c *chat.Conversation, redactions []*redaction) *chat.Conversation {
	clean := clone(c)
	for _, r := range redactions {
		for _, path := range r.drop {
			path.apply(clean)
		}
	}
	eachText(clean, func(kind textKind, text string) string {
		if text == "" {
			return ""
		}
		switch kind {
		case address:
			text = stripSecrets(text)
		case freeText:
			text = stripLinks(text)
		case identity, phone, attachment:
		}
		return redactText(redactions, kind, text)
	})
	clean.Normalize()
	return clean
}

// compose returns a copy of c, which was redacted, as texts see it that are put together of several things: of the
// visitor's name, e-mail, phone and ip nothing is left that the redactions find. An e-mail address, a telephone number
// and an IP address go as a whole, in whatever form they came.
func compose(c *chat.Conversation, redactions []*redaction) *chat.Conversation {
	if len(redactions) == 0 {
		return c
	}
	out := *c
	v := &out.Person
	for _, r := range redactions {
		for name, field := range map[string]*string{"email": &v.Email, "phone": &v.Phone, "ip": &v.IP} {
			if r.wanted[name] && *field != "" {
				*field = r.replace
			}
		}
	}
	for _, field := range []*string{&v.Name, &v.Email, &v.Phone, &v.IP} {
		*field = redactText(redactions, freeText, *field)
	}
	return &out
}

// AtIntake returns a copy of c as it may be stored: without what the redactions at intake name, all of them, in the
// order of their names. It returns nil if there is no such redaction.
func (p *Pipeline) AtIntake(c *chat.Conversation) *chat.Conversation {
	if len(p.intake) == 0 {
		return nil
	}
	return redact(c, p.intake)
}

// passes bounds how often a text is read again because something was found. Once is enough unless what was removed
// stood inside something else that is to be found.
const passes = 4

func redactText(redactions []*redaction, kind textKind, text string) string {
	for range passes {
		before := text
		for _, r := range redactions {
			for _, find := range r.finders(kind) {
				text = replace(text, find(text), r.replace)
			}
		}
		if text == before {
			break
		}
	}
	return text
}

func (r *redaction) finders(kind textKind) []finder {
	switch kind {
	case identity:
		return r.identity
	case phone:
		return r.phone
	case freeText, address, attachment:
	}
	return r.free
}

// newRedaction compiles a Redaction. Its problems have paths relative to it.
func newRedaction(d Redaction) (*redaction, []Problem) {
	r := &redaction{replace: d.Replace}
	if r.replace == "" {
		r.replace = removed
	}
	var problems []Problem
	if d.At != "" && d.At != AtDelivery && d.At != AtIntake {
		text, hint := unknown("value", d.At, []string{AtDelivery, AtIntake})
		problems = append(problems, Problem{Path: Path{"at"}, Offset: -1, Text: text, Hint: hint})
	}
	wanted := map[string]bool{}
	r.wanted = wanted
	var own []finder
	for i, f := range d.Find {
		if f.Regex != "" {
			find, problem := ownFinder(f)
			if problem != nil {
				problem.Path = Path{"find", i, "regex"}
				problems = append(problems, *problem)
				continue
			}
			own = append(own, find)
			continue
		}
		if !slices.Contains(builtinNames(), f.Name) {
			text, hint := unknown("thing to find", f.Name, builtinNames())
			if hint != "" {
				hint += "; or give a regex of your own"
			}
			problems = append(problems, Problem{Path: Path{"find", i}, Offset: -1, Text: text, Hint: hint})
		}
		wanted[f.Name] = true
	}
	for _, b := range builtins() {
		if !wanted[b.name] {
			continue
		}
		r.free = append(r.free, b.find)
		switch b.name {
		case "iban":
			r.identity, r.phone = append(r.identity, b.find), append(r.phone, b.find)
		case "card":
			r.identity = append(r.identity, b.find)
			r.phone = append(r.phone, func(s string) []span { return findLongCards(s, 16) })
		}
	}
	r.free = append(r.free, own...)
	for i, path := range d.Drop {
		drop, problem := newDropPath(path)
		if problem != nil {
			problem.Path = Path{"drop", i}
			problems = append(problems, *problem)
			continue
		}
		r.drop = append(r.drop, drop)
	}
	return r, append(problems, r.check(d)...)
}

// check reports a redaction that does nothing or that would find its own replacement.
func (r *redaction) check(d Redaction) []Problem {
	if len(d.Find) == 0 && len(d.Drop) == 0 {
		return []Problem{{Offset: -1, Text: "finds nothing and drops nothing", Hint: "name something to find or a field to drop"}}
	}
	for _, find := range r.free {
		if len(find(r.replace)) > 0 {
			return []Problem{{
				Path: Path{"replace"}, Offset: -1,
				Text: "the replacement " + quoted(r.replace) + " would be found itself", Hint: "choose another text",
			}}
		}
	}
	return nil
}

func ownFinder(f Find) (finder, *Problem) {
	re, err := regexp.Compile(f.Regex)
	if err != nil {
		offset := -1
		text := err.Error()
		if wrong, ok := errors.AsType[*syntax.Error](err); ok {
			offset, text = strings.Index(f.Regex, wrong.Expr), wrong.Code.String()
		}
		return nil, &Problem{Offset: offset, Text: "not a regular expression: " + text, Hint: "write it in the syntax of RE2: no look-around, no back-references"}
	}
	if re.MatchString("") {
		return nil, &Problem{Offset: -1, Text: "the regular expression matches the empty text", Hint: "say what must be there, with + instead of *"}
	}
	return findRegex(re), nil
}

func builtinNames() []string {
	var names []string
	for _, b := range builtins() {
		names = append(names, b.name)
	}
	return names
}

// clone copies everything that eachText and dropPath change.
func clone(c *chat.Conversation) *chat.Conversation {
	d := *c
	d.Agents = slices.Clone(c.Agents)
	d.Pages = slices.Clone(c.Pages)
	d.Warnings = slices.Clone(c.Warnings)
	d.Messages = slices.Clone(c.Messages)
	for i := range d.Messages {
		m := &d.Messages[i]
		m.Files = slices.Clone(m.Files)
		m.Extra = cloneTree(m.Extra)
	}
	d.Extra = cloneTree(c.Extra)
	d.Person.Vars = cloneTree(c.Person.Vars)
	d.Person.VarLabels = eachKey(c.Person.VarLabels, func(s string) string { return s }, func(s string) string { return s })
	d.Transcript = nil
	return &d
}

func cloneTree(m map[string]any) map[string]any {
	same := func(s string) string { return s }
	return eachKey(m, same, func(v any) any { return textTree(v, same) })
}

// eachText replaces every text of c by what f makes of it. The lists and maps of c are its own, see clone.
func eachText(c *chat.Conversation, f func(textKind, string) string) {
	edit := func(kind textKind, texts ...*string) {
		for _, t := range texts {
			*t = f(kind, *t)
		}
	}
	free := func(s string) string { return f(freeText, s) }
	tree := func(m map[string]any) map[string]any {
		return eachKey(m, free, func(v any) any { return textTree(v, free) })
	}

	v := &c.Person
	edit(identity, &v.Name, &v.Email, &v.IP, &v.UserAgent, &v.Platform)
	edit(phone, &v.Phone)
	edit(address, &v.Referrer)
	edit(freeText, &v.EmailRaw, &v.Note, &v.Group, &v.City, &v.Country)
	v.Vars = tree(v.Vars)
	v.VarLabels = eachKey(v.VarLabels, free, free)

	edit(freeText, &c.RatingComment, &c.Question, &c.Language)
	for i := range c.Warnings {
		edit(freeText, &c.Warnings[i])
	}
	for i := range c.Agents {
		edit(freeText, &c.Agents[i].Name)
	}
	for i := range c.Pages {
		edit(address, &c.Pages[i].URL)
		edit(freeText, &c.Pages[i].Title)
	}
	for i := range c.Messages {
		m := &c.Messages[i]
		m.Author, m.Trigger = oneLine(m.Author), oneLine(m.Trigger)
		edit(freeText, &m.Author, &m.Text, &m.Trigger)
		m.Extra = tree(m.Extra)
		for j := range m.Files {
			m.Files[j].Name = oneLine(m.Files[j].Name)
			edit(freeText, &m.Files[j].Name)
			edit(attachment, &m.Files[j].URL)
		}
	}
	c.Extra = tree(c.Extra)
}

// oneLine returns a name as the transcript shows it, in which groups of a number can come to stand side by side.
func oneLine(s string) string {
	return strings.NewReplacer("\r\n", " ", "\n", " ", "\r", " ").Replace(s)
}

// textTree returns a copy of JSON with every text and key replaced. A number is text here: a card number may have come
// as one, and becomes a text then.
func textTree(v any, f func(string) string) any {
	switch v := v.(type) {
	case string:
		return f(v)
	case json.Number, int64, float64:
		digits := rule.FormatValue(v)
		if text := f(digits); text != digits {
			return text
		}
		return v
	case []any:
		list := make([]any, len(v))
		for i := range v {
			list[i] = textTree(v[i], f)
		}
		return list
	case map[string]any:
		return eachKey(v, f, func(v any) any { return textTree(v, f) })
	}
	return v
}

// eachKey returns a copy of a map with keys and values replaced. Of keys that become the same one, the first in order
// stays.
func eachKey[V any](m map[string]V, key func(string) string, value func(V) V) map[string]V {
	if m == nil {
		return nil
	}
	result := make(map[string]V, len(m))
	changed := map[string]V{}
	for k, v := range m {
		if renamed := key(k); renamed != k {
			changed[k] = v
			continue
		}
		result[k] = value(v)
	}
	for _, k := range sortedKeys(changed) {
		if renamed := key(k); !has(result, renamed) {
			result[renamed] = value(changed[k])
		}
	}
	return result
}
