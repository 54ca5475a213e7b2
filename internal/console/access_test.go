// This file tests who is let in, as whom, and what keeps others out.

package console_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/labstack/echo/v4"

	"github.com/afterchat/afterchat/internal/console"
	"github.com/afterchat/afterchat/internal/ledger"
	"github.com/afterchat/afterchat/internal/metrics"
)

const (
	viewerToken   = "viewer-0123456789abcdef"
	operatorToken = "operator-0123456789abcdef"
	adminToken    = "admin-0123456789abcdef"
)

// quiet is a ledger that only keeps its audit log.
type quiet struct {
	console.Ledger
	audited []ledger.Audited
}

func (q *quiet) Audit(_ context.Context, a ledger.Audited) error {
	q.audited = append(q.audited, a)
	return nil
}

func (q *quiet) AuditLog(context.Context, ledger.Page) (ledger.Listed[ledger.Audited], error) {
	return ledger.Listed[ledger.Audited]{Items: q.audited}, nil
}

func (q *quiet) Stats(context.Context) (ledger.Stats, error) { return ledger.Stats{}, nil }

func (q *quiet) Release(context.Context, string) error { return nil }

// listener is an admin listener with this access.
func listener(access console.Access) (http.Handler, *quiet) {
	q := &quiet{}
	return console.New(console.Options{
		Metrics: metrics.New("v1", nil), Ready: func(context.Context) error { return nil }, Access: func() console.Access { return access },
		Ledger: q, Config: func() console.Config { return console.Config{Hash: "f00"} }, Reload: func(context.Context) error { return nil },
		ConfigText: func() (string, error) { return "version: 1\n", nil },
	}), q
}

func tokens() []console.Token {
	return []console.Token{
		{Name: "grafana", Digest: console.DigestOf(viewerToken), Role: console.Viewer},
		{Name: "bot", Digest: console.DigestOf(operatorToken), Role: console.Operator},
		{Name: "deploy", Digest: console.DigestOf(adminToken), Role: console.Admin},
	}
}

// asked sends one request and returns the answer.
func asked(t *testing.T, h http.Handler, method, path string, change func(*http.Request)) *httptest.ResponseRecorder {
	t.Helper()
	request := httptest.NewRequestWithContext(t.Context(), method, path, nil)
	request.Host, request.RemoteAddr = "127.0.0.1:9080", "192.0.2.7:4711"
	if change != nil {
		change(request)
	}
	recorder := httptest.NewRecorder()
	h.ServeHTTP(recorder, request)
	return recorder
}

func bearer(token string) func(*http.Request) {
	return func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+token) }
}

// TestRoles: each operation with each role; only those are let in that have it, and whoever is not is told what to do.
func TestRoles(t *testing.T) {
	t.Parallel()
	h, q := listener(console.Access{Tokens: tokens()})
	for _, test := range []struct {
		method, path string
		need         console.Role
	}{
		{"GET", "/api/v1/status", console.Viewer},
		{"GET", "/api/v1/openapi.json", console.Viewer},
		{"GET", "/-/config", console.Viewer},
		{"GET", "/api/v1/config", console.Operator},
		{"GET", "/api/v1/audit", console.Operator},
		{"DELETE", "/api/v1/quarantine/q1", console.Operator},
		{"POST", "/-/reload", console.Admin},
		{"POST", "/api/v1/import?source=shop", console.Admin},
	} {
		for role, token := range []string{"", viewerToken, operatorToken, adminToken} {
			got := asked(t, h, test.method, test.path, func(r *http.Request) {
				if token != "" {
					bearer(token)(r)
				}
			})
			may := console.Role(role) >= test.need
			switch {
			case token == "" && got.Code != http.StatusUnauthorized,
				token != "" && !may && got.Code != http.StatusForbidden,
				may && (got.Code == http.StatusForbidden || got.Code == http.StatusUnauthorized):
				t.Errorf("%s %s as %s: %d %s", test.method, test.path, console.Role(role), got.Code, got.Body)
			case !may && !strings.Contains(got.Body.String(), "token"):
				t.Errorf("%s %s as %s does not say what to do: %s", test.method, test.path, console.Role(role), got.Body)
			}
		}
	}
	for _, path := range []string{"/metrics", "/healthz", "/readyz"} {
		if got := asked(t, h, "GET", path, nil); got.Code != http.StatusOK {
			t.Errorf("%s needs a login: %d", path, got.Code)
		}
	}
	if got := asked(t, h, "GET", "/api/v1/status", bearer(viewerToken+"x")); got.Code != http.StatusUnauthorized || got.Header().Get("WWW-Authenticate") == "" {
		t.Errorf("a wrong token: %d %v", got.Code, got.Header())
	}
	for i, want := range []string{"bot drop quarantine q1", "deploy drop quarantine q1", "deploy reload configuration"} {
		if i >= len(q.audited) {
			t.Fatalf("the audit log lacks %q: %+v", want, q.audited)
		}
		if a := q.audited[i]; a.Who+" "+a.Action+" "+a.Object != want || a.Address != "192.0.2.7" {
			t.Errorf("audit %d: %+v, want %s", i, a, want)
		}
	}
}

