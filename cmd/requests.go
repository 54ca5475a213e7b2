// This file writes for people what a target would be sent: each request with its headers and its body.

package cmd

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/url"
	"reflect"
	"slices"
	"strings"

	"github.com/afterchat/afterchat/connectors"
	"github.com/afterchat/afterchat/internal/gateway"
)

const jsonType = "application/json"

// requests shows what a target would be sent, with keys in the order of the mapping where they are of the mapping.
func (a *answer) requests(p gateway.Previewed, order map[string]int) {
	for _, r := range p.Requests {
		note := ""
		if r.Note != "" {
			note = "   (" + r.Note + ")"
		}
		a.line("  %s %s%s", r.Method, r.URL, note)
		under := strings.Repeat(" ", len("  ")+len(r.Method)+1)
		for _, name := range slices.Sorted(maps.Keys(r.Headers)) {
			if name != "Content-Type" || r.Headers[name] != jsonType {
				a.line("%s%s: %s", under, name, a.bounds.oneLine(r.Headers[name]))
			}
		}
		if !r.Reads {
			a.body(r, ends(order))
		}
	}
	switch {
	case p.Error != "":
		more := ""
		if len(p.Requests) > 0 {
			more = "more "
		}
		a.line("  ! nothing %swould be sent, the delivery would fail: %s", more, p.Error)
		if p.Hint != "" {
			a.line("    hint: %s", p.Hint)
		}
	case len(p.Requests) == 0:
		a.line("  nothing is sent")
	}
}

// writeSent shows what the nth attempt has sent; what an earlier one has sent, too, is there already.
func writeSent(w io.Writer, all []gateway.RenderedDelivery, n int) {
	sent := all[n]
	if sent.Unknown != "" {
		_, _ = fmt.Fprintf(w, "    what it sent cannot be told: %s\n", printable(sent.Unknown))
		return
	}
	for i, before := range all[:n] {
		if before.Unknown == "" && before.Config == sent.Config && sameRequests(before, sent) {
			_, _ = fmt.Fprintf(w, "    it sent the same as #%d\n", i+1)
			return
		}
	}
	about := "the configuration of today renders the same"
	if len(sent.Difference) > 0 {
		about = "with the configuration of then, " + sent.Config
	}
	_, _ = fmt.Fprintf(w, "    it sent (%s)\n", about)
	writeRequests(w, sent)
}

// writeNext shows what would be sent now, unless the newest attempt has sent that.
func writeNext(w io.Writer, next gateway.RenderedDelivery, sent []gateway.RenderedDelivery) {
	if n := len(sent); n > 0 && sent[n-1].Unknown == "" && sameRequests(sent[n-1], next) {
		_, _ = fmt.Fprintf(w, "now the same would be sent as #%d\n", n)
		return
	}
	_, _ = fmt.Fprintln(w, "now would be sent")
	writeRequests(w, next)
}

func sameRequests(a, b gateway.RenderedDelivery) bool {
	return a.Error == b.Error && reflect.DeepEqual(a.Requests, b.Requests) && reflect.DeepEqual(a.Fields, b.Fields)
}

// writeRequests writes requests as they are, bodies of JSON indented; where there are none, what is mapped.
func writeRequests(w io.Writer, r gateway.RenderedDelivery) {
	const indent = "      "
	line := func(text string) {
		_, _ = fmt.Fprintln(w, strings.TrimRight(indent+strings.ReplaceAll(printable(text), "\n", "\n"+indent), " "))
	}
	for _, q := range r.Requests {
		line(q.Method + " " + q.URL)
		if q.Note != "" {
			line("(" + q.Note + ")")
		}
		for _, name := range slices.Sorted(maps.Keys(q.Headers)) {
			line(name + ": " + q.Headers[name])
		}
		if q.Body != "" {
			line(indentedJSON(q.Body))
		}
	}
	if len(r.Requests) == 0 && r.Fields != nil {
		if fields, err := json.MarshalIndent(r.Fields, "", "  "); err == nil {
			line(string(fields))
		}
	}
	for _, note := range r.Notes {
		line("note: " + note)
	}
	if r.Error != "" {
		line("! " + r.Error)
	}
}

// indentedJSON is a body with one value a line, if it is JSON.
func indentedJSON(body string) string {
	var out bytes.Buffer
	if json.Indent(&out, bytes.TrimSpace([]byte(body)), "", "  ") != nil {
		return body
	}
	return out.String()
}

// body shows what a request carries.
func (a *answer) body(r connectors.Request, order map[string]int) {
	s := sheet{text: &a.text, bounds: a.bounds, order: order, loose: true}
	const indent = 4
	var value any = r.Body
	switch {
	case r.Body == "":
		return
	case strings.HasPrefix(r.Headers["Content-Type"], "application/x-www-form-urlencoded"):
		if form, err := url.ParseQuery(r.Body); err == nil {
			value = plainForm(form)
		}
	case json.Valid([]byte(r.Body)):
		value = s.plain(json.RawMessage(r.Body), "")
	}
	if m, ok := value.(map[string]any); ok {
		s.mapping(m, "", indent)
		return
	}
	s.entry(strings.Repeat(" ", indent)+"body:", value, "", indent+2)
}

// plainForm is a form with a list only where a name stands several times.
func plainForm(form url.Values) map[string]any {
	out := map[string]any{}
	for name, values := range form {
		if len(values) == 1 {
			out[name] = values[0]
			continue
		}
		var list []any
		for _, v := range values {
			list = append(list, v)
		}
		out[name] = list
	}
	return out
}

// ends ranks every end of the paths of an order, for what a mapping calls body.text or subject is text or ticket.subject
// in a request.
func ends(order map[string]int) map[string]int {
	out := map[string]int{}
	byRank := func(a, b string) int { return cmp.Compare(order[a], order[b]) }
	for _, path := range slices.SortedFunc(maps.Keys(order), byRank) {
		for end, more := path, true; more; _, end, more = strings.Cut(end, ".") {
			if _, ranked := out[end]; !ranked {
				out[end] = order[path]
			}
		}
	}
	return out
}

// notSent names what the mapping fills and no request holds, by reason.
func (a *answer) notSent(fields []connectors.NotSent) {
	var reasons []string
	names := map[string][]string{}
	for _, f := range fields {
		if names[f.Why] == nil {
			reasons = append(reasons, f.Why)
		}
		names[f.Why] = append(names[f.Why], f.Field)
	}
	for _, why := range reasons {
		a.line("  not sent: %s (%s)", strings.Join(names[why], ", "), why)
	}
}
