// This file holds the canary test: a configuration with a secret in every place that can hold one, every command and
// every page of a gateway that runs with it, targets that answer with errors which repeat the whole request; and not one
// of the secrets is in anything that comes out, in whatever way it could be written.

package cmd_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/afterchat/afterchat/cmd"
	"github.com/afterchat/afterchat/config"
	"github.com/afterchat/afterchat/config/password"
	"github.com/afterchat/afterchat/config/secret"
	"github.com/afterchat/afterchat/connectors/builtin"
	"github.com/afterchat/afterchat/internal/gateway"
)

// canaries hands out secrets. Each has a core of 24 letters that stand nowhere else, so that it is recognized whatever
// is escaped around it.
type canaries map[string]string // core to place

// plain is a secret for a place where only some characters may stand.
func (c canaries) plain(place string) string {
	digest := sha256.Sum256([]byte(place))
	core := strings.Map(func(r rune) rune { // letters only: no length, no number, no id looks like it
		if r >= '0' && r <= '9' {
			return 'Q' + r - '0'
		}
		return r
	}, hex.EncodeToString(digest[:12]))
	c[core] = place
	return core
}

// odd is a secret with characters that JSON, addresses and HTML escape.
func (c canaries) odd(place string) string { return "+/=&\"<" + c.plain(place) + ">%'?" }

// found returns the places whose secrets stand in a text: whole or one half of them, as they are, in hexadecimal, in
// base64 at any alignment.
func (c canaries) found(text string) []string {
	var places []string
	for core, place := range c {
		forms := []string{core, core[:12], core[12:], hex.EncodeToString([]byte(core)), strings.ToUpper(core)}
		for _, encoding := range []*base64.Encoding{base64.StdEncoding, base64.URLEncoding} {
			for shift := range 3 {
				encoded := encoding.EncodeToString([]byte(strings.Repeat("x", shift) + core + "xxx"))
				forms = append(forms, encoded[4:28]) // what does not depend on its neighbors
			}
		}
		if slices.ContainsFunc(forms, func(form string) bool { return strings.Contains(text, form) }) {
			places = append(places, place)
		}
	}
	slices.Sort(places)
	return places
}

// TestCanariesAreFound: the search of the test below finds what it has to find.
func TestCanariesAreFound(t *testing.T) {
	t.Parallel()
	all := canaries{}
	s := all.odd("here")
	all.plain("elsewhere")
	for _, text := range []string{
		s, "x" + s + "x", url.QueryEscape(s), url.PathEscape(s), strconv.Quote(s), hex.EncodeToString([]byte(s)),
		base64.StdEncoding.EncodeToString([]byte(s)), base64.StdEncoding.EncodeToString([]byte("u:" + s)),
		base64.URLEncoding.EncodeToString([]byte("us:" + s)), base64.RawStdEncoding.EncodeToString([]byte("use:" + s)),
		s[:18], s[18:],
	} {
		if got := all.found(text); !slices.Equal(got, []string{"here"}) {
			t.Errorf("%q: found %v", text, got)
		}
	}
	if got := all.found("nothing of the kind"); got != nil {
		t.Errorf("found %v", got)
	}
}

// parrot is a target that refuses everything and repeats the request in its answer: address, headers and body.
type parrot struct {
	*httptest.Server
	extra string // what its answers hold besides: a token that it has given out

	mu     sync.Mutex
	status map[string]int // requests so far by the first part of the path
	read   strings.Builder
}

// statuses are its answers, one after the other.
var statuses = []int{
	http.StatusInternalServerError, http.StatusBadRequest, http.StatusNotFound, http.StatusUnprocessableEntity, http.StatusConflict,
	http.StatusFound, http.StatusTooManyRequests, http.StatusForbidden, http.StatusUnauthorized,
}

func newParrot(t *testing.T, access string) *parrot {
	t.Helper()
	p := &parrot{status: map[string]int{}, extra: access}
	p.Server = httptest.NewServer(p)
	t.Cleanup(p.Close)
	return p
}