// TestOpen: without a login a loopback address is open to requests that name this machine, and any other is closed.
func TestOpen(t *testing.T) {
	t.Parallel()
	local, _ := listener(console.Access{Local: true})
	remote, _ := listener(console.Access{})
	for _, test := range []struct {
		handler http.Handler
		host    string
		status  int
		says    string
	}{
		{local, "127.0.0.1:9080", http.StatusOK, `"name":"local"`},
		{local, "[::1]:9080", http.StatusOK, `"role":"admin"`},
		{local, "localhost:9080", http.StatusOK, ""},
		{local, "afterchat.localhost", http.StatusOK, ""},
		{local, "evil.example:9080", http.StatusForbidden, "own address"},
		{local, "localhost.evil.example", http.StatusForbidden, "admin.password"},
		{remote, "127.0.0.1:9080", http.StatusForbidden, "admin.tokens"},
		{remote, "console.example", http.StatusForbidden, "loopback"},
	} {
		got := asked(t, test.handler, "GET", "/api/v1/status", func(r *http.Request) { r.Host = test.host })
		if got.Code != test.status || !strings.Contains(got.Body.String(), test.says) {
			t.Errorf("%s: %d %s, want %d %s", test.host, got.Code, got.Body, test.status, test.says)
		}
	}
	for _, site := range []string{"cross-site", "same-site"} {
		got := asked(t, local, "DELETE", "/api/v1/quarantine/q1", func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", site) })
		if got.Code != http.StatusForbidden || !strings.Contains(got.Body.String(), "another site") {
			t.Errorf("a change by a page that is %s: %d %s", site, got.Code, got.Body)
		}
	}
}

// TestProxy: headers are believed from the networks of the proxy alone.
func TestProxy(t *testing.T) {
	t.Parallel()
	networks := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
	fixed, q := listener(console.Access{Proxy: &console.Proxy{Header: "X-User", Networks: networks, Role: console.Operator}})
	named, _ := listener(console.Access{Proxy: &console.Proxy{Header: "X-User", Networks: networks, RoleHeader: "X-Role"}})
	for _, test := range []struct {
		handler          http.Handler
		from, user, role string
		method, path     string
		status           int
	}{
		{fixed, "10.1.2.3:1", "eve", "", "GET", "/api/v1/audit", http.StatusOK},
		{fixed, "[::ffff:10.1.2.3]:1", "eve", "", "DELETE", "/api/v1/quarantine/q1", http.StatusNoContent},
		{fixed, "10.1.2.3:1", "eve", "admin", "POST", "/-/reload", http.StatusForbidden},
		{fixed, "10.1.2.3:1", "", "", "GET", "/api/v1/audit", http.StatusUnauthorized},
		{fixed, "192.0.2.7:1", "eve", "", "GET", "/api/v1/audit", http.StatusUnauthorized},
		{named, "10.1.2.3:1", "eve", "admin", "POST", "/-/reload", http.StatusOK},
		{named, "10.1.2.3:1", "eve", "viewer", "GET", "/api/v1/audit", http.StatusForbidden},
		{named, "10.1.2.3:1", "eve", "root", "GET", "/api/v1/status", http.StatusForbidden},
		{named, "10.1.2.3:1", "eve", "", "GET", "/api/v1/status", http.StatusForbidden},
	} {
		got := asked(t, test.handler, test.method, test.path, func(r *http.Request) {
			r.RemoteAddr = test.from
			r.Header.Set("X-User", test.user)
			r.Header.Set("X-Role", test.role)
			r.Header.Set("X-Forwarded-For", "203.0.113.5, 198.51.100.9, 10.9.9.9")
		})
		if got.Code != test.status {
			t.Errorf("%+v: %d %s", test, got.Code, got.Body)
		}
	}
	if len(q.audited) != 1 || q.audited[0].Who != "eve" || q.audited[0].Address != "198.51.100.9" {
		t.Errorf("audit: %+v", q.audited)
	}
}

// password is a login with the password "open sesame".
func passwordAccess(key string) console.Access {
	return console.Access{Password: &console.Password{Matches: func(text string) bool { return text == "open sesame" }, Key: []byte(key)}}
}

// logIn posts the form.
func logIn(t *testing.T, h http.Handler, password, next, origin string) *httptest.ResponseRecorder {
	t.Helper()
	form := url.Values{"password": {password}, "next": {next}}.Encode()
	request := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/login", strings.NewReader(form))
	request.Host, request.RemoteAddr = "console.example", "192.0.2.7:4711"
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if origin != "" {
		request.Header.Set("Origin", origin)
	}
	recorder := httptest.NewRecorder()
	h.ServeHTTP(recorder, request)
	return recorder
}

// TestSession: a session lasts twelve hours and a restart, and not a change of the password; its cookie is kept from scripts
// and, over HTTPS, from everything but this host.
func TestSession(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h, q := listener(passwordAccess("hash one"))
		again, _ := listener(passwordAccess("hash one"))
		changed, _ := listener(passwordAccess("hash two"))
		for _, origin := range []string{"", "https://console.example"} {
			got := logIn(t, h, "open sesame", "/deliveries?state=dead", origin)
			cookies := got.Result().Cookies()
			if got.Code != http.StatusSeeOther || got.Header().Get("Location") != "/deliveries?state=dead" || len(cookies) != 1 {
				t.Fatalf("logging in: %d %v", got.Code, got.Header())
			}
			c := cookies[0]
			if secure := origin != ""; !c.HttpOnly || c.SameSite != http.SameSiteLaxMode || c.Path != "/" || c.Domain != "" || c.Secure != secure ||
				strings.HasPrefix(c.Name, "__Host-") != secure {
				t.Errorf("the cookie after %q: %+v", origin, c)
			}
			with := func(value string) func(*http.Request) {
				return func(r *http.Request) { r.AddCookie(&http.Cookie{Name: c.Name, Value: value}) }
			}
			for _, test := range []struct {
				handler http.Handler
				value   string
				status  int
			}{
				{h, c.Value, http.StatusOK},
				{again, c.Value, http.StatusOK},
				{changed, c.Value, http.StatusUnauthorized},
				{h, c.Value[:len(c.Value)-2] + "AA", http.StatusUnauthorized},
				{h, "B" + c.Value[1:], http.StatusUnauthorized}, // that ends later
				{h, "", http.StatusUnauthorized},
			} {
				if got := asked(t, test.handler, "GET", "/api/v1/audit", with(test.value)); got.Code != test.status {
					t.Errorf("with %q: %d, want %d", test.value, got.Code, test.status)
				}
			}
			time.Sleep(12*time.Hour + time.Second) //nolint:forbidigo // the clock of the test
			if got := asked(t, h, "GET", "/api/v1/audit", with(c.Value)); got.Code != http.StatusUnauthorized {
				t.Errorf("after twelve hours: %d", got.Code)
			}
		}
		if out := asked(t, h, "POST", "/logout", nil); out.Code != http.StatusSeeOther || !strings.Contains(out.Header().Get("Set-Cookie"), "Max-Age=0") {
			t.Errorf("logging out: %d %v", out.Code, out.Header())
		}
		if len(q.audited) != 2 || q.audited[0].Action != "login" {
			t.Errorf("audit: %+v", q.audited)
		}
	})
}

