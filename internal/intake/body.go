// This file reads a body within its limits: its own size, what is in memory at once, the size after inflating.

package intake

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
)

// refusal is why a hook was not taken, and the answer to it.
type refusal struct {
	status int
	result string // for the metric
	text   string // for the sender
	err    error  // for the log; may be nil
}

var tooLarge = refusal{
	status: http.StatusRequestEntityTooLarge, result: "too_large",
	text: "the body is larger than max_body, which can be raised in the configuration",
}

var errTooLarge = errors.New("the inflated body is larger than max_body")

// budget bounds the bytes of bodies that are in memory at once.
type budget struct{ used atomic.Int64 }

// share is what one hook has taken of the budget.
type share struct {
	of    *budget
	limit int64 // 0: none
	taken int64
}

// take says whether n more bytes stay within the limit. A hook that is alone is never refused.
func (s *share) take(n int64) bool {
	used := s.of.used.Add(n)
	if used > s.limit && s.limit != 0 && used != s.taken+n {
		s.of.used.Add(-n)
		return false
	}
	s.taken += n
	return true
}

// release gives back everything.
func (s *share) release() { s.of.used.Add(-s.taken) }

// A body is read in steps that grow with it, so that a sender who claims much and sends little holds little.
const firstStep, longestStep = 16 << 10, 1 << 20

// read reads the body of r.
func (h *Handler) read(w http.ResponseWriter, r *http.Request, memory *share) (body []byte, refused *refusal) {
	if r.ContentLength > h.MaxBody {
		return nil, &tooLarge
	}
	expected := h.MaxBody
	if r.ContentLength >= 0 {
		expected = r.ContentLength
	}
	body, err := fill(http.MaxBytesReader(w, r.Body, h.MaxBody), expected, memory)
	if err != nil {
		return nil, readRefusal(err)
	}
	return body, nil
}

// errBusy means that there is no room in memory for more of a body.
var errBusy = errors.New("too many bytes of hooks in memory at once")

// fill reads all of from, of which expected bytes are to come at most.
func fill(from io.Reader, expected int64, memory *share) ([]byte, error) {
	var buffer bytes.Buffer
	for {
		step := max(0, min(max(int64(buffer.Len()), firstStep), longestStep, expected-int64(buffer.Len())))
		if !memory.take(step) {
			return nil, errBusy
		}
		buffer.Grow(int(step) + bytes.MinRead)          // so that a step is one allocation, and its end none
		_, err := io.CopyN(&buffer, from, max(step, 1)) // at the end one byte more, to see that it is the end
		if errors.Is(err, io.EOF) {
			return buffer.Bytes(), nil
		}
		if err != nil {
			return buffer.Bytes(), err
		}
	}
}

var busy = refusal{status: http.StatusServiceUnavailable, result: "unavailable", text: "too many hooks at once, send it again"}

func readRefusal(err error) *refusal {
	if errors.Is(err, errBusy) {
		return &busy
	}
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return &tooLarge
	}
	if timeout, ok := errors.AsType[net.Error](err); ok && timeout.Timeout() {
		return &refusal{status: http.StatusRequestTimeout, result: "too_slow", text: "the body took too long to arrive"}
	}
	return &refusal{status: http.StatusBadRequest, result: "bad_request", text: "the body did not arrive whole", err: err}
}

// inflate undoes a Content-Encoding, within limit bytes. An error other than errTooLarge and errBusy means that the body
// cannot be read as it is labelled.
func inflate(body []byte, encoding string, limit int64, memory *share) ([]byte, error) {
	reader, err := inflater(body, encoding)
	if reader == nil {
		return body, err
	}
	plain, err := fill(io.LimitReader(reader, limit+1), limit, memory)
	switch {
	case errors.Is(err, errBusy):
		return nil, err
	case int64(len(plain)) > limit:
		return nil, errTooLarge
	case err != nil:
		return unlabelled(body, err)
	}
	return plain, nil
}

// inflater returns what reads a body through its Content-Encoding; nil if it is to be taken as it is.
func inflater(body []byte, encoding string) (io.Reader, error) {
	encoding = strings.ToLower(strings.TrimSpace(encoding))
	if unlabeled := encoding == "" || encoding == "identity"; unlabeled && bytes.HasPrefix(body, []byte{0x1f, 0x8b, 8}) {
		encoding = "gzip" // nothing that is sent as text begins like this
	}
	switch encoding {
	case "", "identity":
		return nil, nil
	case "gzip", "x-gzip":
		z, err := gzip.NewReader(bytes.NewReader(body))
		if err != nil {
			_, err = unlabelled(body, err)
			return nil, err
		}
		return z, nil
	case "deflate": // zlib by the standard, bare deflate by habit
		if z, err := zlib.NewReader(bytes.NewReader(body)); err == nil {
			return z, nil
		}
		return flate.NewReader(bytes.NewReader(body)), nil
	}
	return nil, fmt.Errorf("content encoding %q is not supported; send gzip, deflate or none", encoding)
}

// unlabelled handles a body that is not compressed although its label says so: taken as it is if it is JSON or a form.
func unlabelled(body []byte, cause error) ([]byte, error) {
	if trimmed := bytes.TrimLeft(body, " \t\r\n\xef\xbb\xbf"); len(trimmed) == 0 || trimmed[0] == '{' || trimmed[0] == '[' {
		return body, nil
	}
	return nil, fmt.Errorf("the body cannot be inflated: %w", cause)
}

// isProbe tells whether a body is a connection check and not a conversation.
func isProbe(body []byte) bool {
	if len(body) > 64 {
		return len(bytes.TrimSpace(body)) == 0
	}
	switch strings.ToLower(strings.Join(strings.Fields(strings.Trim(string(body), "\x00\ufeff")), "")) {
	case "", "{}", "[]", "null", "test", `"test"`:
		return true
	}
	return false
}

var answerOK = []byte(`{"result":"ok"}`)

func answerQuarantined(reason string) []byte {
	return encode(struct {
		Result      string `json:"result"`
		Quarantined string `json:"quarantined"`
	}{"ok", reason})
}

func answerBody(text string) []byte {
	return encode(struct {
		Result string `json:"result"`
		Error  string `json:"error"`
	}{"error", text})
}

func encode(v any) []byte {
	body, err := json.Marshal(v)
	if err != nil { // a struct of strings always encodes
		panic(err)
	}
	return body
}
