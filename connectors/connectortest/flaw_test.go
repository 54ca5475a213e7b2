// This file tests the suite: it must pass a sound connector and catch each flaw by the rule that is meant for it.

package connectortest_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/afterchat/afterchat/config/secret"
	"github.com/afterchat/afterchat/connectors"
	"github.com/afterchat/afterchat/connectors/connectortest"
)

// flaws name a mistake and the rule that catches it.
var flaws = map[string]string{
	"opens with I/O":            "opening does no I/O",
	"changes the fields":        "a push makes one object",
	"creates two":               "a push makes one object",
	"random bytes":              "the same record is the same bytes",
	"does not look":             "a lost answer leaves one object",
	"never updates":             "a revision updates",
	"rejects an ended context":  "an ended context is noticed",
	"500 is final":              "statuses are classified",
	"401 is temporary":          "statuses are classified",
	"no hint":                   "statuses are classified",
	"prints the answer":         "statuses are classified",
	"logs the token":            "a push makes one object",
	"drops Retry-After":         "a throttling target says when",
	"repeats when throttled":    "a throttling target says when",
	"dial is uncertain":         "a failed dial is certain",
	"reset is rejected":         "a lost connection is uncertain",
	"ignores the context":       "a hanging target is given up",
	"bare deadline":             "a hanging target is given up",
	"everything is certain":     "one object whatever fails",
	"check always passes":       "check tells what is wrong",
	"check never passes":        "check passes",
	"setting without doc":       "settings are declared",
	"warns without a hint":      "settings are declared",
	"camel case":                "fields are declared",
	"maps what is not declared": "the default mapping fits",
	"short README":              "README.md names everything",
	"no canary":                 "secrets hold the canary",
	"pushes one by one, badly":  "pushes run at once",
	"previews something else":   "a preview is what is sent",
	"previews too much":         "a preview is what is sent",
	"previews the token":        "a preview is what is sent",
	"previews by sending":       "a preview is what is sent",
}

// flawVariable selects the connector that TestFlawed tests: "none" is the sound one.
const flawVariable = "AFTERCHAT_TEST_FLAW"

func TestSound(t *testing.T) {
	t.Parallel()
	runSuite(t, "none")
}

// TestFlawed fails on purpose, and only when TestFlaws starts it.
func TestFlawed(t *testing.T) {
	flaw, ok := os.LookupEnv(flawVariable)
	if !ok {
		t.Skip("started by TestFlaws")
	}
	runSuite(t, flaw)
}

func TestFlaws(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("starts a process for each flaw")
	}
	for flaw, rule := range flaws {
		t.Run(flaw, func(t *testing.T) {
			t.Parallel()
			cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestFlawed$/^"+strings.ReplaceAll(rule, " ", "_")+"$")
			cmd.Env = append(os.Environ(), flawVariable+"="+flaw)
			out, err := cmd.CombinedOutput()
			if want := "--- FAIL: TestFlawed/" + strings.ReplaceAll(rule, " ", "_"); err == nil || !strings.Contains(string(out), want) {
				t.Errorf("the rule %q did not catch it: %v\n%s", rule, err, out)
			}
		})
	}
}

type settings struct {
	Address string        `yaml:"address" doc:"where it is"`
	Token   secret.String `yaml:"token" doc:"API token"`
}

type badSettings struct {
	Address string        `yaml:"address"`
	Token   secret.String `yaml:"token" doc:"API token"`
}

func runSuite(t *testing.T, flaw string) {
	t.Helper()
	folder := t.TempDir()
	readme := "`address` `token` `title` `camelCase`"
	if flaw == "short README" {
		readme = "`address` `title`"
	}
	write(t, filepath.Join(folder, "README.md"), readme)
	token := connectortest.Canary
	if flaw == "no canary" {
		token = "token"
	}
	suite := connectortest.Suite{
		Type: define[settings](flaw), Folder: folder,
		Record: func(n, revision int) map[string]any {
			return map[string]any{"title": fmt.Sprintf("chat %d, revision %d", n, revision)}
		},
		Open: func(*testing.T) connectortest.Target {
			v := &vendor{objects: map[string]string{}}
			return connectortest.Target{Settings: &settings{"https://vendor.example", secret.New(token)}, Vendor: v, Count: v.count}
		},
	}
	if flaw == "setting without doc" {
		suite.Type = define[badSettings](flaw)
		suite.Open = func(*testing.T) connectortest.Target {
			v := &vendor{objects: map[string]string{}}
			return connectortest.Target{Settings: &badSettings{"https://vendor.example", secret.New(token)}, Vendor: v, Count: v.count}
		}
	}
	connectortest.Run(t, suite)
}

