// This file says who may do what. Without a login the console, the API and everything that changes something are open on
// a loopback address and closed on any other; with one they ask for it everywhere. Metrics and health are open always.

package console

import (
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// Role is what somebody may do. Each may do what those before it may.
type Role int

// The roles.
const (
	Nobody   Role = iota
	Viewer        // sees everything but what identifies visitors
	Operator      // sees all, and replays, cancels, drops, pauses, decodes
	Admin         // reloads, imports, repairs, too
)

var roleNames = [...]string{"nobody", "viewer", "operator", "admin"}

// String returns the role as it stands in the configuration.
func (r Role) String() string {
	if r < Nobody || int(r) >= len(roleNames) {
		return roleNames[Nobody]
	}
	return roleNames[r]
}

// ParseRole reads viewer, operator or admin; Nobody for anything else.
func ParseRole(text string) Role {
	for r := Viewer; r <= Admin; r++ {
		if r.String() == text {
			return r
		}
	}
	return Nobody
}

// Person is who makes a request.
type Person struct {
	Name    string `json:"name" doc:"local without a login; else of the token, from the proxy, or admin for the password"`
	Role    string `json:"role" enum:"viewer,operator,admin"`
	Address string `json:"address" doc:"where the request came from"`
	// Session: logged in with the password, so that there is something to log out of.
	Session bool `json:"session" doc:"logged in with the password"`

	role Role
}

// May tells whether the person has a role or a higher one.
func (p Person) May(r Role) bool { return p.role >= r }

// Access says who is let in, and as what. Its zero value lets nobody in.
type Access struct {
	// Local: the listener can be reached from this machine only. Without any of the others everybody there is an Admin.
	Local    bool
	Password *Password
	Tokens   []Token
	Proxy    *Proxy
}

// Password is the login for people. Whoever has it is an Admin.
type Password struct {
	Matches func(text string) bool
	Key     []byte // signs the sessions
}

// Token is a login for programs.
type Token struct {
	Name   string
	Digest [sha256.Size]byte // of its text
	Role   Role
}

// Proxy is a login that was done elsewhere: requests from its networks are those of whoever a header names.
type Proxy struct {
	Header     string
	Networks   []netip.Prefix
	Role       Role   // of everybody; Nobody: RoleHeader says it
	RoleHeader string // header that holds viewer, operator or admin; "": Role says it
}

// open tells whether there is no login.
func (a Access) open() bool { return a.Password == nil && len(a.Tokens) == 0 && a.Proxy == nil }

// refusal is why a request is not let in.
type refusal struct {
	status       int
	detail, hint string
	login        bool // a person could log in
}

func (r *refusal) Error() string { return r.detail }

// enter returns who makes a request, or a *refusal.
func (a Access) enter(r *http.Request) (Person, error) {
	peer := peerOf(r)
	if a.open() {
		return a.enterOpen(r, peer)
	}
	trusted := a.Proxy != nil && contains(a.Proxy.Networks, peer)
	p := Person{Address: a.addressOf(r).String()}
	scheme, text, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	switch {
	case strings.EqualFold(scheme, "Bearer"):
		t, ok := a.token(strings.TrimSpace(text))
		if !ok {
			return p, &refusal{status: http.StatusUnauthorized, detail: "this token is not known", hint: "send one of admin.tokens"}
		}
		return p.as(t.Name, t.Role), nil
	case trusted && r.Header.Get(a.Proxy.Header) != "":
		role := a.Proxy.Role
		if a.Proxy.RoleHeader != "" {
			role = ParseRole(strings.TrimSpace(r.Header.Get(a.Proxy.RoleHeader)))
		}
		if role == Nobody {
			return p, &refusal{
				status: http.StatusForbidden, detail: "the proxy names no role for this user",
				hint: "have it set " + a.Proxy.RoleHeader + " to viewer, operator or admin",
			}
		}
		return p.as(oneLine(r.Header.Get(a.Proxy.Header)), role), nil
	case a.Password != nil && a.Password.session(r):
		p.Session = true
		return p.as(adminName, Admin), nil
	}
	return p, a.unknown()
}

// adminName is what the audit log calls whoever has the password.
const adminName = "admin"

func (a Access) unknown() *refusal {
	out := &refusal{status: http.StatusUnauthorized, detail: "log in first", login: a.Password != nil}
	switch {
	case len(a.Tokens) > 0:
		out.hint = "send Authorization: Bearer and one of admin.tokens"
	case a.Password != nil:
		out.hint = "programs need one of admin.tokens; people log in at /login"
	default:
		out.hint = "come through the proxy of admin.proxy"
	}
	return out
}

// enterOpen lets everybody in on this machine. A page of another site could have its name resolved to this machine and
// so read the answers, so the name must be one of this machine.
func (a Access) enterOpen(r *http.Request, peer netip.Addr) (Person, error) {
	if !a.Local {
		return Person{}, &refusal{
			status: http.StatusForbidden, detail: "only on a loopback address, for there is no login",
			hint: "set admin.listen to 127.0.0.1:9080, or admin.password, admin.tokens or admin.proxy; SIGHUP reloads the configuration",
		}
	}
	if !isOwnName(r.Host) {
		return Person{}, &refusal{
			status: http.StatusForbidden, detail: "there is no login, so only requests to this machine's own address are answered",
			hint: "use http://127.0.0.1 and the port; behind a proxy, set admin.password, admin.tokens or admin.proxy",
		}
	}
	return Person{Address: peer.String()}.as("local", Admin), nil
}

func (p Person) as(name string, role Role) Person {
	p.Name, p.role, p.Role = name, role, role.String()
	return p
}

// token finds a token by its text, in a time that does not depend on it.
func (a Access) token(text string) (found Token, ok bool) {
	digest := sha256.Sum256([]byte(text))
	for _, t := range a.Tokens {
		if subtle.ConstantTimeCompare(digest[:], t.Digest[:]) == 1 {
			found, ok = t, true
		}
	}
	return found, ok
}

// DigestOf is the Digest of a token.
func DigestOf(text string) [sha256.Size]byte { return sha256.Sum256([]byte(text)) }

// isOwnName tells whether a Host header means this machine whatever a name server says.
func isOwnName(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.ToLower(strings.TrimSuffix(strings.Trim(host, "[]"), "."))
	_, err := netip.ParseAddr(host)
	return err == nil || host == "localhost" || strings.HasSuffix(host, ".localhost")
}

// peerOf returns the address that a connection came from; the zero value if it has none.
func peerOf(r *http.Request) netip.Addr {
	at, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	return at.Addr().Unmap().WithZone("")
}

func contains(networks []netip.Prefix, a netip.Addr) bool {
	for _, n := range networks {
		if n.Contains(a) {
			return true
		}
	}
	return false
}

// addressOf returns where a request came from: the peer, or whom the proxy names, if it is the one of the configuration.
func (a Access) addressOf(r *http.Request) netip.Addr {
	peer := peerOf(r)
	if a.Proxy != nil && contains(a.Proxy.Networks, peer) {
		return forwardedFor(r, peer, a.Proxy.Networks)
	}
	return peer
}

// forwardedFor returns the address nearest to us in X-Forwarded-For that is none of the proxies.
func forwardedFor(r *http.Request, peer netip.Addr, proxies []netip.Prefix) netip.Addr {
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for _, text := range slices.Backward(hops) {
		hop, err := netip.ParseAddr(strings.TrimSpace(text))
		if err != nil {
			break
		}
		peer = hop.Unmap()
		if !contains(proxies, peer) {
			break
		}
	}
	return peer
}

// oneLine is a text for logs, at most 200 characters.
func oneLine(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, s)
	if runes := []rune(s); len(runes) > 200 {
		s = string(runes[:200]) + "…"
	}
	return strings.TrimSpace(s)
}

// lacks says which role a person would need.
func lacks(p Person, need Role) *refusal {
	return &refusal{
		status: http.StatusForbidden, detail: fmt.Sprintf("%s is %s, and this needs %s", p.Name, p.Role, need),
		hint: "use a token or a login with that role",
	}
}
