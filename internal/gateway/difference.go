// This file compares an expected value with the one that was rendered.

package gateway

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// absentValue stands for a value that is not there.
const absentValue = "absent"

// plain turns a value into what JSON has: nil, bool, json.Number, string, []any, map[string]any. Times are texts then.
func plain(v any) any {
	text, err := marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	var out any
	if err := decoder.Decode(&out); err != nil {
		return fmt.Sprint(v)
	}
	return out
}

func marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	err := encoder.Encode(v)
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), err
}

// compact is a value on one line, absentValue for none.
func compact(v any) string {
	if v == nil {
		return absentValue
	}
	text, err := marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	return string(text)
}

// find follows a path with dots: keys of mappings and, from 0, items of lists. A key may have dots in it.
func find(v any, path string) (any, bool) {
	if path == "" {
		return v, true
	}
	switch v := v.(type) {
	case []any:
		first, rest, _ := strings.Cut(path, ".")
		if i, err := strconv.Atoi(first); err == nil && i >= 0 && i < len(v) {
			return find(v[i], rest)
		}
	case map[string]any:
		for end := len(path); end > 0; end = strings.LastIndexByte(path[:end], '.') {
			inner, ok := v[path[:end]]
			if !ok {
				continue
			}
			if found, ok := find(inner, strings.TrimPrefix(path[end:], ".")); ok {
				return found, true
			}
		}
	}
	return nil, false
}

// differences lists where two plain values differ, going into mappings and into lists of the same length.
func differences(path string, want, got any) []Difference {
	switch want := want.(type) {
	case map[string]any:
		if got, ok := got.(map[string]any); ok {
			keys := maps.Clone(want)
			maps.Copy(keys, got)
			var out []Difference
			for _, key := range slices.Sorted(maps.Keys(keys)) {
				out = append(out, differences(path+"."+key, want[key], got[key])...)
			}
			return out
		}
	case []any:
		if got, ok := got.([]any); ok && len(got) == len(want) {
			var out []Difference
			for i := range want {
				out = append(out, differences(fmt.Sprintf("%s.%d", path, i), want[i], got[i])...)
			}
			return out
		}
	case json.Number:
		if got, ok := got.(json.Number); ok && sameNumber(want, got) {
			return nil
		}
	case string:
		if got, ok := got.(string); ok && got != want && strings.Contains(want+got, "\n") {
			return []Difference{{What: path, Lines: changedLines(want, got)}}
		}
	}
	if w, g := compact(want), compact(got); w != g {
		return []Difference{{What: path, Want: w, Got: g}}
	}
	return nil
}

// sameNumber compares 5 with 5.0.
func sameNumber(a, b json.Number) bool {
	if a == b {
		return true
	}
	if i, err := a.Int64(); err == nil {
		if j, err := b.Int64(); err == nil {
			return i == j
		}
	}
	x, err := a.Float64()
	y, err2 := b.Float64()
	return err == nil && err2 == nil && x == y
}

// maxChangedLines is how many lines of each side are shown.
const maxChangedLines = 12

// changedLines shows what lies between the common beginning and the common end of two texts, with a line of each.
func changedLines(want, got string) []string {
	a, b := strings.Split(want, "\n"), strings.Split(got, "\n")
	head := 0
	for head < len(a) && head < len(b) && a[head] == b[head] {
		head++
	}
	tail := 0
	for tail < len(a)-head && tail < len(b)-head && a[len(a)-1-tail] == b[len(b)-1-tail] {
		tail++
	}
	var out []string
	if head > 0 {
		out = append(out, "  "+a[head-1])
	}
	out = append(out, marked("- ", a[head:len(a)-tail])...)
	out = append(out, marked("+ ", b[head:len(b)-tail])...)
	if tail > 0 {
		out = append(out, "  "+a[len(a)-tail])
	}
	return out
}

func marked(mark string, lines []string) []string {
	var out []string
	for i, line := range lines {
		if i == maxChangedLines {
			return append(out, fmt.Sprintf("%s… and %d more lines", mark, len(lines)-i))
		}
		out = append(out, mark+line)
	}
	return out
}
