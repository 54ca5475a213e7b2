// This file is the admin listener: its keys, who is let in, and what is checked about that.

package config

import (
	"fmt"
	"strings"

	"github.com/afterchat/afterchat/config/password"
	"github.com/afterchat/afterchat/config/secret"
)

// Admin is the listener for console, API, /metrics, /healthz and /readyz. Without password, tokens and proxy console and API
// are open on a loopback address and closed on any other.
type Admin struct {
	Listen   string        `yaml:"listen" doc:"address for console, API, metrics and health; metrics and health need no login on any address"`
	Pprof    bool          `yaml:"pprof" doc:"serve /debug/pprof on it"`
	TLS      *TLS          `yaml:"tls" doc:"serve HTTPS; the files are read again when they change"`
	Password secret.String `yaml:"password" doc:"hash of the console's password, made by afterchat config password; whoever has the password is an admin"`
	Tokens   []Token       `yaml:"tokens" doc:"tokens for programs: Authorization: Bearer and the token"`
	Proxy    *Proxy        `yaml:"proxy" doc:"a proxy that logs people in and says who they are"`
}

// Token is a login for programs.
type Token struct {
	Name  string        `yaml:"name" required:"true" doc:"what the audit log calls whoever uses it"`
	Token secret.String `yaml:"token" required:"true" doc:"the token, at least 16 characters" example:"${env.AFTERCHAT_TOKEN}"`
	Role  string        `yaml:"role" required:"true" enum:"viewer,operator,admin" doc:"viewer: sees all but personal data; operator: replays, cancels, drops, pauses, decodes, sees personal data; admin: reloads, imports, repairs, too"`
}

// Proxy is a login that was done elsewhere.
type Proxy struct {
	Header     string   `yaml:"header" required:"true" doc:"header with the name of the user" example:"X-Forwarded-User"`
	Networks   []string `yaml:"networks" required:"true" doc:"networks of the proxy; from others the header means nothing" example:"10.0.0.0/8"`
	Role       string   `yaml:"role" enum:"viewer,operator,admin" doc:"role of every user"`
	RoleHeader string   `yaml:"role_header" doc:"header with the role of the user, instead of role" example:"X-Afterchat-Role"`
}

// Closed tells whether console and API are closed: reachable from elsewhere, and no login.
func (a Admin) Closed() bool { return !loopback(a.Listen) && !a.Login() }

// Login tells whether there is a login.
func (a Admin) Login() bool { return !a.Password.IsZero() || len(a.Tokens) > 0 || a.Proxy != nil }

// AdminTLSFiles returns the files of admin.tls as seen from the working directory; nil when it is plain HTTP.
func (c *Config) AdminTLSFiles() *TLS {
	if c.Admin.TLS == nil {
		return nil
	}
	return &TLS{CertFile: c.Resolve(c.Admin.TLS.CertFile), KeyFile: c.Resolve(c.Admin.TLS.KeyFile)}
}

// admin checks the admin listener.
func (l *loader) admin() {
	n, a := l.root.value("admin"), l.config.Admin
	if n == nil || n.kind != mappingKind {
		return
	}
	l.address(n.value("listen"), a.Listen)
	if at := n.value("listen"); at != nil && collide(a.Listen, l.config.Server.Listen) {
		l.add(at.at, "give admin an address of its own, such as 127.0.0.1:9080: hooks come from the internet, metrics must not be there", "admin and server listen on the same address")
	}
	if at := n.value("pprof"); at != nil && a.Pprof && !loopback(a.Listen) {
		l.add(at.at, "listen on 127.0.0.1:9080, or leave pprof off", "pprof shows the memory of the process to everybody who reaches %s", a.Listen)
	}
	l.tls(n.value("tls"), l.config.AdminTLSFiles())
	if hash, quoted := unquoted(a.Password.Reveal()); quoted {
		a.Password = secret.New(hash)
		l.config.Admin.Password = a.Password
	}
	if at := n.value("password"); l.readable(at) && password.Check(a.Password.Reveal()) != nil {
		l.add(at.at, "run afterchat config password, and write the hash that it prints, in single quotes", "password must be the hash of the password, and this is none")
	}
	l.adminTokens(n.value("tokens"))
	l.adminProxy(n.value("proxy"))
	if at := n.value("listen"); at != nil && len(l.found) == 0 && a.Closed() {
		l.warn(at.at, "set admin.password, admin.tokens or admin.proxy; or listen on 127.0.0.1:9080",
			"console, API and reload are closed, for %s can be reached from other machines and there is no login", a.Listen)
	}
}

// unquoted takes away the single quotes around a hash: a variable may hold what was printed to be copied into a file.
func unquoted(hash string) (string, bool) {
	if len(hash) > 2 && hash[0] == '\'' && hash[len(hash)-1] == '\'' {
		return hash[1 : len(hash)-1], true
	}
	return hash, false
}

func (l *loader) adminTokens(n *node) {
	if n == nil {
		return
	}
	nodes := []*node{n}
	if n.kind == listKind {
		nodes = n.items
	}
	names, texts := map[string]bool{}, map[string]bool{}
	for i, one := range nodes {
		if i >= len(l.config.Admin.Tokens) || one.kind != mappingKind {
			continue
		}
		t := l.config.Admin.Tokens[i]
		if at := one.value("name"); l.readable(at) && t.Name != "" {
			if names[t.Name] {
				l.add(at.at, "give each token a name of its own, so that the audit log tells them apart", "two tokens are called %q", at.shown())
			}
			names[t.Name] = true
		}
		at, text := one.value("token"), t.Token.Reveal()
		if !l.readable(at) || text == "" {
			continue
		}
		switch {
		case len(text) < leastSecret:
			l.add(at.at, secretHint, "token has %d characters, but at least %d are needed", len(text), leastSecret)
		case shellVariable.MatchString(at.yaml.Value):
			l.add(at.at, "write ${env.NAME} for the value of a variable", "token is the text %q with a dollar sign, not the value of a variable", "$…")
		case strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r > '~' }):
			l.add(at.at, secretHint, "token has characters that cannot stand in a header")
		case texts[text]:
			l.add(at.at, secretHint, "two tokens have the same text")
		}
		texts[text] = true
	}
}

func (l *loader) adminProxy(n *node) {
	p := l.config.Admin.Proxy
	if n == nil || p == nil || n.kind != mappingKind {
		return
	}
	l.networks(n.value("networks"), p.Networks)
	for key, name := range map[string]string{"header": p.Header, "role_header": p.RoleHeader} {
		if at := n.value(key); l.readable(at) && name != "" && !headerName(name) {
			l.add(at.at, "write a name such as X-Forwarded-User", "%q cannot be the name of a header", at.shown())
		}
	}
	switch {
	case p.Role == "" && p.RoleHeader == "":
		l.add(n.at, "write role: viewer, operator or admin; or role_header: and a header that the proxy sets", "proxy does not say what its users may do")
	case p.Role != "" && p.RoleHeader != "":
		l.add(n.value("role_header").at, "leave out one of role and role_header", "proxy has both %q and %q", "role", "role_header")
	case p.RoleHeader != "" && strings.EqualFold(p.RoleHeader, p.Header):
		l.add(n.value("role_header").at, fmt.Sprintf("name another header than %s", p.Header), "user and role cannot stand in the same header")
	}
}

// headerName tells whether a text can be the name of a header (RFC 9110, section 5.1).
func headerName(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		letter := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9'
		return !letter && !strings.ContainsRune("!#$%&'*+-.^_`|~", r)
	})
}