func define[S any](flaw string) connectors.Type {
	fields := []connectors.Field{{Name: "title", Type: connectors.Text, Doc: "the title", Required: true}}
	mapping := "title: x\n"
	switch flaw {
	case "camel case":
		fields = append(fields, connectors.Field{Name: "camelCase", Type: connectors.Text, Doc: "bad"})
	case "maps what is not declared":
		mapping += "body: x\n"
	}
	return connectors.Define("flawed", connectors.Definition[S]{
		Doc: "a connector with one flaw", Mapping: mapping,
		Fields: func(S) []connectors.Field { return fields },
		Once:   func(S) connectors.Once { return connectors.OnceLookup },
		Warnings: func(S) []*connectors.SettingError {
			if flaw == "warns without a hint" {
				return []*connectors.SettingError{{Key: "token", Problem: "is old"}}
			}
			return []*connectors.SettingError{{Key: "token", Problem: "is old", Hint: "make another"}}
		},
		New: func(_ S, env connectors.Env) (connectors.Connector, error) {
			c := &flawed{flaw: flaw, env: env}
			if flaw == "opens with I/O" {
				_, _, _ = c.call(context.Background(), http.MethodGet, "/me", "")
			}
			return c, nil
		},
	})
}

// flawed is a connector that is written without package rest, so that each rule can be broken by itself.
type flawed struct {
	flaw  string
	env   connectors.Env
	count int // only for the flaw of a data race
}

func (c *flawed) Push(ctx context.Context, rec connectors.Record) (connectors.Receipt, error) {
	title, _ := rec.Fields["title"].(string)
	id := rec.Prior.ID
	if err := c.spoil(ctx, rec, &id, &title); err != nil {
		return connectors.Receipt{}, err
	}
	if rec.Uncertain && id == "" && c.flaw != "does not look" {
		status, body, err := c.call(ctx, http.MethodGet, "/objects?ref="+url.QueryEscape(rec.Object), "")
		if err != nil {
			return connectors.Receipt{}, err
		}
		if status != http.StatusOK || json.Unmarshal([]byte(body), &id) != nil {
			return connectors.Receipt{}, &connectors.Error{Err: errors.New("the lookup cannot be read")}
		}
	}
	method, path := http.MethodPost, "/objects/"+rec.Object
	if id != "" {
		method = http.MethodPut
	}
	if _, _, err := c.call(ctx, method, path, title); err != nil {
		return connectors.Receipt{}, err
	}
	return connectors.Receipt{ID: rec.Object}, nil
}

// spoil makes the mistakes that happen before anything is sent.
func (c *flawed) spoil(ctx context.Context, rec connectors.Record, id, title *string) error {
	switch c.flaw {
	case "changes the fields":
		rec.Fields["title"] = "changed"
	case "random bytes":
		*title += fmt.Sprint(rand.Int())
	case "never updates":
		*id = ""
	case "logs the token":
		c.env.Logger.Debug("pushing", "token", connectortest.Canary)
	case "creates two":
		_, _, _ = c.call(ctx, http.MethodPost, "/objects/"+rec.Object+"-twin", *title)
	case "pushes one by one, badly":
		c.count++
		if c.count > 1 {
			return errors.New("busy")
		}
	case "rejects an ended context":
		if ctx.Err() != nil {
			return &connectors.Error{Kind: connectors.Rejected, Err: errors.New("ended")}
		}
	}
	return nil
}

