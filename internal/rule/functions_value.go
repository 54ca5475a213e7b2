// This file holds the functions on numbers, lists, maps and times, and lookup.

package rule

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/expr-lang/expr/ast"

	"github.com/afterchat/afterchat/internal/chat"
)

// looseFirst: a first argument whose type is known only at run time may be of the wrong one.
func looseFirst(out shape, args []code) shape { return out.orAbsent(args[0].shape.isAny()) }

// itemShape is the type of a list's items.
func itemShape(_ shape, args []code) shape { return args[0].shape.items().orAbsent(true) }

// counting is looseFirst for what counts something that is in memory.
func counting(out shape, args []code) shape { return looseFirst(out, args).within(counted32) }

// sureNumber: what is a number already always converts.
func sureNumber(out shape, args []code) shape {
	if args[0].shape.isNumber() {
		out.absent = args[0].shape.unsure()
	}
	return out
}

func checkLen(c *checker, n *ast.CallNode, args []code) {
	s := args[0].shape
	if !s.takes(Text) && !s.takes(List) && s.kind != Map {
		c.fail(n.Arguments[0], "it counts characters of a string, or items of a list or map", "cannot use %s as argument to call len", s)
	}
}

func length(r *run, a []any) any {
	switch v := a[0].(type) {
	case []any:
		return int64(len(v))
	case string, chat.HTML:
		s, _ := asText(v)
		r.spend(len(s) / 64)
		return int64(utf8.RuneCountInString(s))
	}
	if keys, ok := r.keysOf(a[0]); ok {
		return int64(len(keys))
	}
	return nil
}

func keys(r *run, a []any) any {
	names, _ := r.keysOf(a[0])
	out := make([]any, len(names))
	for i, k := range names {
		out[i] = k
	}
	return out
}

func values(r *run, a []any) any {
	names, _ := r.keysOf(a[0])
	out := make([]any, 0, len(names))
	for _, k := range names {
		if v := r.member(a[0], k); v != nil {
			out = append(out, v)
		}
	}
	return out
}

// mostDigits is how many digits after the point round keeps: as many as a float64 has.
const mostDigits = 15

func round(_ *run, a []any) any {
	n, _ := asNumber(a[0])
	digits := int64(0)
	if len(a) > 1 {
		digits = a[1].(int64)
	}
	switch {
	case digits < 0 || digits > mostDigits:
		return nil
	case n.whole:
		return n.i
	case digits == 0:
		return whole(math.Round(n.f))
	}
	out, err := strconv.ParseFloat(roundDecimal(n.f, int(digits)), 64)
	if err != nil {
		return nil
	}
	return finite(out)
}

// roundDecimal rounds the shortest decimal form of f, so that 2.45 becomes 2.5 although its float64 lies below.
func roundDecimal(f float64, digits int) string {
	s := FormatValue(f)
	sign := ""
	if strings.HasPrefix(s, "-") {
		sign, s = "-", s[1:]
	}
	wholePart, fraction, _ := strings.Cut(s, ".")
	if len(fraction) <= digits {
		return sign + s
	}
	up := fraction[digits] >= '5'
	all := []byte("0" + wholePart + fraction[:digits])
	for i := len(all) - 1; up && i >= 0; i-- {
		if all[i]++; all[i] <= '9' {
			break
		}
		all[i] = '0'
	}
	return sign + string(all[:len(all)-digits]) + "." + string(all[len(all)-digits:])
}

// whole returns a float without fraction as int64 where it fits.
func whole(f float64) any {
	if math.Abs(f) < 1<<63 {
		return int64(f)
	}
	return finite(f)
}

func floor(_ *run, a []any) any { return rounded(a, math.Floor) }
func ceil(_ *run, a []any) any  { return rounded(a, math.Ceil) }

func rounded(a []any, f func(float64) float64) any {
	n, _ := asNumber(a[0])
	if n.whole {
		return n.i
	}
	return whole(f(n.f))
}

func abs(_ *run, a []any) any {
	if n, _ := asNumber(a[0]); n.f < 0 {
		return negate(a[0])
	}
	return a[0]
}

func checkNumbers(c *checker, n *ast.CallNode, args []code) {
	for i, a := range args {
		s := a.shape
		if s.kind == List && len(args) == 1 {
			s = s.items()
		}
		if !s.takes(Number) {
			c.fail(n.Arguments[i], "make a number of it with int(…) or float(…)", "cannot use %s as argument (type number) to call %s", s, n.Callee.String())
		}
	}
}

func minimum(r *run, a []any) any { return extreme(r, a, -1) }
func maximum(r *run, a []any) any { return extreme(r, a, 1) }

func extreme(r *run, a []any, sign int) any {
	if list, ok := a[0].([]any); ok && len(a) == 1 {
		a = list
	}
	var best any
	for _, v := range a {
		n, ok := asNumber(v)
		if !ok || !r.spend(1) {
			return nil
		}
		if prior, ok := asNumber(best); !ok || compareNumbers(n, prior) == sign {
			best = v
		}
	}
	return best
}

func toInteger(_ *run, a []any) any {
	n, ok := numberFrom(a[0])
	switch {
	case !ok:
		return nil
	case n.whole:
		return n.i
	case math.Abs(n.f) < 1<<63:
		return int64(n.f)
	}
	return nil
}

