// This file runs checked expressions: the budget of a run, absence, and how values of a conversation are read.
//
// A value at run time is nil (absent), string, chat.HTML, bool, int64, float64, json.Number, time.Time, []any,
// map[string]any, or a pointer to a struct of the conversation.

package rule

import (
	"errors"
	"maps"
	"reflect"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/afterchat/afterchat/internal/chat"
)

// ErrTooCostly is returned when an expression needs more steps than allowed, see maxSteps. Loops alone do not get there,
// however long the conversation. Text beyond its bound is no error, it is cut.
var ErrTooCostly = errors.New("expression is too costly: it needs more steps than is allowed")

const (
	// maxSteps of one run, besides the weight of its expressions for each byte of the conversation. The weight is at
	// least the number of parts of an expression, and each part is evaluated once for an item of a loop: a loop in a loop
	// goes through what belongs to an item, for anything as long as the conversation is computed once or refused (see
	// product). So an expression that passes check ends within the bound, however long the conversation. A step takes 20
	// to 130 ns (BenchmarkLoops), so 2 million take 0.04 to 0.3 s. Text that an expression makes counts like text of the
	// conversation.
	maxSteps = 2_000_000
	maxText  = 1 << 20 // bytes made in one run, besides textPerByte; what would be beyond is cut
	// textPerByte is what a long conversation may have more: its JSON, with its transcript in three forms, is several
	// times its own size.
	textPerByte = 16
)

// cutMark ends a text that was cut because the run has made too much, and stands for what was left out.
const cutMark = "[…]"

// code is a checked expression.
type code struct {
	shape   shape
	do      func(*run) any
	literal any // the value of a literal, else nil
	null    bool
}

// eval counts a step and evaluates. Out of budget, everything is absent and the run ends with ErrTooCostly.
func (c code) eval(r *run) any {
	if !r.spend(1) {
		return nil
	}
	return c.do(r)
}

// program is a checked expression with the room that its variables need.
type program struct {
	code
	slots    int
	composes bool // it makes one text of several
	weight   int  // steps that it may take for each byte of a conversation, see maxSteps
}

// run is one evaluation.
type run struct {
	chat       *chat.Conversation
	transcript *chat.Transcript
	item       [maxLoops]any
	index      [maxLoops]int
	lets       []any
	lists      map[listKey][]any
	steps      int
	text       int  // that may still be made
	made       int  // bytes of text
	short      bool // a text was cut
	weight     int  // of the programs that were begun
	size       int  // of the conversation as JSON, once a bound was raised for it
	extended   bool // text was raised for a long conversation
	raised     bool // steps were raised for a long conversation
	over       bool
}

type listKey struct {
	at  uintptr
	typ reflect.Type
}

func newRun(c *chat.Conversation) *run {
	return &run{chat: c, steps: maxSteps, text: maxText}
}

func (r *run) exec(p *program) any {
	if p.slots > 0 {
		r.lets = make([]any, p.slots)
	}
	r.weight += p.weight
	if r.raised {
		r.steps += p.weight * (r.length() + r.made)
	}
	return p.eval(r)
}

func (r *run) err() error {
	if r.over {
		return ErrTooCostly
	}
	return nil
}

// spend takes n steps from the budget and tells whether it lasts.
func (r *run) spend(n int) bool {
	r.steps -= n
	if r.steps < 0 && !r.raised {
		r.raised = true
		r.steps += r.weight * (r.length() + r.made)
	}
	if r.steps < 0 {
		r.over = true
	}
	return !r.over
}

// length is how many bytes the conversation has as JSON, without its transcript.
func (r *run) length() int {
	if r.size == 0 {
		plain := *r.chat
		plain.Transcript = nil
		r.size = len(jsonOf(&plain))
	}
	return r.size
}

// produce takes n bytes of text from the budget and returns how many of them there are left. It is asked before the text
// is made, and who gets fewer cuts it.
func (r *run) produce(n int) int {
	if n > r.text && !r.extended {
		r.extended = true
		r.text += textPerByte * r.length()
	}
	room := min(n, r.text)
	r.short = r.short || room < n
	r.text -= room
	r.made += room
	if r.raised {
		r.steps += r.weight * room
	}
	return room
}

// fitting returns s, or its beginning if there is no room for factor bytes of text for each of its own.
func (r *run) fitting(s string, factor int) string {
	if room := r.produce(factor * len(s)); room < factor*len(s) {
		return cutAt(s, room/factor)
	}
	return s
}

// cutAt returns the first bytes of s and the mark.
func cutAt(s string, room int) string { return head(s, room) + cutMark }