// TestGuesses: five tries at once, then one every twenty seconds; nobody is led to another site.
func TestGuesses(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h, _ := listener(passwordAccess("hash"))
		try := func(password, next string) string {
			return logIn(t, h, password, next, "").Header().Get("Location")
		}
		for range 5 {
			if got := try("guess", "/x"); got != "/login?error=wrong&next=%2Fx" {
				t.Fatalf("a guess: %s", got)
			}
		}
		if got := try("open sesame", "/"); got != "/login?error=wait&next=%2F" {
			t.Errorf("a sixth try: %s", got)
		}
		time.Sleep(20 * time.Second) //nolint:forbidigo // the clock of the test
		for _, next := range []string{"https://evil.example", "//evil.example", `/\evil.example`, ""} {
			if got := try("open sesame", next); got != "/" {
				t.Errorf("next %q leads to %s", next, got)
			}
			time.Sleep(20 * time.Second) //nolint:forbidigo // the clock of the test
		}
	})
}

// TestHeaders: every answer behind the login keeps a browser to our own.
func TestHeaders(t *testing.T) {
	t.Parallel()
	h, _ := listener(console.Access{Tokens: tokens()})
	for _, path := range []string{"/api/v1/status", "/api/v1/nowhere", "/-/config"} {
		got := asked(t, h, "GET", path, bearer(adminToken)).Header()
		for name, want := range map[string]string{
			"Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
			"X-Content-Type-Options":  "nosniff", "Cache-Control": "no-store",
		} {
			if got.Get(name) != want {
				t.Errorf("%s: %s is %q", path, name, got.Get(name))
			}
		}
	}
	first := asked(t, h, "GET", "/api/v1/audit", bearer(adminToken))
	second := asked(t, h, "GET", "/api/v1/audit", func(r *http.Request) {
		bearer(adminToken)(r)
		r.Header.Set("If-None-Match", `"other", `+first.Header().Get("ETag"))
	})
	if first.Code != http.StatusOK || second.Code != http.StatusNotModified || second.Body.Len() != 0 {
		t.Errorf("with the tag of the answer before: %d %d %s", first.Code, second.Code, second.Body)
	}
}