func (p *parrot) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	p.mu.Lock()
	n := p.status[r.Host]
	p.status[r.Host]++
	_, _ = fmt.Fprintf(&p.read, "%s\n", body)
	p.mu.Unlock()
	if strings.HasPrefix(r.URL.Path, "/oauth/tokens") && n%3 != 0 {
		w.Header().Set("Content-Type", "application/json")
		_, _ = fmt.Fprintf(w, `{"access_token": %q, "token_type": "bearer", "scope": "read write", "expires_in": 1800}`, p.extra)
		return
	}
	said := fmt.Sprintf("%s %s %v %s", r.Method, r.URL, r.Header, body)
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Location", "https://elsewhere.example"+r.URL.String())
	w.Header().Set("X-Request-Id", r.Header.Get("Authorization"))
	w.WriteHeader(statuses[n%len(statuses)])
	_, _ = fmt.Fprintf(w, `{"error": %q, "message": %q, "description": %q, "details": {"base": [{"description": %q}]}, "errors": [{"message": %q}]}`,
		said, said, said, said, said)
}

// bodies returns what was in all requests.
func (p *parrot) bodies() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.read.String()
}

func (p *parrot) requests() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := 0
	for _, m := range p.status {
		n += m
	}
	return n
}

// cage is a folder with a configuration full of canaries.
type cage struct {
	t       *testing.T
	all     canaries
	folder  string
	env     []string
	literal string // the configuration with every secret written out
	admin   string // token of the API
	targets []string
	parrots map[string]*parrot
	mu      sync.Mutex
	said    map[string]string // what came out, by what was asked
}

