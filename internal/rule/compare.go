// This file holds the three-valued logic and the arithmetic: every function takes values that may be absent or of the
// wrong type, and then answers nil, absent.

package rule

import (
	"cmp"
	"encoding/json"
	"math"
	"strconv"
	"strings"
	"time"
)

// number is an int64 where that is exact, else a float64.
type number struct {
	whole bool
	i     int64
	f     float64
}

func asNumber(v any) (number, bool) {
	switch v := v.(type) {
	case int64:
		return number{whole: true, i: v, f: float64(v)}, true
	case int:
		return number{whole: true, i: int64(v), f: float64(v)}, true
	case float64:
		return number{f: v}, finite(v) != nil
	case json.Number:
		return parseNumber(string(v))
	}
	return number{}, false
}

// parseNumber reads decimal digits with an optional fraction and exponent.
func parseNumber(s string) (number, bool) {
	if i, err := strconv.ParseInt(s, 10, 64); err == nil {
		return number{whole: true, i: i, f: float64(i)}, true
	}
	if strings.ContainsAny(s, "xXpP_nNiI") { // hexadecimal, NaN, Inf
		return number{}, false
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil || finite(f) == nil {
		return number{}, false
	}
	return number{f: f}, true
}

// finite returns f, or absent for NaN and infinities.
func finite(f float64) any {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return nil
	}
	return f
}

// toInt returns a whole number, also one that is a float without fraction.
func toInt(v any) (int64, bool) {
	n, ok := asNumber(v)
	switch {
	case !ok:
		return 0, false
	case n.whole:
		return n.i, true
	case n.f == math.Trunc(n.f) && math.Abs(n.f) < 1<<63:
		return int64(n.f), true
	}
	return 0, false
}

func compareNumbers(a, b number) int {
	if a.whole && b.whole {
		return cmp.Compare(a.i, b.i)
	}
	return cmp.Compare(a.f, b.f)
}

// equal is == : nil if either is absent or they are of different types.
func (r *run) equal(a, b any) any {
	if x, ok := asText(a); ok {
		y, ok := asText(b)
		if !ok || !r.spend(min(len(x), len(y))/64) {
			return nil
		}
		return x == y
	}
	switch x := a.(type) {
	case bool:
		if y, ok := b.(bool); ok {
			return x == y
		}
		return nil
	case time.Time:
		if y, ok := b.(time.Time); ok {
			return x.Equal(y)
		}
		return nil
	case json.Number:
		if x == b {
			return true // exact digits, however many
		}
	}
	x, ok := asNumber(a)
	y, ok2 := asNumber(b)
	if !ok || !ok2 {
		return nil
	}
	return compareNumbers(x, y) == 0
}

// order is < <= > >= by the sign that it hands to test: nil if the two have no order.
func (r *run) order(a, b any, test func(int) bool) any {
	if x, ok := asText(a); ok {
		y, ok := asText(b)
		if !ok || !r.spend(min(len(x), len(y))/64) {
			return nil
		}
		return test(strings.Compare(x, y))
	}
	if x, ok := a.(time.Time); ok {
		if y, ok := b.(time.Time); ok {
			return test(x.Compare(y))
		}
		return nil
	}
	x, ok := asNumber(a)
	y, ok2 := asNumber(b)
	if !ok || !ok2 {
		return nil
	}
	return test(compareNumbers(x, y))
}

// in tells whether a list holds x, or a map has the key x. Items that are absent do not count.
func (r *run) in(x, where any) any {
	if x == nil {
		return nil
	}
	list, ok := where.([]any)
	if !ok {
		key, isText := asText(x)
		if !isText {
			return nil
		}
		if _, isMap := where.(map[string]any); isMap {
			return r.member(where, key) != nil
		}
		if rec, _ := recordOf(where); rec == nil {
			return nil
		}
		return !gone(r.member(where, key))
	}
	var found any = false
	for _, item := range list {
		if !r.spend(1) {
			return nil
		}
		if item == nil {
			continue
		}
		found = or(found, r.equal(x, item))
		if found == true {
			break
		}
	}
	return found
}

// and, or and not are Kleene's: what is not a bool counts as absent.
func and(a, b any) any {
	switch {
	case a == false || b == false:
		return false
	case a == true && b == true:
		return true
	}
	return nil
}

func or(a, b any) any {
	switch {
	case a == true || b == true:
		return true
	case a == false && b == false:
		return false
	}
	return nil
}

func not(v any) any {
	if b, ok := v.(bool); ok {
		return !b
	}
	return nil
}

// add is + : numbers, or text put together.
func (r *run) add(a, b any) any {
	if x, ok := asText(a); ok {
		y, ok := asText(b)
		if !ok {
			return nil
		}
		return r.fitting(x+y, 1)
	}
	return arithmetic(a, b, func(x, y int64) (int64, bool) {
		sum := x + y
		return sum, (sum > x) == (y > 0)
	}, func(x, y float64) float64 { return x + y })
}

// subtract is - : numbers, or the seconds between two times.
func subtract(a, b any) any {
	if x, ok := a.(time.Time); ok {
		if y, ok := b.(time.Time); ok {
			return x.Sub(y).Seconds()
		}
		return nil
	}
	return arithmetic(a, b, func(x, y int64) (int64, bool) {
		diff := x - y
		return diff, (diff < x) == (y > 0)
	}, func(x, y float64) float64 { return x - y })
}

func multiply(a, b any) any {
	return arithmetic(a, b, func(x, y int64) (int64, bool) {
		if x == 0 || y == 0 {
			return 0, true
		}
		p := x * y
		return p, p/y == x && (x != -1 || y != math.MinInt64) && (y != -1 || x != math.MinInt64)
	}, func(x, y float64) float64 { return x * y })
}

func divide(a, b any) any {
	x, ok := asNumber(a)
	y, ok2 := asNumber(b)
	if !ok || !ok2 || y.f == 0 {
		return nil
	}
	return finite(x.f / y.f)
}

func remainder(a, b any) any {
	x, ok := toInt(a)
	y, ok2 := toInt(b)
	if !ok || !ok2 || y == 0 {
		return nil
	}
	if y == -1 {
		return int64(0)
	}
	return x % y
}

func power(a, b any) any {
	x, ok := asNumber(a)
	y, ok2 := asNumber(b)
	if !ok || !ok2 {
		return nil
	}
	return finite(math.Pow(x.f, y.f))
}

func negate(v any) any {
	n, ok := asNumber(v)
	switch {
	case !ok:
		return nil
	case n.whole && n.i != math.MinInt64:
		return -n.i
	}
	return -n.f
}

// arithmetic computes in int64 while that is exact, else in float64.
func arithmetic(a, b any, whole func(x, y int64) (int64, bool), fraction func(x, y float64) float64) any {
	x, ok := asNumber(a)
	y, ok2 := asNumber(b)
	if !ok || !ok2 {
		return nil
	}
	if x.whole && y.whole {
		if v, fits := whole(x.i, y.i); fits {
			return v
		}
	}
	return finite(fraction(x.f, y.f))
}