// TestWrongRequests: what cannot be understood is told, with what to do.
func TestWrongRequests(t *testing.T) {
	t.Parallel()
	h, _ := listener(console.Access{Tokens: tokens()})
	for _, test := range []struct{ method, path, body, says, hint string }{
		{"GET", "/conversations?stat=dead", "", `there is no parameter \"stat\"`, "did you mean state?"},
		{"GET", "/conversations?state=deed", "", "no state", "pending, delivered"},
		{"GET", "/conversations?limit=1000", "", "limit", "1 to 500"},
		{"GET", "/conversations?limit=1&limit=2", "", "twice", "once"},
		{"GET", "/conversations?q=foo:bar", "", "no field", "target, state"},
		{"GET", "/conversations/c1/revisions/one", "", "no number", "0 for the newest"},
		{"GET", "/deliveries/c1/help/request?with=tomorrow", "", "tomorrow", "today or then"},
		{"GET", "/series?kind=sauce", "", "sauce", "source or target"},
		{"GET", "/series?kind=source&step=90s", "", "90s", "whole minutes"},
		{"GET", "/series?kind=source&since=never", "", "never", "24h"},
		{"GET", "/targets/nobody", "", "nobody", "lists them"},
		{"POST", "/replays", `{"q":"state:pending"}`, "only dead", "leave out"},
		{"POST", "/replays", `{"q":"is:unrouted"}`, "unrouted", "route"},
		{"POST", "/replays", `{"per_second":-1}`, "per_second", "0 to"},
		{"POST", "/replays", `{"rate":1}`, "unknown field", "openapi.json"},
		{"POST", "/replays", `{} {}`, "something follows", "one JSON object"},
		{"POST", "/explain", `{"payload":{}}`, "no gateway runs", "afterchat serve"},
		{"POST", "/targets/help/pause", ``, "no gateway runs", "afterchat serve"},
		{"GET", "/nowhere", "", "no such path", "openapi.json"},
	} {
		request := httptest.NewRequestWithContext(t.Context(), test.method, "/api/v1"+test.path, strings.NewReader(test.body))
		bearer(adminToken)(request)
		got := httptest.NewRecorder()
		h.ServeHTTP(got, request)
		if body := got.Body.String(); got.Code < 400 || got.Code >= 600 || got.Code == 500 || !strings.Contains(body, test.says) || !strings.Contains(body, test.hint) ||
			got.Header().Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s %s %s: %d %s", test.method, test.path, test.body, got.Code, body)
		}
	}
}

// TestDescription: the description has every path of the API that is answered, and none that is not.
func TestDescription(t *testing.T) {
	t.Parallel()
	h, _ := listener(console.Access{Tokens: tokens()})
	var described struct {
		OpenAPI string `json:"openapi"`
		Paths   map[string]map[string]struct {
			ID   string `json:"operationId"`
			Role string `json:"x-role"`
		}
	}
	if err := json.Unmarshal(asked(t, h, "GET", "/api/v1/openapi.json", bearer(viewerToken)).Body.Bytes(), &described); err != nil {
		t.Fatal(err)
	}
	var in, answered, ids []string
	for path, operations := range described.Paths {
		for method, o := range operations {
			in, ids = append(in, strings.ToUpper(method)+" /api/v1"+path), append(ids, o.ID)
			if o.Role != "viewer" && o.Role != "operator" && o.Role != "admin" {
				t.Errorf("%s %s is for %q", method, path, o.Role)
			}
		}
	}
	parameter := regexp.MustCompile(`:(\w+)`)
	for _, route := range h.(*echo.Echo).Routes() {
		if strings.HasPrefix(route.Path, "/api/") && route.Method != echo.RouteNotFound {
			answered = append(answered, route.Method+" "+parameter.ReplaceAllString(route.Path, "{$1}"))
		}
	}
	slices.Sort(in)
	slices.Sort(answered)
	if diff := cmp.Diff(answered, in); diff != "" || described.OpenAPI != "3.1.0" {
		t.Errorf("OpenAPI %s (-answered +described):\n%s", described.OpenAPI, diff)
	}
	slices.Sort(ids)
	if len(slices.Compact(ids)) != len(in) {
		t.Error("two operations have the same id")
	}
}