// newCage writes the files: one configuration whose secrets come from variables and files, as they should, and one in
// which they are written out.
func newCage(t *testing.T) *cage {
	t.Helper()
	c := &cage{t: t, all: canaries{}, folder: t.TempDir(), parrots: map[string]*parrot{}, said: map[string]string{}}
	c.admin = c.all.plain("token of the API")
	access := c.all.plain("access token that Zendesk gives")
	for _, name := range []string{"hook", "basic", "signed", "standard", "desk", "legacy", "crm"} {
		c.targets = append(c.targets, name)
		c.parrots[name] = newParrot(t, access)
	}
	values := map[string]string{}
	put := func(name, value string) string {
		values[name] = value
		return "@@" + name + "@@"
	}
	text := `version: 1
server: {listen: 127.0.0.1:0}
admin:
  listen: 127.0.0.1:0
  pprof: true
  password: ` + put("CONSOLE", c.hash()) + `
  tokens:
    - {name: canary test, role: admin, token: ` + put("ADMIN", c.admin) + `}
log: {level: debug}
ledger: {url: sqlite:ledger.db}
sources:
  shop:
    type: smartsupp
    secret:
      - ` + put("SHOP", c.all.plain("secret of a source")) + `
      - ` + put("SHOP_OLD", c.all.plain("second secret of a source")) + `
  open:
    type: proprofs
    time_zone: Europe/Prague
    secret: ` + put("OPEN", c.all.plain("secret beside basic")) + `
    basic: {user: desk, password: ` + put("BASIC", c.all.odd("basic password of a source")) + `}
  signed:
    type: smartsupp
    hmac: {header: X-Signature, secret: ` + put("HMAC", c.all.odd("hmac secret of a source")) + `}
targets:
  hook:
    type: http
    url: ` + put("HOOK", c.parrots["hook"].URL+"/services/"+c.all.plain("path of a webhook")+"?key="+c.all.plain("query of a webhook")) + `
    headers: {X-Api-Key: ` + put("HEADER", c.all.odd("header")) + `}
    auth: {bearer: ` + put("BEARER", c.all.odd("bearer token")) + `}
    check: {path: /health}
  basic:
    type: http
    url: ` + c.parrots["basic"].URL + `/api
    once: lookup
    receipt: {id: /id}
    auth: {basic: {user: afterchat, password: ` + put("PASSWORD", c.all.odd("basic password of a target")) + `}}
    check: {}
  signed:
    type: http
    url: ` + c.parrots["signed"].URL + `
    auth: {hmac: {secret: ` + put("SIGN", c.all.odd("hmac secret of a target")) + `, header: X-Signature}}
  standard:
    type: http
    url: ` + c.parrots["standard"].URL + `
    auth:
      hmac:
        secret: ` + put("WHSEC", "whsec_"+base64.StdEncoding.EncodeToString([]byte(c.all.plain("standard webhooks")))) + `
  desk:
    type: zendesk
    url: ` + c.parrots["desk"].URL + `
    oauth: {client_id: afterchat, client_secret: ` + put("OAUTH", c.all.odd("oauth secret")) + `}
    mode: import
  legacy:
    type: zendesk
    url: ` + c.parrots["legacy"].URL + `
    email: bot@acme.example
    token: ` + put("LEGACY", c.all.plain("legacy token")) + `
  crm:
    type: hubspot
    url: ` + c.parrots["crm"].URL + `
    token: ` + put("CRM", c.all.plain("hubspot token")) + `
    ticket: {pipeline: 0, stage: 1}
lookups:
  group: {acme: 1}
redact:
  cards: {find: card}
routes:
  - name: asked
    from: [shop, open, signed]
    when: visitor.email != "" and lookup("group", brand) == nil
    to: {hook: {redact: [cards]}, basic: {body: {text: '${transcript.text}'}, path: [items], lookup: {path: [search], query: {q: '${id}'}}}}
  - name: everything
    to: [hook, signed, standard, desk, legacy, crm]
tests:
  - {name: passes, source: shop, sample: hook.json}
  - {name: fails, source: shop, sample: hook.json, expect: {routes: [asked], hook.body.brand: none, crm.email: nobody}}
`
	c.literal = text
	references := text
	for name, value := range values {
		quoted := "'" + strings.ReplaceAll(value, "'", "''") + "'"
		c.literal = strings.ReplaceAll(c.literal, "@@"+name+"@@", quoted)
		switch len(name) % 3 { // each in another way
		case 0:
			c.write(name+".secret", value+"\n")
			references = strings.ReplaceAll(references, "@@"+name+"@@", `'${file("`+name+`.secret")}'`)
		case 1:
			references = strings.ReplaceAll(references, "@@"+name+"@@", "'${env.CANARY_"+name+"}'")
			c.env = append(c.env, "CANARY_"+name+"="+value)
		default:
			references = strings.ReplaceAll(references, "@@"+name+"@@", "${env.CANARY_"+name+` ?? "never"}`)
			c.env = append(c.env, "CANARY_"+name+"="+value)
		}
	}
	references = regexp.MustCompile(`(: |- )(\$\{env\.CANARY_\w+ \?\? "never"\})`).ReplaceAllString(references, "$1'$2'")
	c.write("afterchat.yaml", references)
	c.write("literal.yaml", c.literal)
	postgres := "postgres://afterchat:" + url.PathEscape(c.all.odd("password of the ledger")) + "@127.0.0.1:1/chats?sslmode=disable"
	c.write("postgres.yaml", strings.Replace(c.literal, "sqlite:ledger.db", "'"+postgres+"'", 1))
	sample, err := os.ReadFile("../config/examples/samples/bad-rating.json")
	if err != nil {
		t.Fatal(err)
	}
	c.write("hook.json", string(sample))
	return c
}

// hash returns the hash of a password, which is a secret itself.
func (c *cage) hash() string {
	hash := password.Hash(c.all.odd("password of the console"))
	c.all[hash[len(hash)-24:]] = "hash of the password of the console"
	return hash
}

func (c *cage) write(name, text string) {
	c.t.Helper()
	if err := os.WriteFile(filepath.Join(c.folder, name), []byte(text), 0o600); err != nil {
		c.t.Fatal(err)
	}
}

