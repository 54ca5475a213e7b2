package config_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"flag"
	"io/fs"
	"math/big"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
	_ "time/tzdata"

	"github.com/google/go-cmp/cmp"

	"github.com/afterchat/afterchat/config"
	"github.com/afterchat/afterchat/config/secret"
	"github.com/afterchat/afterchat/connectors"
	"github.com/afterchat/afterchat/connectors/builtin"
)

var update = flag.Bool("update", false, "write golden files and generated parts of README.md")

// canary is the text of every secret in testdata. No message may show it.
const canary = "canary"

// deskSettings are what a help desk could ask for: nested blocks, secrets, a check across keys.
type deskSettings struct {
	Subdomain string                   `yaml:"subdomain" required:"true" doc:"first part of the desk's address" example:"acme"`
	OAuth     *deskOAuth               `yaml:"oauth" doc:"client that is let in"`
	Token     secret.String            `yaml:"token" doc:"API token, instead of oauth"`
	Priority  string                   `yaml:"priority" enum:"low,normal,high" doc:"priority of new tickets"`
	Limit     int                      `yaml:"limit" min:"1" doc:"most tickets a conversation"`
	Share     float64                  `yaml:"share" doc:"a share"`
	Headers   map[string]secret.String `yaml:"headers" doc:"further headers"`
	Brands    map[string]int64         `yaml:"brands" doc:"ids of brands"`
}

type deskOAuth struct {
	ClientID     string        `yaml:"client_id" required:"true" doc:"id of the client"`
	ClientSecret secret.String `yaml:"client_secret" required:"true" doc:"secret of the client"`
}

// Validate asks for one way to be let in.
func (s deskSettings) Validate() error {
	var problems []error
	if s.OAuth == nil && s.Token.IsZero() {
		problems = append(problems, &connectors.SettingError{Key: "token", Problem: "give a token or oauth", Hint: "write token: '${env.DESK_TOKEN}'"})
	}
	if s.OAuth != nil && strings.Contains(s.OAuth.ClientID, " ") {
		problems = append(problems, &connectors.SettingError{Key: "oauth.client_id", Problem: "has a space in it"})
	}
	if strings.Contains(s.Subdomain, ".") {
		problems = append(problems, &connectors.SettingError{Key: "subdomain", Problem: "is the first part of the address only", Hint: "leave out .example.com"})
	}
	return errors.Join(problems...)
}

// deskType is a type for tests that has one field of every kind.
func deskType() connectors.Type {
	return connectors.Define("desk", connectors.Definition[deskSettings]{
		Doc:      "makes a ticket of each conversation",
		Defaults: deskSettings{Priority: "normal", Limit: 1},
		Fields: func(deskSettings) []connectors.Field {
			return []connectors.Field{
				{Name: "subject", Type: connectors.Text, Required: true, Limit: 150, Doc: "subject of the ticket"},
				{Name: "phone", Type: connectors.Text, Doc: "telephone number"},
				{Name: "priority", Type: connectors.Text, Values: []string{"low", "normal", "high"}, Doc: "priority"},
				{Name: "tags", Type: connectors.List, Items: &connectors.Field{Name: "tag", Type: connectors.Text}, Doc: "tags"},
				{Name: "custom_fields", Type: connectors.Map, Doc: "custom fields by id"},
				{Name: "score", Type: connectors.Number, Doc: "a number"},
				{Name: "comment", Type: connectors.HTML, Doc: "first comment"},
			}
		},
		Once:    func(deskSettings) connectors.Once { return connectors.OnceUpsert },
		Mapping: "subject: '${outcome} chat'\ncomment: '${transcript.html}'\n",
		New:     func(deskSettings, connectors.Env) (connectors.Connector, error) { return nil, errors.ErrUnsupported },
	})
}

// known is what the tests are built with: two types that ship, and a help desk. Messages list them, so that a new type
// changes no golden file.
func known() config.Known { return knownTo("") }

// knownTo is known and the type that the name of a file begins with.
func knownTo(name string) config.Known {
	k := shipped()
	k.Targets = slices.DeleteFunc(k.Targets, func(t connectors.Type) bool {
		return !slices.Contains([]string{"desk", "file", "http"}, t.Name()) && !strings.HasPrefix(filepath.Base(name), t.Name()+"-")
	})
	return k
}

// shipped are all types that ship, and the help desk.
func shipped() config.Known {
	return config.Known{
		Targets: append(builtin.Types(), deskType()),
		Sources: []config.SourceType{
			{Name: "proprofs", Doc: "ProProfs Chat", NeedsTimeZone: true},
			{Name: "smartsupp", Doc: "Smartsupp"},
		},
	}
}

// environment has a few variables and the real files. No secret in it is without the canary.
func environment() config.Environment {
	vars := map[string]string{
		"ACME_SECRET": "acme-canary-0123456789", "GLOBO_SECRET": "globo-canary-0123456789", "GLOBO_SECRET_OLD": "old-canary-0123456789",
		"SHOP_SECRET": "shop-canary-0123456789", "DESK_SECRET": "desk-canary-0123456789", "SHORT": "canary",
		"SLACK_WEBHOOK": "https://hooks.slack.com/services/canary/canary", "API_TOKEN": "api-canary",
		"TEAMS_WEBHOOK": "https://teams.example.com/canary/canary", "HUBSPOT_TOKEN": "hub-canary", "ZENDESK_SECRET": "zen-canary",
		"DESK_SECRET_OLD": "gone-canary-0123456789",
		"WORKERS":         "7", "EMPTY": "", "NESTED": "${env.SHOP_SECRET}", "INJECT": "x\ntype: file", "BAD_RATE": "many-canary",
	}
	return config.Environment{
		LookupEnv: func(name string) (string, bool) { v, ok := vars[name]; return v, ok },
		ReadFile: func(path string) ([]byte, error) {
			switch filepath.Base(path) {
			case "cert.pem", "a.pem":
				return testPair().certificate, nil
			case "key.pem", "a.key":
				return testPair().key, nil
			}
			if strings.HasPrefix(path, "/run/secrets/") && !strings.Contains(path, "none") {
				return []byte("run-canary-" + filepath.Base(path) + "-0123456789\n"), nil
			}
			return os.ReadFile(path)
		},
	}
}