func toFloat(_ *run, a []any) any {
	n, ok := numberFrom(a[0])
	if !ok {
		return nil
	}
	return n.f
}

func numberFrom(v any) (number, bool) {
	if s, ok := asText(v); ok {
		return parseNumber(strings.TrimSpace(s))
	}
	return asNumber(v)
}

func toText(r *run, a []any) any {
	text, ok := r.format(a[0])
	if !ok {
		return nil
	}
	return r.fitting(text, 1)
}

// buildLookup checks the name of the table, if it is a literal, and takes the type of its values.
func buildLookup(c *checker, n *ast.CallNode, args []code) code {
	name, known := args[0].literal.(string)
	out := anyShape
	if known {
		if _, ok := c.scope.Lookups[name]; !ok {
			names := slices.Sorted(maps.Keys(c.scope.Lookups))
			hint := fmt.Sprintf("write the table below lookups: %s: {key: value}", name)
			if len(names) > 0 {
				hint = unlessNear("", names)
			}
			near := didYouMean(name, names)
			if near != "" {
				hint = ""
			}
			return c.fail(n.Arguments[0], hint, "unknown lookup table %q%s", name, near)
		}
		out = tableShape(c.scope.Lookups[name])
		out.tables = []string{name}
	}
	if s := args[1].shape; s.kind == List || s.kind == Map || args[1].null {
		return c.fail(n.Arguments[1], "use a text, a number or a boolean as the key", "cannot look up a %s", args[1].word())
	}
	out.absent = true
	if len(args) > 2 {
		sure := !args[2].shape.absent
		if out = out.union(args[2].shape); sure {
			out.absent = false
		}
	}
	tables := c.scope.Lookups
	return code{shape: out, do: func(r *run) any {
		table, _ := asText(args[0].eval(r))
		key, ok := r.format(args[1].eval(r))
		if ok {
			if v, found := tables[table][key]; found && v != nil {
				return normal(v)
			}
		}
		if len(args) > 2 {
			return args[2].eval(r)
		}
		return nil
	}}
}

// normal turns what a configuration or a caller may hold into a value of the language.
func normal(v any) any {
	switch v := v.(type) {
	case int:
		return int64(v)
	case float64:
		return finite(v)
	}
	return v
}

func tableShape(table map[string]any) shape {
	var out *shape
	for _, v := range table {
		s := shapeOf(normal(v))
		if out != nil {
			s = out.union(s)
		}
		out = &s
	}
	return deref(out)
}

func shapeOf(v any) shape {
	switch v := v.(type) {
	case string:
		return shape{kind: Text, empty: v == ""}
	case bool:
		return shape{kind: Boolean}
	case int64:
		return shape{kind: Integer}
	case float64:
		return shape{kind: Number}
	}
	if _, ok := asNumber(v); ok {
		return shape{kind: Number}
	}
	return anyShape
}

// date writes a time. A zone that is written out is loaded once.
func date(args []code) func(*run, []any) any {
	fixed := time.UTC
	if len(args) > 2 {
		fixed = nil
		if name, ok := args[2].literal.(string); ok {
			fixed, _ = loadZone(name) // checkDate reports an unknown one
		}
	}
	return func(r *run, a []any) any {
		at, ok := timeFrom(a[0])
		if !ok {
			return nil
		}
		layout, zone := defaultLayout, fixed
		if len(a) > 1 {
			layout = a[1].(string)
		}
		if zone == nil {
			r.spend(1000) // reads the zone's file
			if zone, _ = loadZone(a[2].(string)); zone == nil {
				return nil
			}
		}
		return formatTime(at.In(zone), r.fitting(layout, 4))
	}
}

func timeFrom(v any) (time.Time, bool) {
	if at, ok := v.(time.Time); ok {
		return at, true
	}
	text, _ := asText(v)
	at, err := time.Parse(time.RFC3339, text)
	return at, err == nil
}

func checkDate(c *checker, n *ast.CallNode, args []code) {
	if s := args[0].shape; s.kind != Time && !s.takes(Text) {
		c.fail(n.Arguments[0], "use a text with a date, or a time", "cannot use %s as argument (type time) to call date", s)
	}
	if len(args) > 1 && args[1].literal == "" {
		c.fail(n.Arguments[1], "such as YYYY-MM-DD", "date needs a layout")
	}
	if len(args) > 1 {
		if layout, ok := args[1].literal.(string); ok {
			if text, hint := vetLayout(layout); text != "" {
				c.fail(n.Arguments[1], hint, "%s", text)
			}
		}
	}
	if len(args) > 2 {
		if name, ok := args[2].literal.(string); ok {
			if _, err := loadZone(name); err != nil {
				c.fail(n.Arguments[2], "write an IANA name such as Europe/Prague", "unknown time zone %q", name)
			}
		}
	}
}

// dateShape: a time in a zone that was checked always has a date.
func dateShape(out shape, args []code) shape {
	out.absent = args[0].shape.kind != Time
	for _, a := range args {
		out.absent = out.absent || a.shape.unsure()
	}
	if len(args) > 1 {
		out.empty = args[1].literal == nil
	}
	out.absent = out.absent || len(args) > 2 && args[2].literal == nil
	return out
}
