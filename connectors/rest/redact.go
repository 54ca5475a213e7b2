// This file keeps secrets and rubbish out of error texts.

package rest

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/afterchat/afterchat/config/secret"
)

const (
	maxExcerpt = 2 << 10 // bytes of an answer that an error quotes
	minSecret  = 4       // shorter texts are no secrets; hiding them would blacken half the excerpt
)

// excerpt is the beginning of an answer's body as an error may quote it. Secrets go before the cut, so that none is cut
// in half and then not recognized.
func (c *Client) excerpt(r *http.Request, body []byte) string {
	text := c.clean(r, string(body))
	if len(text) <= maxExcerpt {
		return text
	}
	end := maxExcerpt
	for !utf8.RuneStart(text[end]) {
		end--
	}
	return text[:end] + "…"
}

// clean hides the secrets of the target and of r, which may be nil, and makes the text one printable line.
func (c *Client) clean(r *http.Request, text string) string {
	for _, hidden := range c.hidden(r) {
		text = strings.ReplaceAll(text, hidden, secret.Mask)
	}
	return oneLine(text)
}

// hidden lists the texts that must not be shown, each also as it looks in an address.
func (c *Client) hidden(r *http.Request) []string {
	var plain []string
	for _, s := range c.opts.Secrets {
		plain = append(plain, s.Reveal())
	}
	if r != nil {
		plain = append(plain, requestSecrets(r)...)
	}
	var out []string
	for _, p := range plain {
		if len(p) < minSecret {
			continue
		}
		out = append(out, p)
		for _, escaped := range []string{url.QueryEscape(p), url.PathEscape(p)} {
			if escaped != p {
				out = append(out, escaped)
			}
		}
	}
	// A secret that is part of another must not spoil the longer one's match.
	slices.SortFunc(out, func(a, b string) int { return len(b) - len(a) })
	return out
}

// requestSecrets are the credentials that a request carries by itself.
func requestSecrets(r *http.Request) []string {
	var out []string
	for _, name := range []string{"Authorization", "Proxy-Authorization", "Cookie"} {
		for _, value := range r.Header.Values(name) {
			out = append(out, value)
			if _, credentials, ok := strings.Cut(value, " "); ok {
				out = append(out, credentials)
			}
		}
	}
	if _, password, ok := r.BasicAuth(); ok {
		out = append(out, password)
	}
	if password, ok := r.URL.User.Password(); ok {
		out = append(out, password)
	}
	return out
}

// oneLine makes text valid UTF-8 on one line: runs of spaces and control characters become one space.
func oneLine(text string) string {
	var b strings.Builder
	gap := false
	for _, r := range strings.ToValidUTF8(text, "\uFFFD") {
		if unicode.IsSpace(r) || !unicode.IsPrint(r) {
			gap = b.Len() > 0
			continue
		}
		if gap {
			b.WriteByte(' ')
			gap = false
		}
		b.WriteRune(r)
	}
	return b.String()
}