// head returns at most so many bytes of s, without splitting a character.
func head(s string, room int) string {
	if room >= len(s) {
		return s
	}
	for room > 0 && !utf8.RuneStart(s[room]) {
		room--
	}
	return s[:room]
}

// load reads a field of the conversation. Zero times and nil pointers are absent; a nil list or map is an empty one.
func (r *run) load(v reflect.Value) any {
	switch v.Kind() {
	case reflect.String:
		if v.Type() == reflect.TypeFor[chat.HTML]() {
			return chat.HTML(v.String())
		}
		return v.String()
	case reflect.Int, reflect.Int64:
		return v.Int()
	case reflect.Float64:
		return finite(v.Float())
	case reflect.Bool:
		return v.Bool()
	case reflect.Pointer:
		return r.follow(v)
	case reflect.Struct:
		if at, ok := reflect.TypeAssert[time.Time](v); ok {
			if at.IsZero() {
				return nil
			}
			return at.UTC()
		}
		return v.Addr().Interface()
	case reflect.Slice:
		return r.list(v)
	case reflect.Map:
		return r.mapping(v)
	}
	return nil
}

func (r *run) follow(v reflect.Value) any {
	switch {
	case v.Type() == reflect.TypeFor[*chat.Transcript]():
		if v.IsNil() {
			return r.rendered()
		}
		return v.Interface()
	case v.IsNil():
		return nil
	}
	return r.load(v.Elem())
}

// rendered is the transcript in the default style, for a conversation that was not rendered before.
func (r *run) rendered() *chat.Transcript {
	if r.transcript == nil {
		t := r.chat.Render(chat.Style{})
		r.transcript = &t
	}
	return r.transcript
}

// list makes the items of a slice once per run.
func (r *run) list(v reflect.Value) []any {
	if v.Len() == 0 {
		return []any{}
	}
	if own, ok := reflect.TypeAssert[[]any](v); ok {
		return own
	}
	key := listKey{at: v.Pointer(), typ: v.Type()}
	if items, ok := r.lists[key]; ok {
		return items
	}
	if !r.spend(v.Len()) {
		return nil
	}
	items := make([]any, v.Len())
	for i := range items {
		items[i] = r.load(v.Index(i))
	}
	if r.lists == nil {
		r.lists = map[listKey][]any{}
	}
	r.lists[key] = items
	return items
}

func (r *run) mapping(v reflect.Value) map[string]any {
	if own, ok := reflect.TypeAssert[map[string]any](v); ok {
		if own == nil {
			own = map[string]any{}
		}
		return own
	}
	out := make(map[string]any, v.Len())
	r.spend(v.Len())
	for it := v.MapRange(); it.Next(); {
		out[it.Key().String()] = it.Value().String()
	}
	return out
}

// member reads a key of a value whose type is known only now.
func (r *run) member(v any, key string) any {
	switch v := v.(type) {
	case nil:
		return nil
	case map[string]any:
		return v[key]
	}
	if rec, at := recordOf(v); rec != nil {
		if f, ok := rec.fields[key]; ok {
			return r.load(at.Field(f.index))
		}
	}
	return nil
}

// recordOf returns the struct of the conversation that v points to, or nil.
func recordOf(v any) (*record, reflect.Value) {
	rv := reflect.ValueOf(v)
	if rv.Kind() != reflect.Pointer || rv.IsNil() {
		return nil, reflect.Value{}
	}
	return conversation().byType[rv.Type().Elem()], rv.Elem()
}

// keysOf lists the keys of a map in order; those of a struct as declared, without absent ones.
func (r *run) keysOf(v any) ([]string, bool) {
	if m, ok := v.(map[string]any); ok {
		r.spend(4 * len(m))
		return slices.Sorted(maps.Keys(m)), true
	}
	rec, at := recordOf(v)
	if rec == nil {
		return nil, false
	}
	var keys []string
	for _, f := range rec.order {
		value := r.load(at.Field(f.index))
		if m, ok := value.(map[string]any); gone(value) || ok && len(m) == 0 {
			continue
		}
		keys = append(keys, f.name)
	}
	return keys, true
}

// item returns an item of a list, counted from the end if i is negative; absent out of range.
func item(list []any, i int64) any {
	if i < 0 {
		i += int64(len(list))
	}
	if i < 0 || i >= int64(len(list)) {
		return nil
	}
	return list[i]
}

// gone tells whether coalesce passes over v: it is absent or "".
func gone(v any) bool {
	switch v := v.(type) {
	case nil:
		return true
	case string:
		return v == ""
	case chat.HTML:
		return v == ""
	}
	return false
}

// asText returns text, be it plain or HTML.
func asText(v any) (string, bool) {
	switch v := v.(type) {
	case string:
		return v, true
	case chat.HTML:
		return string(v), true
	}
	return "", false
}
