// This file adds credentials and signatures.

package http

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"strconv"
	"time"

	"github.com/afterchat/afterchat/config/secret"
)

// idHeader carries the message's id to the signature; see https://www.standardwebhooks.com.
const idHeader = "Webhook-Id"

// authorize returns what adds credentials to a request, or nil.
func (a *Auth) authorize() (func(*http.Request, []byte) error, error) {
	switch {
	case a == nil:
		return nil, nil
	case a.Basic != nil:
		return func(r *http.Request, _ []byte) error {
			r.SetBasicAuth(a.Basic.User, a.Basic.Password.Reveal())
			return nil
		}, nil
	case a.HMAC != nil:
		key, err := signingKey(a.HMAC.Secret)
		if err != nil {
			return nil, err
		}
		return func(r *http.Request, body []byte) error {
			a.HMAC.sign(r.Header, key, body, time.Now())
			return nil
		}, nil
	}
	return func(r *http.Request, _ []byte) error {
		r.Header.Set("Authorization", "Bearer "+a.Bearer.Reveal())
		return nil
	}, nil
}

// sign writes a plain signature of the body, or the headers of Standard Webhooks: the id stays the same when a message
// is sent again, the timestamp is that of the try.
func (h *HMAC) sign(header http.Header, key, body []byte, now time.Time) {
	if h.Header != "" {
		sum := mac(key, body)
		text := hex.EncodeToString(sum)
		if h.Encoding == "base64" {
			text = base64.StdEncoding.EncodeToString(sum)
		}
		header.Set(h.Header, h.Prefix+text)
		return
	}
	id, stamp := header.Get(idHeader), strconv.FormatInt(now.Unix(), 10)
	sum := mac(key, []byte(id), []byte("."), []byte(stamp), []byte("."), body)
	header.Set("Webhook-Timestamp", stamp)
	header.Set("Webhook-Signature", "v1,"+base64.StdEncoding.EncodeToString(sum))
}

func mac(key []byte, parts ...[]byte) []byte {
	h := hmac.New(sha256.New, key)
	for _, p := range parts {
		h.Write(p)
	}
	return h.Sum(nil)
}

// secrets lists what an answer might echo and an error must not show.
func (a *Auth) secrets() []secret.String {
	if a == nil {
		return nil
	}
	out := []secret.String{a.Bearer}
	if a.Basic != nil {
		out = append(out, a.Basic.Password)
	}
	if a.HMAC != nil {
		out = append(out, a.HMAC.Secret)
	}
	return out
}
