// This file tells who may send: the secret in the path, the address, HTTP Basic, and a signature of the body.

package intake

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/labstack/echo/v4"
)

// Digest is a hash of a secret. Comparing hashes takes the same time whatever the length of what was sent.
type Digest [sha256.Size]byte

// DigestOf hashes a secret.
func DigestOf(secret string) Digest { return sha256.Sum256([]byte(secret)) }

func (d Digest) equals(text string) bool {
	other := DigestOf(text)
	return subtle.ConstantTimeCompare(d[:], other[:]) == 1
}

// Basic are HTTP Basic credentials.
type Basic struct{ User, Password Digest }

// Signature is HMAC-SHA256 of the raw body in a header. A prefix such as sha256= is accepted.
type Signature struct {
	Header string
	Key    []byte
	Base64 bool // else hex
}

func (s *Signature) verify(header http.Header, body []byte) bool {
	sent := header.Get(s.Header)
	for _, prefix := range []string{"sha256=", "hmac-sha256=", "v1="} {
		sent = strings.TrimPrefix(sent, prefix)
	}
	decode := hex.DecodeString
	if s.Base64 {
		decode = base64.StdEncoding.DecodeString
	}
	signature, err := decode(strings.TrimSpace(sent))
	mac := hmac.New(sha256.New, s.Key)
	mac.Write(body)
	return err == nil && hmac.Equal(signature, mac.Sum(nil))
}

// noSource stands in for an unknown path, so that it costs the same comparison as a wrong secret.
var noSource = Source{Secrets: []Digest{DigestOf("no such source")}}

// authenticate finds the source that a path names, nil if it names none, and checks the secret in the path.
func (h *Handler) authenticate(path string) (src *Source, match bool) {
	path = strings.TrimSuffix(path, "/")
	if src := h.sources[path]; src != nil && len(src.Secrets) == 0 {
		return src, true
	}
	prefix, sent := path, ""
	if i := strings.LastIndexByte(path, '/'); i >= 0 {
		prefix, sent = path[:i], path[i+1:]
	}
	src = h.sources[prefix]
	compared := src
	if src == nil || len(src.Secrets) == 0 {
		src, compared = nil, &noSource
	}
	for _, digest := range compared.Secrets {
		match = digest.equals(sent) || match
	}
	return src, match && src != nil
}

// admit checks what can be checked before the body is read: the address, Basic credentials, the method.
func (h *Handler) admit(c echo.Context, src *Source) *refusal {
	if !allowed(src.Allow, c.RealIP()) {
		return &refusal{status: http.StatusForbidden, result: "unauthorized", text: "address not allowed"}
	}
	if src.Basic != nil {
		user, password, _ := c.Request().BasicAuth()
		userMatch, passwordMatch := src.Basic.User.equals(user), src.Basic.Password.equals(password)
		if !userMatch || !passwordMatch {
			return &refusal{status: http.StatusUnauthorized, result: "unauthorized", text: "wrong credentials"}
		}
	}
	switch c.Request().Method {
	case http.MethodGet, http.MethodHead, http.MethodPost:
		return nil
	}
	return &refusal{status: http.StatusMethodNotAllowed, result: "bad_request", text: "send the hook with POST"}
}

func allowed(networks []netip.Prefix, address string) bool {
	if len(networks) == 0 {
		return true
	}
	ip, err := netip.ParseAddr(address)
	if err != nil {
		return false
	}
	for _, network := range networks {
		if network.Contains(ip.Unmap()) {
			return true
		}
	}
	return false
}

// quota bounds the log lines that strangers can cause: quotaLines in each quotaPeriod.
type quota struct {
	mu       sync.Mutex
	until    time.Time
	lines    int
	unlogged int
}

const (
	quotaLines  = 10
	quotaPeriod = 10 * time.Second
)

// next tells whether there may be another line now, and how many there were none for before it.
func (q *quota) next(now time.Time) (unlogged int, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if now.After(q.until) {
		q.until, q.lines = now.Add(quotaPeriod), 0
	}
	if q.lines++; q.lines > quotaLines {
		q.unlogged++
		return 0, false
	}
	unlogged, q.unlogged = q.unlogged, 0
	return unlogged, true
}