func (c *flawed) Preview(rec connectors.Record) (connectors.Preview, error) {
	title, _ := rec.Fields["title"].(string)
	write := connectors.Request{Method: http.MethodPost, URL: "https://vendor.example/objects/" + rec.Object, Body: title}
	requests := []connectors.Request{write}
	switch c.flaw {
	case "previews something else":
		requests[0].Body += "!"
	case "previews too much":
		requests = append(requests, write)
	case "previews the token":
		requests[0].Headers = map[string]string{"Authorization": connectortest.Canary}
	case "previews by sending":
		_, _, _ = c.call(context.Background(), http.MethodGet, "/me", "")
	}
	return connectors.Preview{Requests: requests}, nil
}

func (c *flawed) Check(ctx context.Context) error {
	switch c.flaw {
	case "check always passes":
		return nil
	case "check never passes":
		return &connectors.Error{Kind: connectors.Temporary, Err: errors.New("unknown")}
	}
	_, _, err := c.call(ctx, http.MethodGet, "/me", "")
	return err
}

func (c *flawed) call(ctx context.Context, method, path, body string) (int, string, error) {
	if c.flaw == "ignores the context" {
		late, cancel := context.WithTimeout(context.WithoutCancel(ctx), 3*time.Second)
		defer cancel()
		ctx = late
	}
	r, err := http.NewRequestWithContext(ctx, method, "https://vendor.example"+path, strings.NewReader(body))
	if err != nil {
		return 0, "", err
	}
	answer, err := c.env.Transport.RoundTrip(r)
	if err != nil {
		return 0, "", c.lost(err)
	}
	defer func() { _ = answer.Body.Close() }()
	text, _ := io.ReadAll(answer.Body)
	if answer.StatusCode < 300 {
		return answer.StatusCode, string(text), nil
	}
	if c.flaw == "repeats when throttled" && answer.StatusCode == http.StatusTooManyRequests {
		again, err := c.env.Transport.RoundTrip(r.Clone(ctx))
		if err == nil {
			_ = again.Body.Close()
		}
	}
	return answer.StatusCode, "", c.refused(answer.StatusCode, string(text))
}

func (c *flawed) lost(err error) error {
	e := &connectors.Error{Uncertain: true, Err: fmt.Errorf("lost: %w", err)}
	if strings.HasPrefix(err.Error(), "dial") {
		e.Uncertain = c.flaw == "dial is uncertain"
	}
	switch c.flaw {
	case "everything is certain":
		e.Uncertain = false
	case "reset is rejected":
		e.Kind = connectors.Rejected
	case "bare deadline":
		e.Err = err
	}
	return e
}

func (c *flawed) refused(status int, body string) error {
	e := &connectors.Error{Status: status, Hint: "hint", Err: fmt.Errorf("answered %d", status)}
	switch {
	case status == http.StatusTooManyRequests:
		e.Kind, e.After = connectors.Throttled, 10*time.Minute
		if c.flaw == "drops Retry-After" {
			e.After = 0
		}
	case status == http.StatusUnauthorized && c.flaw != "401 is temporary":
		e.Kind = connectors.Denied
	case status >= 500:
		e.Uncertain = c.flaw != "everything is certain"
		if c.flaw == "500 is final" {
			e.Kind = connectors.Rejected
		}
	case status >= 400:
		e.Kind = connectors.Rejected
	}
	switch c.flaw {
	case "no hint":
		e.Hint = ""
	case "prints the answer":
		e.Err = errors.New(body)
	}
	return e
}

// vendor creates on POST, whatever is there, and updates on PUT.
type vendor struct {
	mu      sync.Mutex
	objects map[string]string
	created int
}

func (v *vendor) count() int {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.created
}

func (v *vendor) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	v.mu.Lock()
	defer v.mu.Unlock()
	name := strings.TrimPrefix(r.URL.Path, "/objects/")
	switch body, _ := io.ReadAll(r.Body); r.Method {
	case http.MethodPost:
		v.created++
		v.objects[name] = string(body)
	case http.MethodPut:
		v.objects[name] = string(body)
	default:
		ref := r.URL.Query().Get("ref")
		if _, ok := v.objects[ref]; !ok {
			ref = ""
		}
		_ = json.NewEncoder(w).Encode(ref)
	}
}
