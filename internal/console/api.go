// This file is the frame of the API: the list of what there is, how a request is read and how it is answered. The
// description in OpenAPI is made of the same list.

package console

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/afterchat/afterchat/internal/ledger"
)

// apiPath is where the API begins.
const apiPath = "/api/v1"

// endpoint is one operation of the API.
type endpoint struct {
	method, path string // below apiPath, with :parameters as Echo has them
	need         Role
	doc          string
	query        []parameter
	body         any  // a value of the type that is sent as JSON; nil: nothing is
	raw          bool // the body is sent as it is, of any type
	answer       any  // a value of the type of the answer; nil: 204, a text: its media type
	status       int  // of a success; 0: 200, or 204 without an answer
	do           func(q *request) (any, error)
}

// parameter is one parameter in the query of a request.
type parameter struct {
	name, doc string
	many      bool
}

// request is one request to the API, let in.
type request struct {
	echo.Context
	console *console
	who     Person
	values  url.Values
}

// text is an answer that is not JSON.
type text struct {
	mediaType string
	body      []byte
	name      string // of the file that a browser saves it as; "": it shows it
}

// endpoints lists the whole API.
func (c *console) endpoints() []endpoint {
	return slices.Concat(c.reads(), c.changes(), []endpoint{{
		method: http.MethodGet, path: "/openapi.json", need: Viewer, doc: "this description", answer: map[string]any{},
		do: func(q *request) (any, error) { return q.console.description(), nil },
	}})
}

// api adds the API to the paths.
func (c *console) api() {
	for _, p := range c.endpoints() {
		c.echo.Add(p.method, apiPath+p.path, c.guarded(p.need, func(e echo.Context, who Person) error { return c.serve(e, who, p) }))
	}
	c.echo.RouteNotFound(apiPath+"/*", c.guarded(Viewer, func(echo.Context, Person) error {
		return &refusal{status: http.StatusNotFound, detail: "there is no such path in the API", hint: "GET " + apiPath + "/openapi.json lists them"}
	}))
}

// serve answers one request.
func (c *console) serve(e echo.Context, who Person, p endpoint) error {
	q := &request{Context: e, console: c, who: who, values: e.QueryParams()}
	if err := q.checkQuery(p.query); err != nil {
		return err
	}
	answer, err := p.do(q)
	if err != nil {
		return err
	}
	switch answer := answer.(type) {
	case nil:
		return e.NoContent(http.StatusNoContent)
	case text:
		if answer.name != "" {
			e.Response().Header().Set("Content-Disposition", fmt.Sprintf("attachment; filename=%q", answer.name))
		}
		return q.write(http.StatusOK, answer.mediaType, answer.body)
	}
	var body bytes.Buffer
	encoder := json.NewEncoder(&body)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(answer); err != nil {
		return fmt.Errorf("writing the answer: %w", err)
	}
	status := p.status
	if _, dry := answer.(DryRun); status == 0 || dry { // nothing is created
		status = http.StatusOK
	}
	return q.write(status, echo.MIMEApplicationJSON, body.Bytes())
}

// write sends an answer; what the client has already is not sent again.
func (q *request) write(status int, mediaType string, body []byte) error {
	if method := q.Request().Method; method == http.MethodGet || method == http.MethodHead {
		sum := sha256.Sum256(body)
		tag := `"` + base64.RawURLEncoding.EncodeToString(sum[:12]) + `"`
		q.Response().Header().Set("ETag", tag)
		if matches(q.Request().Header.Get("If-None-Match"), tag) {
			return q.NoContent(http.StatusNotModified)
		}
	}
	return q.Blob(status, mediaType, body)
}

// matches tells whether an If-None-Match names a tag, weakly: a page's tag is weak.
func matches(header, tag string) bool {
	for one := range strings.SplitSeq(header, ",") {
		if one = strings.TrimSpace(one); one == "*" || strings.TrimPrefix(one, "W/") == strings.TrimPrefix(tag, "W/") {
			return true
		}
	}
	return false
}

// writeProblem answers with what went wrong.
func (c *console) writeProblem(e echo.Context, p Problem) {
	if strings.HasPrefix(e.Request().URL.Path, "/-/") || !strings.HasPrefix(e.Request().URL.Path, "/api/") {
		line := p.Detail
		if line == "" {
			line = p.Title
		}
		if p.Hint != "" {
			line += "; " + p.Hint
		}
		_ = e.String(p.Status, line+"\n")
		return
	}
	if p.Status == http.StatusUnauthorized {
		e.Response().Header().Set("WWW-Authenticate", `Bearer realm="afterchat"`)
	}
	body, err := json.Marshal(p)
	if err != nil {
		return
	}
	_ = e.Blob(p.Status, "application/problem+json", append(body, '\n'))
}

