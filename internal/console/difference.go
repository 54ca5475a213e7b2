// This file compares what a delivery would send with two configurations.

package console

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
)

// maxCompared bounds the lines that are compared; beyond them a difference is told line by line without a search for
// what both have in common.
const maxCompared = 2000

// differenceOf compares two renderings line by line; nil means that they are the same.
func differenceOf(then, today Rendered) []string {
	a, b := renderedLines(then), renderedLines(today)
	out := diffLines(a, b)
	for _, line := range out {
		if line[0] != ' ' {
			return out
		}
	}
	return []string{}
}

// renderedLines writes a rendering for people: the requests if there are any, else the fields.
func renderedLines(r Rendered) []string {
	var out []string
	if r.Error != "" {
		out = append(out, "error: "+r.Error)
	}
	for _, request := range r.Requests {
		out = append(out, request.Method+" "+request.URL)
		out = append(out, strings.Split(indented([]byte(request.Body)), "\n")...)
	}
	if len(r.Requests) == 0 && r.Fields != nil {
		var body bytes.Buffer
		e := json.NewEncoder(&body)
		e.SetEscapeHTML(false)
		if e.Encode(r.Fields) == nil {
			out = append(out, strings.Split(indented(body.Bytes()), "\n")...)
		}
	}
	return out
}

// indented is a body with one value a line, if it is JSON.
func indented(body []byte) string {
	var out bytes.Buffer
	if json.Indent(&out, bytes.TrimSpace(body), "", "  ") != nil {
		return string(body)
	}
	return out.String()
}

// diffLines is the shortest way from a to b: each line with a space (in both), - (in a) or + (in b) in front.
func diffLines(a, b []string) []string {
	var out []string
	for len(a) > 0 && len(b) > 0 && a[0] == b[0] {
		out = append(out, " "+a[0])
		a, b = a[1:], b[1:]
	}
	var tail []string
	for len(a) > 0 && len(b) > 0 && a[len(a)-1] == b[len(b)-1] {
		tail = append(tail, " "+a[len(a)-1])
		a, b = a[:len(a)-1], b[:len(b)-1]
	}
	if len(a) <= maxCompared && len(b) <= maxCompared {
		out = append(out, middle(a, b)...)
	} else {
		for _, line := range a {
			out = append(out, "-"+line)
		}
		for _, line := range b {
			out = append(out, "+"+line)
		}
	}
	slices.Reverse(tail)
	out = append(out, tail...)
	return out
}

// middle compares by the longest common subsequence.
func middle(a, b []string) []string {
	common := make([][]int16, len(a)+1)
	for i := range common {
		common[i] = make([]int16, len(b)+1)
	}
	for i := range slices.Backward(a) {
		for j := range slices.Backward(b) {
			if a[i] == b[j] {
				common[i][j] = common[i+1][j+1] + 1
			} else {
				common[i][j] = max(common[i+1][j], common[i][j+1])
			}
		}
	}
	var out []string
	i, j := 0, 0
	for i < len(a) || j < len(b) {
		switch {
		case i < len(a) && j < len(b) && a[i] == b[j]:
			out = append(out, " "+a[i])
			i, j = i+1, j+1
		case i < len(a) && (j == len(b) || common[i+1][j] >= common[i][j+1]):
			out = append(out, "-"+a[i])
			i++
		default:
			out = append(out, "+"+b[j])
			j++
		}
	}
	return out
}