// heard notes what came out.
func (c *cage) heard(what, text string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.said[what] += text
}

// command makes one that runs in the folder, with the variables.
func (c *cage) command(ctx context.Context, args ...string) *exec.Cmd {
	command := exec.CommandContext(ctx, "afterchat", args...)
	command.Dir = c.folder
	command.Env = append(os.Environ(), c.env...)
	return command
}

// run runs a command to its end. Its exit code does not matter, but it must have said something.
func (c *cage) run(args ...string) {
	c.t.Helper()
	what := strings.Join(args, " ")
	ctx, cancel := context.WithTimeout(c.t.Context(), time.Minute)
	defer cancel()
	out, err := c.command(ctx, args...).CombinedOutput()
	if _, exited := errors.AsType[*exec.ExitError](err); err != nil && !exited {
		c.t.Fatalf("%s: %v", what, err)
	}
	if len(out) == 0 || bytes.Contains(out, []byte("unknown flag")) || bytes.Contains(out, []byte("unexpected argument")) {
		c.t.Errorf("%s said %q", what, out)
	}
	c.heard(what, string(out))
}

// judge fails the test for each canary in what came out.
func (c *cage) judge() {
	c.t.Helper()
	for _, what := range slices.Sorted(maps.Keys(c.said)) {
		if places := c.all.found(c.said[what]); len(places) > 0 {
			c.t.Errorf("%s shows %s:\n%s", what, strings.Join(places, ", "), c.around(c.said[what]))
		}
	}
}

// around returns the lines with canaries.
func (c *cage) around(text string) string {
	var out []string
	for line := range strings.SplitSeq(text, "\n") {
		if len(c.all.found(line)) > 0 && len(out) < 5 {
			out = append(out, strconv.QuoteToASCII(line[:min(len(line), 1500)]))
		}
	}
	return strings.Join(out, "\n")
}

func TestNoCommandShowsASecret(t *testing.T) {
	t.Parallel()
	c := newCage(t)
	for _, config := range []string{"afterchat.yaml", "literal.yaml", "postgres.yaml"} {
		for _, format := range []string{"text", "json", "github"} {
			c.run("check", "-c", config, "--format", format)
		}
		c.run("config", "print", "-c", config)
		c.run("explain", "-c", config, "--source", "shop", "hook.json")
		c.run("explain", "-c", config, "--source", "signed", "--full", "hook.json")
		c.run("explain", "-c", config, "--source", "shop", "--format", "json", "hook.json")
		c.run("test", "-c", config, "--junit", "junit.xml")
		c.run("test", "-c", config, "--format", "json")
		c.run("ledger", "verify", "-c", config)
		c.run("health", "-c", config, "--url", "http://127.0.0.1:1/readyz")
		c.run("send", "-c", config, "--source", "open", "--url", "http://127.0.0.1:1", "hook.json")
	}
	for _, args := range [][]string{{"schema"}, {"connectors"}, {"version"}, {"explain", "--source", "shp", "hook.json"}, {"send", "--target", "hok"}} {
		c.run(args...)
	}
	for _, name := range []string{"file", "http", "hubspot", "zendesk"} {
		c.run("connectors", name)
	}
	c.run("check", "--live")
	c.run("check", "--live", "--format", "json", "-c", "literal.yaml")
	c.run("check", "--live", "--format", "github")
	for _, target := range c.targets {
		for range 3 { // statuses differ
			c.run("send", "--target", target)
		}
	}
	c.operate()
	c.covered()
	junit, err := os.ReadFile(filepath.Join(c.folder, "junit.xml"))
	if err != nil {
		t.Fatal(err)
	}
	c.heard("junit.xml", string(junit))
	if !strings.Contains(c.said["check -c afterchat.yaml --format text"], "fine (3 sources, 7 targets") {
		t.Errorf("the configuration has mistakes:\n%s", c.said["check -c afterchat.yaml --format text"])
	}
	c.judge()
}