// checkQuery refuses parameters that the operation does not have: a filter with a typing mistake would select too much.
func (q *request) checkQuery(known []parameter) error {
	names := make([]string, len(known))
	for i, p := range known {
		names[i] = p.name
	}
	for name, values := range q.values {
		i := slices.Index(names, name)
		if i < 0 {
			hint := "it takes none"
			if len(names) > 0 {
				hint = "it takes " + strings.Join(names, ", ")
			}
			if near := nearest(name, names); near != "" {
				hint = fmt.Sprintf("did you mean %s? ", near) + hint
			}
			return &InputError{Text: fmt.Sprintf("there is no parameter %q", name), Hint: hint}
		}
		if len(values) > 1 && !known[i].many {
			return &InputError{Text: fmt.Sprintf("the parameter %s stands there twice", name), Hint: "give it once"}
		}
	}
	return nil
}

// filterParameters are the fields of the search box, and the box itself.
func filterParameters() []parameter {
	out := []parameter{{name: "q", doc: "search as in the search box: words, \"phrases\" and field:value"}}
	for _, f := range searchFields() {
		out = append(out, parameter{name: f.name, doc: f.about() + "; several values with commas between them", many: true})
	}
	return out
}

// pageParameters are those of every list.
func pageParameters() []parameter {
	return []parameter{
		{name: "cursor", doc: "next of the page before"},
		{name: "limit", doc: fmt.Sprintf("most items of the page, 1 to %d; 50 if absent", ledger.MaxPage)},
	}
}

// filterOf reads a filter from a query: q and the fields together.
func filterOf(values url.Values, now time.Time) (ledger.Filter, error) {
	f, err := ParseQuery(values.Get("q"), now)
	if err != nil {
		return f, err
	}
	for _, field := range searchFields() {
		for _, list := range values[field.name] {
			all, err := listed(list)
			if err != nil {
				return f, err
			}
			for _, value := range all {
				if err := setField(&f, field.name, value, now); err != nil {
					return f, err
				}
			}
		}
	}
	return f, nil
}

// listed are the values of a parameter: with commas between them, and in quotes where they hold one.
func listed(list string) (values []string, err error) {
	for s := (scanner{rest: list}); ; {
		value, quoted, err := s.item()
		if err != nil {
			return nil, err
		}
		if !quoted {
			value = strings.TrimSpace(value)
		}
		values = append(values, value)
		switch {
		case s.rest == "":
			return values, nil
		case !s.accept(','):
			return nil, &QueryError{Term: list, Text: "something follows a value in quotes", Hint: "put a comma between values"}
		}
	}
}

func (q *request) filter() (ledger.Filter, error) { return filterOf(q.values, time.Now()) }

func (q *request) page() (ledger.Page, error) {
	p := ledger.Page{After: q.values.Get("cursor")}
	if text := q.values.Get("limit"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > ledger.MaxPage {
			return p, &InputError{Text: fmt.Sprintf("limit is %q", text), Hint: fmt.Sprintf("write a number from 1 to %d", ledger.MaxPage)}
		}
		p.Limit = n
	}
	return p, nil
}

// list reads filter and page.
func (q *request) list() (ledger.Filter, ledger.Page, error) {
	f, err := q.filter()
	if err != nil {
		return f, ledger.Page{}, err
	}
	p, err := q.page()
	return f, p, err
}

// mask tells whether what identifies visitors is hidden from whoever asks.
func (q *request) mask() bool { return !q.who.May(Operator) }

// maxRequest bounds the body of a request, in bytes: a hook in the playground, with routes.
const maxRequest = 32 << 20

// decode reads a body of JSON into v; none leaves v as it is.
func (q *request) decode(v any) error {
	body, err := q.raw()
	if err != nil || len(bytes.TrimSpace(body)) == 0 {
		return err
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	d.UseNumber()
	err = d.Decode(v)
	if err == nil {
		if _, more := d.Token(); !errors.Is(more, io.EOF) {
			err = errors.New("something follows it")
		}
	}
	if err != nil {
		return &InputError{
			Text: "the body cannot be read: " + strings.TrimPrefix(err.Error(), "json: "),
			Hint: "send one JSON object as " + apiPath + "/openapi.json describes it",
		}
	}
	return nil
}

func (q *request) raw() ([]byte, error) {
	body, err := io.ReadAll(http.MaxBytesReader(q.Response(), q.Request().Body, maxRequest))
	if _, large := errors.AsType[*http.MaxBytesError](err); large {
		return nil, &refusal{status: http.StatusRequestEntityTooLarge, detail: fmt.Sprintf("the body is larger than %d MiB", maxRequest>>20)}
	}
	if err != nil {
		return nil, &InputError{Text: "the body did not arrive", Hint: "send it again"}
	}
	return body, nil
}
