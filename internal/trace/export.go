// This file sends spans to a collector: OTLP over HTTP, as JSON. A batch that is not taken is dropped, and said in the
// log once for as long as that goes on.

package trace

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

// exporter is a sdktrace.SpanExporter. It is called by one goroutine at a time.
type exporter struct {
	settings settings
	where    string // the collector as logs may name it
	agent    string
	client   *http.Client
	log      *slog.Logger
	ctx      context.Context // ends what is under way
	cut      context.CancelFunc
	lost     int // spans since the collector stopped taking them
}

func newExporter(s settings, version string, log *slog.Logger) *exporter {
	e := &exporter{settings: s, where: s.endpoint.Scheme + "://" + s.endpoint.Host, agent: "afterchat/" + version, log: log}
	e.ctx, e.cut = context.WithCancel(context.Background())
	e.client = &http.Client{
		Transport: &http.Transport{
			Proxy: http.ProxyFromEnvironment, TLSClientConfig: s.tls, ForceAttemptHTTP2: true,
			MaxIdleConnsPerHost: 1, MaxResponseHeaderBytes: maxAnswer,
		},
		// A redirect would carry the headers, which may hold a key, to an address that nobody configured.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return e
}

// maxAnswer is how much of an answer is read, in bytes.
const maxAnswer = 64 << 10

// ExportSpans sends a batch. Its error is always nil: what there is to say is in the log.
func (e *exporter) ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	ctx, cancel := context.WithTimeout(ctx, e.settings.timeout)
	defer cancel()
	defer context.AfterFunc(e.ctx, cancel)()
	refused, err := e.post(ctx, spans)
	switch {
	case err != nil:
		if e.lost == 0 {
			e.log.Warn("traces.lost", "collector", e.where, "error", err,
				"hint", "hooks and deliveries do not depend on it; this is said once until spans are taken again")
		}
		e.lost += refused
	case e.lost > 0:
		e.log.Info("traces.resumed", "collector", e.where, "lost", e.lost)
		e.lost = 0
	}
	return nil
}

// Shutdown is called after the last batch.
func (e *exporter) Shutdown(context.Context) error {
	e.client.CloseIdleConnections()
	return nil
}

// post sends a batch and returns how many of its spans were not taken; none with a nil error.
func (e *exporter) post(ctx context.Context, spans []sdktrace.ReadOnlySpan) (refused int, err error) {
	body, err := e.encode(spans)
	if err != nil {
		return len(spans), err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, e.settings.endpoint.String(), bytes.NewReader(body))
	if err != nil {
		return len(spans), withoutURL(err)
	}
	request.Header = e.settings.header.Clone()
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("User-Agent", e.agent)
	if e.settings.gzip {
		request.Header.Set("Content-Encoding", "gzip")
	}
	response, err := e.client.Do(request)
	if err != nil {
		return len(spans), withoutURL(err)
	}
	defer func() { _ = response.Body.Close() }()
	answer, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if response.StatusCode < 200 || response.StatusCode > 299 {
		return len(spans), fmt.Errorf("the collector answered %d %s", response.StatusCode, http.StatusText(response.StatusCode))
	}
	if err != nil {
		return len(spans), withoutURL(err)
	}
	return partial(answer)
}

// encode writes spans in the form of the protocol.
func (e *exporter) encode(spans []sdktrace.ReadOnlySpan) ([]byte, error) {
	body, err := json.Marshal(requestOf(spans))
	if err != nil || !e.settings.gzip {
		return body, err
	}
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	if _, err = z.Write(body); err == nil {
		err = z.Close()
	}
	return out.Bytes(), err
}

// partial reads from the answer of a collector how many spans it did not take.
func partial(answer []byte) (refused int, err error) {
	var a struct {
		Partial struct {
			Rejected json.Number `json:"rejectedSpans"`
		} `json:"partialSuccess"`
	}
	if json.Unmarshal(answer, &a) != nil {
		return 0, nil // it took them, whatever it says
	}
	if n, _ := a.Partial.Rejected.Int64(); n > 0 {
		return int(n), fmt.Errorf("the collector refused %d spans", n)
	}
	return 0, nil
}

// withoutURL takes the address, which may hold a key, out of an error.
func withoutURL(err error) error {
	if e, ok := errors.AsType[*url.Error](err); ok {
		return e.Err
	}
	return err
}