func files(t *testing.T, pattern string) []string {
	t.Helper()
	names, err := filepath.Glob(pattern)
	if err != nil || len(names) == 0 {
		t.Fatalf("no files %s: %v", pattern, err)
	}
	return names
}

// golden compares got with a golden file, or writes it.
func golden(t *testing.T, name, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(name, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(name)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got; -update rewrites it):\n%s", name, diff)
	}
}

// examples are the files that load: those of testdata/good and those that users start from.
func examples(t *testing.T) []string {
	t.Helper()
	return slices.Concat(files(t, "testdata/good/*.yaml"), files(t, "examples/*.yaml"), files(t, "examples/*/afterchat.yaml"))
}

func TestGoodFilesLoad(t *testing.T) {
	t.Parallel()
	for _, name := range examples(t) {
		t.Run(filepath.Base(name), func(t *testing.T) {
			t.Parallel()
			c, err := config.Load(name, shipped(), environment())
			if err != nil {
				t.Fatal(err)
			}
			if c.Pipeline == nil {
				t.Error("no pipeline")
			}
			if strings.HasPrefix(name, "examples") && len(c.Warnings) > 0 {
				t.Errorf("what users start from has warnings: %v", c.Warnings)
			}
		})
	}
}

func TestBadFilesAreExplained(t *testing.T) {
	t.Parallel()
	for _, name := range files(t, "testdata/bad/*.yaml") {
		t.Run(filepath.Base(name), func(t *testing.T) {
			t.Parallel()
			_, err := config.Load(name, knownTo(name), environment())
			problems, ok := errors.AsType[config.Problems](err)
			if !ok {
				t.Fatalf("want Problems, got %v", err)
			}
			var all bytes.Buffer
			for _, format := range []string{"json", "github", "text"} {
				if err := problems.Write(&all, format); err != nil {
					t.Fatal(err)
				}
			}
			if strings.Contains(all.String()+problems.Error(), canary) {
				t.Errorf("a secret is shown:\n%s", all.String())
			}
			var text bytes.Buffer
			if err := problems.Write(&text, "text"); err != nil {
				t.Fatal(err)
			}
			golden(t, strings.TrimSuffix(name, ".yaml")+".want", text.String())
			for _, p := range problems {
				if !hasRemedy(p) {
					t.Errorf("nothing says what to do: %s", p)
				}
			}
		})
	}
}

// TestWarnings: what works and was hardly meant so is told, with what to do, and nothing else keeps a file from loading.
func TestWarnings(t *testing.T) {
	t.Parallel()
	for _, name := range files(t, "testdata/warned/*.yaml") {
		t.Run(filepath.Base(name), func(t *testing.T) {
			t.Parallel()
			c, err := config.Load(name, knownTo(name), environment())
			if err != nil {
				t.Fatal(err)
			}
			if mistakes, warnings := c.Warnings.Count(); mistakes > 0 || warnings == 0 || c.Warnings.Error() != "" {
				t.Errorf("%d mistakes, %d warnings: %v", mistakes, warnings, c.Warnings)
			}
			var all bytes.Buffer
			for _, format := range []string{"text", "github", "json"} {
				if err := c.Warnings.Write(&all, format); err != nil {
					t.Fatal(err)
				}
			}
			if strings.Contains(all.String(), canary) {
				t.Errorf("a secret is shown:\n%s", all.String())
			}
			golden(t, strings.TrimSuffix(name, ".yaml")+".want", all.String())
			for _, p := range c.Warnings {
				if !hasRemedy(p) {
					t.Errorf("nothing says what to do: %s", p)
				}
			}
		})
	}
}

// remedy is how a sentence begins that tells what to do, wherever it stands in a hint.
var remedy = regexp.MustCompile(`(?:^|[;:,] (?:or |else |and )?)(?:add|begin|call|check|choose|close|compare|correct|define|did you mean|drop|end|give|` +
	`indent|keep|leave|listen|lower|make|map|move|name|put|raise|remove|save|set|shorten|split|start|use|write)\b`)

// hasRemedy tells whether a problem says what to do: the likely word in its text, or a hint with a verb in it.
func hasRemedy(p config.Problem) bool {
	return strings.Contains(p.Text, "did you mean") || remedy.MatchString(p.Hint)
}

// TestRemedies: what only tells more of what is wrong is no remedy.
func TestRemedies(t *testing.T) {
	t.Parallel()
	for hint, want := range map[string]bool{
		"": false, "there is none": false, "known: a, b": false, "the first is in line 8": false, "such as 0640": false,
		"write 0640 or 0600": true, "if it is text, put quotes around it": true, "it is read; remove it": true,
	} {
		if got := hasRemedy(config.Problem{Hint: hint}); got != want {
			t.Errorf("%q: %t, want %t", hint, got, want)
		}
	}
}

// pair is a certificate with its key, as PEM.
type pair struct{ certificate, key []byte }

// testPair makes one that is as good as any.
var testPair = sync.OnceValue(func() pair {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	certificate, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		panic(err)
	}
	private, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		panic(err)
	}
	return pair{
		pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate}),
		pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: private}),
	}
})