// operate runs the commands that change what is stored, without a gateway, on the ledger itself.
func (c *cage) operate() {
	c.t.Helper()
	c.write("alone.yaml", strings.NewReplacer("admin:\n  listen: 127.0.0.1:0", "admin:\n  listen: 127.0.0.1:1", "ledger.db", "alone.db").Replace(c.literal))
	run := func(args ...string) { c.t.Helper(); c.run(append(args, "-c", "alone.yaml")...) }
	run("ledger", "migrate")
	run("import", "--source", "shop", "hook.json")
	run("deliveries", "list")
	id := regexp.MustCompile(`\bc[0-9a-z]{26}\b`).FindString(c.said["deliveries list -c alone.yaml"])
	if id == "" {
		c.t.Fatalf("nothing was imported: %v, %v", c.said["import --source shop hook.json -c alone.yaml"], c.said["deliveries list -c alone.yaml"])
	}
	for _, format := range []string{"text", "json"} {
		run("deliveries", "show", id, "hook", "--format", format)
		run("deliveries", "show", id, "hook", "--request", "--format", format)
		run("deliveries", "list", "--format", format)
		run("deliveries", "list", "--failures", "--format", format)
	}
	run("deliveries", "cancel", id, "hook")
	run("deliveries", "replay", id, "hook")
	run("deliveries", "drop", id, "hook")
	run("deliveries", "cancel", id, "desk")
	run("replay", "start", "--dry-run")
	run("replay", "start", "--yes")
	run("replay", "list")
	run("replay", "cancel", "nothing")
	run("ledger", "backup", "alone-backup.db")
	run("ledger", "restored")
	run("ledger", "repair")
	run("ledger", "copy", "--to", "postgres://afterchat:"+url.PathEscape(c.all.odd("password of another ledger"))+"@127.0.0.1:1/chats?sslmode=disable")
	run("ledger", "verify")
	c.run("init", "--source", "smartsupp", "--target", "http", "-o", "new.yaml")
	c.run("config", "password") // nothing is typed
	for what, text := range c.said {
		if strings.HasPrefix(what, "deliveries cancel") && strings.Contains(text, "afterchat: ") {
			c.t.Errorf("%s: %s", what, text)
		}
	}
}

// covered fails the test for each command that was not run.
func (c *cage) covered() {
	c.t.Helper()
	leaves, err := cmd.Leaves()
	if err != nil || len(leaves) < 20 {
		c.t.Fatalf("%v, %v", leaves, err)
	}
	elsewhere := map[string]string{"serve": "TestNoGatewayShowsASecret", "demo": "it reads no configuration"}
	for _, leaf := range leaves {
		ran := func(what string) bool { return what == leaf || strings.HasPrefix(what, leaf+" ") }
		if elsewhere[leaf] == "" && !slices.ContainsFunc(slices.Collect(maps.Keys(c.said)), ran) {
			c.t.Errorf("afterchat %s was not looked at", leaf)
		}
	}
}

