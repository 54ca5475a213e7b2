// This file is the log-in with the password: a signed cookie that lasts twelve hours, and a limit on tries. Nothing of it
// is stored: whoever can check the signature knows who is logged in, also after a restart and on another replica. A
// changed password ends all sessions.

package console

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/labstack/echo/v4"
)

const (
	// sessionLasts is how long a log-in is good for.
	sessionLasts = 12 * time.Hour
	// sessionSecure is the cookie's name over HTTPS: browsers keep such a name to one host and away from plain HTTP.
	sessionSecure = "__Host-afterchat"
	sessionPlain  = "afterchat"
)

// session tells whether a request has a cookie that we have signed and that has not ended.
func (p *Password) session(r *http.Request) bool {
	for _, name := range []string{sessionSecure, sessionPlain} {
		if c, err := r.Cookie(name); err == nil && p.valid(c.Value, time.Now()) {
			return true
		}
	}
	return false
}

// sign makes the value of a cookie: when it ends, some random bytes, and the signature of both.
func (p *Password) sign(now time.Time) string {
	text := make([]byte, 8+16, 8+16+sha256.Size)
	binary.BigEndian.PutUint64(text, uint64(now.Add(sessionLasts).Unix())) //nolint:gosec // after 1970
	_, _ = rand.Read(text[8:])
	return base64.RawURLEncoding.EncodeToString(append(text, p.signature(text)...))
}

func (p *Password) valid(value string, now time.Time) bool {
	raw, err := base64.RawURLEncoding.DecodeString(value)
	if err != nil || len(raw) != 8+16+sha256.Size {
		return false
	}
	text, signature := raw[:8+16], raw[8+16:]
	return hmac.Equal(signature, p.signature(text)) && now.Unix() < int64(binary.BigEndian.Uint64(text)) //nolint:gosec // we signed it
}

func (p *Password) signature(text []byte) []byte {
	mac := hmac.New(sha256.New, p.Key)
	mac.Write([]byte("afterchat session 1\n"))
	mac.Write(text)
	return mac.Sum(nil)
}

// cookie is a session's cookie; "" as value ends the session. A browser tells with Origin whether it came over HTTPS, also
// where a proxy in between has taken that off.
func cookie(r *http.Request, value string) *http.Cookie {
	secure := r.TLS != nil || strings.HasPrefix(r.Header.Get("Origin"), "https://")
	c := &http.Cookie{
		Name: sessionPlain, Value: value, Path: "/", HttpOnly: true, Secure: secure, SameSite: http.SameSiteLaxMode,
		MaxAge: int(sessionLasts.Seconds()),
	}
	if secure {
		c.Name = sessionSecure
	}
	if value == "" {
		c.MaxAge = -1
	}
	return c
}

// logIn answers POST /login with the form fields password and next. What went wrong is told to GET /login by the query
// parameter error: wrong, or wait after too many tries.
func (c *console) logIn(e echo.Context) error {
	r := e.Request()
	r.Body = http.MaxBytesReader(e.Response(), r.Body, 4<<10)
	access, next := c.access(), ownPath(e.FormValue("next"))
	from := access.addressOf(r)
	again := func(why string) error {
		return e.Redirect(http.StatusSeeOther, "/login?error="+why+"&next="+url.QueryEscape(next))
	}
	switch {
	case access.Password == nil:
		return e.Redirect(http.StatusSeeOther, next)
	case !c.tries.allow(from, time.Now()):
		e.Response().Header().Set("Retry-After", "60")
		c.Logger.Warn("login", "result", "too many tries", "ip", from.String())
		return again("wait")
	}
	if !c.tries.check(r.Context(), access.Password, e.FormValue("password")) {
		c.Logger.Warn("login", "result", "wrong password", "ip", from.String())
		return again("wrong")
	}
	c.Logger.Info("login", "result", "ok", "ip", from.String())
	if err := c.audit(r.Context(), Person{Address: from.String()}.as(adminName, Admin), "login", "", ""); err != nil {
		return err
	}
	e.SetCookie(cookie(r, access.Password.sign(time.Now())))
	return e.Redirect(http.StatusSeeOther, next)
}

// logOut answers POST /logout.
func (c *console) logOut(e echo.Context) error {
	e.SetCookie(cookie(e.Request(), ""))
	return e.Redirect(http.StatusSeeOther, "/login")
}

// ownPath is where to go after a log-in: a path of ours, whatever the form says.
func ownPath(next string) string {
	if !strings.HasPrefix(next, "/") || strings.HasPrefix(next, "//") || strings.ContainsAny(next, "\\\r\n\t") {
		return "/"
	}
	return next
}

const (
	// triesAtOnce is how many tries an address has at first, triesEvery how often it gets one more.
	triesAtOnce = 5
	triesEvery  = 20 * time.Second
	// manyTriers bounds the memory of addresses.
	manyTriers = 10_000
)

// tries limits guesses at the password: so many for each address, and one at a time, for each costs memory. Its zero
// value is ready for use.
type tries struct {
	mu   sync.Mutex
	left map[netip.Addr]allowance
	turn sync.Mutex
}

type allowance struct {
	tries float64
	at    time.Time
}

// allow takes a try from an address. Neighbors in IPv6 count as one.
func (t *tries) allow(from netip.Addr, now time.Time) bool {
	if from.Is6() {
		if p, err := from.Prefix(64); err == nil {
			from = p.Addr()
		}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.left == nil || len(t.left) >= manyTriers {
		t.left = map[netip.Addr]allowance{}
	}
	a, known := t.left[from]
	if !known {
		a = allowance{triesAtOnce, now}
	}
	a.tries = min(triesAtOnce, a.tries+float64(now.Sub(a.at))/float64(triesEvery))
	a.at = now
	ok := a.tries >= 1
	if ok {
		a.tries--
	}
	t.left[from] = a
	return ok
}

// check tells whether the password is right.
func (t *tries) check(ctx context.Context, p *Password, text string) bool {
	t.turn.Lock()
	defer t.turn.Unlock()
	return ctx.Err() == nil && p.Matches(text)
}
