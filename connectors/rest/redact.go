// This file keeps secrets and rubbish out of error texts.

package rest

import (
	"encoding/base64"
	"encoding/json"
	"html"
	"net/http"
	"net/url"
	"regexp"
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
	secrets := slices.Clone(c.opts.Secrets)
	if r != nil {
		for _, s := range requestSecrets(r) {
			secrets = append(secrets, secret.New(s))
		}
	}
	return oneLine(Hide(text, secrets...))
}

// Hide masks secrets in a text that comes from a target: as they are, as they look in an address, in JSON, in HTML and
// in base64, and their letters and digits alone, whatever became of the characters between them. Texts of less than
// four bytes are no secrets.
func Hide(text string, secrets ...secret.String) string {
	var all []string
	for _, s := range secrets {
		all = append(all, forms(s.Reveal())...)
	}
	// A secret that is part of another must not spoil the longer one's match.
	slices.SortFunc(all, func(a, b string) int { return len(b) - len(a) })
	for _, form := range slices.Compact(all) {
		text = strings.ReplaceAll(text, form, secret.Mask)
	}
	return text
}

// letters are what no escaping changes. A shorter row of them may be a word.
var letters = regexp.MustCompile(`[A-Za-z0-9]{12,}`)

// forms lists the ways in which a secret may be written.
func forms(plain string) []string {
	if len(plain) < minSecret {
		return nil
	}
	out := []string{
		plain, url.QueryEscape(plain), url.PathEscape(plain), html.EscapeString(plain),
		base64.StdEncoding.EncodeToString([]byte(plain)), base64.RawURLEncoding.EncodeToString([]byte(plain)),
	}
	if quoted, err := json.Marshal(plain); err == nil {
		out = append(out, string(quoted[1:len(quoted)-1]))
	}
	if quoted, err := JSON(plain); err == nil {
		out = append(out, string(quoted[1:len(quoted)-1]))
	}
	if !strings.Contains(plain, "://") { // the host of an address is none; its secret parts are secrets of their own
		out = append(out, letters.FindAllString(plain, -1)...)
	}
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