func TestNoGatewayShowsASecret(t *testing.T) {
	t.Parallel()
	c := newCage(t)
	var log bytes.Buffer
	var turn sync.Mutex
	serve := c.command(t.Context(), "serve")
	collector := newParrot(t, "")
	serve.Env = append(serve.Env, "OTEL_EXPORTER_OTLP_ENDPOINT="+collector.URL+"/"+c.all.plain("path of a collector"),
		"OTEL_EXPORTER_OTLP_HEADERS=api-key="+url.QueryEscape(c.all.odd("header of a collector")))
	serve.Stdout, serve.Stderr = &lockedWriter{mu: &turn, to: &log}, &lockedWriter{mu: &turn, to: &log}
	if err := serve.Start(); err != nil {
		t.Fatal(err)
	}
	logged := func() string { turn.Lock(); defer turn.Unlock(); return log.String() }
	started := regexp.MustCompile(`msg=started .*hooks=(\S+) admin=(\S+)`)
	var addresses []string
	eventually(t, time.Minute, func() error {
		if addresses = started.FindStringSubmatch(logged()); addresses == nil {
			return fmt.Errorf("not started:\n%s", logged())
		}
		return nil
	})
	hooks, admin := "http://"+addresses[1], "http://"+addresses[2]
	sample, err := os.ReadFile(filepath.Join(c.folder, "hook.json"))
	if err != nil {
		t.Fatal(err)
	}
	// Each conversation meets other answers of the targets.
	for i := range 8 {
		name := fmt.Sprintf("hook-%d.json", i)
		c.write(name, regexp.MustCompile(`"id": \d+`).ReplaceAllString(string(sample), fmt.Sprintf(`"id": %d`, 5000+i)))
		c.run("send", "--source", []string{"shop", "signed"}[i%2], "--url", hooks, name)
	}
	c.run("send", "--source", "open", "--url", hooks, "hook.json")
	for _, path := range []string{"/in/shop", "/in/shop/wrong", "/in/open", "/in/signed", "/nowhere"} {
		c.ask(http.MethodPost, hooks+path, string(sample))
		c.ask(http.MethodGet, hooks+path, "")
	}
	eventually(t, 60*time.Second, func() error {
		for name, p := range c.parrots {
			if n := p.requests(); n < 4 {
				return fmt.Errorf("%s got %d requests\n%s", name, n, logged())
			}
		}
		return nil
	})
	c.run("health", "--url", admin+"/readyz")
	c.run("ledger", "verify")
	c.env = append(c.env, "AFTERCHAT_TOKEN="+c.admin)
	for _, args := range [][]string{{"deliveries", "list", "--format", "json"}, {"deliveries", "list", "--failures"}, {"replay", "start", "--dry-run"}, {"replay", "list"}} {
		c.run(append(args, "--url", admin)...)
	}
	c.pages(admin)
	// A broken file, with mistakes at every secret.
	right, err := os.ReadFile(filepath.Join(c.folder, "afterchat.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	c.write("afterchat.yaml", strings.NewReplacer("secret:", "secrt:", "token:", "tokn:", "url:", "ulr:", "bearer:", "baerer:", "password:", "pasword:").Replace(c.literal))
	c.ask(http.MethodPost, admin+"/-/reload", "")
	c.ask(http.MethodPost, admin+"/login", "password="+url.QueryEscape(c.all.odd("password of the console")))
	c.pages(admin)
	c.write("afterchat.yaml", c.literal[:strings.Index(c.literal, "    headers:")]+"    headers: {X-Api-Key: '"+c.all.odd("header of a broken file")+"\n")
	c.ask(http.MethodPost, admin+"/-/reload", "")
	c.pages(admin)
	c.write("afterchat.yaml", string(right))
	c.ask(http.MethodPost, admin+"/-/reload", "")
	c.pages(admin)
	if err := serve.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	_ = serve.Wait()
	c.heard("what was traced", collector.bodies())
	if !strings.Contains(c.said["what was traced"], "resourceSpans") {
		t.Errorf("nothing was traced: %s", c.said["what was traced"])
	}
	c.run("ledger", "backup", "backup.db")
	c.heard("the log", logged())
	files, err := filepath.Glob(filepath.Join(c.folder, "*.db*"))
	if err != nil || len(files) < 2 {
		t.Fatalf("the ledger's files: %v, %v", files, err)
	}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		c.heard(filepath.Base(file), string(content))
	}
	for _, name := range c.targets { // the log tells of every target, so the search searched something
		if !strings.Contains(c.said["the log"], "target="+name) {
			t.Errorf("the log does not tell of %s", name)
		}
	}
	if !strings.Contains(c.said["POST /-/reload"], "422") || !strings.Contains(c.said["POST /-/reload"], "200") {
		t.Errorf("reloads: %s", c.said["POST /-/reload"])
	}
	c.judge()
}

// ask asks a listener and notes status, headers and body.
func (c *cage) ask(method, address, body string) string {
	c.t.Helper()
	request, err := http.NewRequestWithContext(c.t.Context(), method, address, strings.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+c.admin)
	client := http.Client{Timeout: time.Minute}
	answer, err := client.Do(request)
	if err != nil {
		c.t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(answer.Body, 16<<20))
	if err != nil {
		c.t.Fatal(err)
	}
	c.heard(method+" "+request.URL.Path, fmt.Sprintf("%s\n%v\n%s\n", answer.Status, answer.Header, text))
	return string(text)
}

// links are the addresses of the same server in a page or in JSON.
var links = regexp.MustCompile(`(?:href=|src=|action=|"url":\s*)"(/[^"#]*)"`)

// pages asks for everything that the admin listener shows, and for what its pages lead to.
func (c *cage) pages(admin string) {
	c.t.Helper()
	left := []string{
		"/", "/metrics", "/healthz", "/readyz", "/-/config", "/api/v1", "/api/v1/config", "/api/v1/status", "/api/v1/targets", "/api/v1/sources",
		"/api/v1/conversations", "/api/v1/deliveries", "/api/v1/attempts", "/api/v1/quarantine", "/debug/pprof/cmdline",
	}
	seen := map[string]bool{}
	for len(left) > 0 && len(seen) < 150 {
		path := left[0]
		left = left[1:]
		if seen[path] {
			continue
		}
		seen[path] = true
		for _, m := range links.FindAllStringSubmatch(c.ask(http.MethodGet, admin+path, ""), -1) {
			left = append(left, strings.ReplaceAll(m[1], "&amp;", "&"))
		}
	}
}

// TestEveryPlaceHasACanary: each setting that is a secret is set in the cage, so that a new one is looked for, too.
func TestEveryPlaceHasACanary(t *testing.T) {
	t.Parallel()
	c := newCage(t)
	known := config.Known{Targets: builtin.Types(), Sources: gateway.SourceTypes()}
	cfg, err := config.Parse(filepath.Join(c.folder, "literal.yaml"), []byte(c.literal), known, config.Environment{})
	if err != nil {
		t.Fatal(err)
	}
	given := map[string]bool{}
	secretsIn(reflect.ValueOf(cfg.Admin), given, false)
	secretsIn(reflect.ValueOf(cfg.Sources), given, false)
	there := map[string]bool{}
	secretsIn(reflect.ValueOf(config.Config{}.Admin), there, true)
	secretsIn(reflect.ValueOf(config.Source{}), there, true)
	for _, target := range cfg.Targets {
		secretsIn(reflect.ValueOf(target.Settings), given, false)
	}
	for _, typ := range builtin.Types() {
		secretsIn(reflect.ValueOf(typ.Settings()), there, true)
	}
	if len(there) < 12 {
		t.Errorf("only %d places", len(there))
	}
	for place := range there {
		if !given[place] {
			t.Errorf("%s has no canary", place)
		}
	}
}

// secretsIn notes the fields that are secrets: those that are set, or all that there are.
func secretsIn(v reflect.Value, into map[string]bool, all bool) {
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() && all {
			v = reflect.New(v.Type().Elem())
		}
		if !v.IsNil() {
			secretsIn(v.Elem(), into, all)
		}
	case reflect.Slice:
		if all {
			secretsIn(reflect.New(v.Type().Elem()).Elem(), into, all)
		}
		for i := range v.Len() {
			secretsIn(v.Index(i), into, all)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			f, place := v.Field(i), v.Type().String()+"."+v.Type().Field(i).Name
			s, isSecret := reflect.TypeAssert[secret.String](f)
			list, isList := reflect.TypeAssert[[]secret.String](f)
			table, isTable := reflect.TypeAssert[map[string]secret.String](f)
			switch {
			case isSecret || isList || isTable:
				if all || !s.IsZero() || len(list) > 0 || len(table) > 0 {
					into[place] = true
				}
			case v.Type().Field(i).IsExported():
				secretsIn(f, into, all)
			}
		}
	}
}

