// This file reads l2s_question, which is the visitor's question or all fields of the pre-chat form, in any of the
// shapes that a form takes.

package proprofs

import (
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/afterchat/afterchat/internal/chat"
	"github.com/afterchat/afterchat/internal/source"
)

// question is what the visitor was asked before the chat.
type question struct {
	text   string
	fields map[string]any // nil unless the text is surely made of labels and values
}

// readQuestion reads l2s_question: text, lines or a table of labels and values, a list, or an object.
func readQuestion(f fields) question {
	switch v := f.values["question"].(type) {
	case map[string]any:
		return objectQuestion(v)
	case []any:
		if q, ok := listQuestion(v); ok {
			return q
		}
		return question{text: f.lines("question")}
	case string:
		if text := strings.TrimSpace(v); strings.HasPrefix(text, "{") {
			if object, _, err := source.ReadObject(source.Hook{Body: []byte(text), ContentType: "application/json"}); err == nil {
				return objectQuestion(object)
			}
		}
	}
	return textQuestion(f.lines("question"))
}

// objectQuestion reads {"label": value}. The order of an object is lost, so the text is sorted by label.
func objectQuestion(object map[string]any) question {
	q := question{fields: map[string]any{}}
	var rows []string
	for _, key := range slices.Sorted(maps.Keys(object)) {
		text, _ := textOf(object[key], ", ")
		rows = append(rows, row(key, text))
		q.fields[key] = object[key]
	}
	q.text = strings.Join(rows, "\n")
	return q
}

// listQuestion reads a list of objects that each hold a label and a value.
func listQuestion(list []any) (question, bool) {
	q := question{fields: map[string]any{}}
	var rows []string
	for _, e := range list {
		object, _ := e.(map[string]any)
		label, value, ok := labeled(object)
		if _, twice := q.fields[label]; !ok || twice {
			return question{}, false
		}
		text, _ := textOf(value, ", ")
		rows = append(rows, row(label, text))
		q.fields[label] = value
	}
	q.text = strings.Join(rows, "\n")
	return q, len(rows) > 0
}

var (
	labelKeys = []string{"label", "question", "name", "title", "field", "key"}
	valueKeys = []string{"value", "answer", "ans", "val", "text"}
)

// labeled reads an object with just a label and a value.
func labeled(object map[string]any) (label string, value any, ok bool) {
	if len(object) != 2 {
		return "", nil, false
	}
	find := func(keys []string) (any, bool) {
		for key, v := range object {
			if slices.Contains(keys, strings.ToLower(key)) {
				return v, true
			}
		}
		return nil, false
	}
	l, hasLabel := find(labelKeys)
	value, hasValue := find(valueKeys)
	label, isText := l.(string)
	return plainLine(label), value, hasLabel && hasValue && isText && label != ""
}

func row(label, value string) string {
	return plainLine(label) + ": " + plain(value)
}

var (
	tableRow  = regexp.MustCompile(`(?is)<tr\b[^>]*>(.*?)</tr\s*>`)
	tableCell = regexp.MustCompile(`(?is)<t[dh]\b[^>]*>(.*?)</t[dh]\s*>`)
)

// textQuestion reads a text. Two or more lines, or the rows of a table, that are all "label: value" are fields too.
func textQuestion(text string) question {
	pairs, isTable := tablePairs(text)
	q := question{text: strings.TrimSpace(plain(text))}
	if !isTable {
		pairs = linePairs(q.text)
	}
	fields := map[string]any{}
	for _, p := range pairs {
		fields[p[0]] = p[1]
	}
	if len(pairs) == 0 || len(fields) < len(pairs) {
		return q
	}
	if isTable {
		rows := make([]string, len(pairs))
		for i, p := range pairs {
			rows[i] = p[0] + ": " + p[1]
		}
		q.text = strings.Join(rows, "\n")
	}
	q.fields = fields
	return q
}

// maxTable is the largest table that is read as one; a larger one is text.
const maxTable = 64 << 10

// tablePairs reads an HTML table of two columns that is all of the text.
func tablePairs(text string) (pairs [][2]string, ok bool) {
	trimmed := strings.TrimSpace(text)
	if len(trimmed) > maxTable || !strings.HasPrefix(strings.ToLower(trimmed), "<table") || !strings.HasSuffix(strings.ToLower(trimmed), "</table>") {
		return nil, false
	}
	rows := tableRow.FindAllStringSubmatch(trimmed, -1)
	for _, r := range rows {
		cells := tableCell.FindAllStringSubmatch(r[1], -1)
		if len(cells) != 2 || strings.TrimSpace(plain(tableCell.ReplaceAllString(r[1], ""))) != "" {
			return nil, false
		}
		label := strings.TrimSuffix(chat.CleanLine(plain(cells[0][1])), ":")
		if label == "" {
			return nil, false
		}
		pairs = append(pairs, [2]string{label, strings.TrimSpace(plain(cells[1][1]))})
	}
	if strings.TrimSpace(plain(tableRow.ReplaceAllString(trimmed, ""))) != "" {
		return nil, false
	}
	return pairs, len(pairs) > 0
}

// maxLabel is the longest label of a form field, in bytes; longer is a sentence.
const maxLabel = 120

// linePairs reads "label: value" lines; nil unless there are at least two and all are.
func linePairs(text string) [][2]string {
	var pairs [][2]string
	for l := range strings.Lines(text) {
		l = strings.TrimSpace(l)
		if l == "" {
			continue
		}
		label, value, ok := strings.Cut(l+" ", ": ")
		if label = strings.TrimSpace(label); !ok || label == "" || len(label) > maxLabel || strings.Contains(label, "://") {
			return nil
		}
		pairs = append(pairs, [2]string{label, strings.TrimSpace(value)})
	}
	if len(pairs) < 2 {
		return nil
	}
	return pairs
}
