// This file lets a connector push without sending: its requests are written down and answered by a function, so that
// what a preview shows is built by the code that pushes.

package rest

import (
	"bytes"
	"io"
	"net/http"
	"strings"

	"github.com/afterchat/afterchat/config/secret"
	"github.com/afterchat/afterchat/connectors"
)

// Rehearsal is an http.RoundTripper that sends nothing. Put one into Env.Transport of a Client of its own. It is for one
// goroutine.
type Rehearsal struct {
	// Answer gives the answer that a target would give. It may set the note of the request, and whether that only reads;
	// a GET or HEAD does unless it says otherwise. nil: 200 with an empty object.
	Answer func(r *connectors.Request) (status int, body string)

	// Requests are what would have been sent so far, with all headers that hold a secret masked and the address whole.
	Requests []connectors.Request

	// Masked names further headers that show as ***.
	Masked []string
}

// plainHeaders are what every request has and what says nothing about it.
func plainHeaders() []string { return []string{"User-Agent", "Accept"} }

// RoundTrip implements http.RoundTripper.
func (h *Rehearsal) RoundTrip(r *http.Request) (*http.Response, error) {
	var body []byte
	if r.Body != nil {
		var err error
		body, err = io.ReadAll(r.Body)
		_ = r.Body.Close()
		if err != nil {
			return nil, err
		}
	}
	req := connectors.Request{
		Method: r.Method, URL: r.URL.String(), Headers: h.headers(r.Header), Body: string(body),
		Reads: r.Method == http.MethodGet || r.Method == http.MethodHead,
	}
	status, answer := http.StatusOK, "{}"
	if h.Answer != nil {
		status, answer = h.Answer(&req)
	}
	h.Requests = append(h.Requests, req)
	return &http.Response{
		Status: http.StatusText(status), StatusCode: status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(bytes.NewReader([]byte(answer))),
		ContentLength: int64(len(answer)), Request: r,
	}, nil
}

// headers returns the headers that say something. Of credentials the usual schemes stay.
func (h *Rehearsal) headers(header http.Header) map[string]string {
	shown := header.Clone()
	for _, name := range plainHeaders() {
		shown.Del(name)
	}
	for _, name := range append([]string{"Authorization", "Proxy-Authorization", "Cookie"}, h.Masked...) {
		value := shown.Get(name)
		if value == "" {
			continue
		}
		mask := secret.Mask
		if scheme, _, ok := strings.Cut(value, " "); ok && (scheme == "Basic" || scheme == "Bearer") {
			mask = scheme + " " + secret.Mask
		}
		shown.Set(name, mask)
	}
	out := map[string]string{}
	for name, values := range shown {
		out[name] = strings.Join(values, ", ")
	}
	if len(out) == 0 {
		return nil
	}
	return out
}