// TestNoMistakeShowsASecret: every line of a file with secrets in it is spoiled in the ways in which people spoil lines,
// and whatever check says then holds none.
func TestNoMistakeShowsASecret(t *testing.T) {
	t.Parallel()
	c := newCage(t)
	known := config.Known{Targets: builtin.Types(), Sources: gateway.SourceTypes()}
	value := regexp.MustCompile(`:( +)('[^\n]*')(\}*)$`)
	spoils := map[string]func(line string) string{
		"no first quote": func(l string) string { return strings.Replace(l, "'", "", 1) },
		"no last quote": func(l string) string {
			i := strings.LastIndex(l, "'")
			return l[:max(i, 0)] + l[max(i, 0)+min(1, len(l)-max(i, 0)):]
		},
		"no quotes":       func(l string) string { return strings.ReplaceAll(l, "'", "") },
		"double quotes":   func(l string) string { return strings.ReplaceAll(l, "'", `"`) },
		"a letter less":   func(l string) string { return regexp.MustCompile(`\w(\w\w+):`).ReplaceAllString(l, "$1:") },
		"no colon":        func(l string) string { return strings.Replace(l, ":", "", 1) },
		"no space":        func(l string) string { return strings.Replace(l, ": ", ":", 1) },
		"a list":          func(l string) string { return value.ReplaceAllString(l, ":$1[$2, $2]$3") },
		"a mapping":       func(l string) string { return value.ReplaceAllString(l, ":$1{value: $2}$3") },
		"a tag":           func(l string) string { return value.ReplaceAllString(l, ":$1!$2$3") },
		"twice":           func(l string) string { return l + "\n" + l },
		"further in":      func(l string) string { return " " + l },
		"a tab":           func(l string) string { return "\t" + l },
		"an open bracket": func(l string) string { return strings.Replace(l, "'", "['", 1) },
		"an open brace":   func(l string) string { return l + "{" },
		"more behind":     func(l string) string { return l + " more" },
		"a colon behind":  func(l string) string { return strings.ReplaceAll(l, "'", "") + ": x" },
		"a reference":     func(l string) string { return strings.Replace(l, "'", "'${env.NONE}", 1) },
		"another key":     func(l string) string { return regexp.MustCompile(`(\w+): '`).ReplaceAllString(l, "my_$1_2: '") },
		"an unknown file": func(l string) string { return strings.Replace(l, "'", `'${file("none")}`, 1) },
		"an alias":        func(l string) string { return strings.Replace(l, "'", "*", 1) },
		"a secret before": func(l string) string { return strings.Replace(l, ": ", ": 'x' ", 1) },
	}
	lines := strings.Split(c.literal, "\n")
	mistakes := 0
	for i, line := range lines {
		if len(c.all.found(line)) == 0 && !strings.Contains(line, "whsec_") {
			continue
		}
		for how, spoil := range spoils {
			text := strings.Join(slices.Concat(lines[:i], []string{spoil(line)}, lines[i+1:]), "\n")
			_, err := config.Parse(filepath.Join(c.folder, "spoiled.yaml"), []byte(text), known, config.Environment{})
			problems, ok := errors.AsType[config.Problems](err)
			if !ok {
				continue // it is fine all the same
			}
			mistakes++
			var out bytes.Buffer
			for _, format := range []string{"text", "json", "github"} {
				if err := problems.Write(&out, format); err != nil {
					t.Fatal(err)
				}
			}
			c.heard(fmt.Sprintf("line %d, %s", i+1, how), out.String()+problems.Error())
		}
	}
	if mistakes < 150 {
		t.Errorf("only %d files with mistakes", mistakes)
	}
	c.judge()
}
