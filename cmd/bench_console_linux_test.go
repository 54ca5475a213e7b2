// This file measures how long the pages of the console take when the ledger holds a million conversations.

package cmd_test

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
)

// pageGoal is what a page may take, from the request to its last byte.
const pageGoal = 200 * time.Millisecond

// BenchmarkConsole prints a table of pages. It needs the built binary, see binary.
func BenchmarkConsole(b *testing.B) {
	binary(b)
	n := benchPace().conversations
	for range b.N {
		_, desk := fussy(b)
		m := newMeasured(b, fmt.Sprintf(consoleTargets, desk))
		begin := time.Now()
		seeded(b, m.configuration, m.hooks, m.admin, m.ledgerFile, n, 20_000, 30*24*time.Hour)
		b.Logf("seeded in %s", time.Since(begin).Round(time.Second))
		m.run(b)
		settled(b, m.admin) // what a start does in the background is over
		for range 5 {
			pageTimes(b, m.admin, "/")
		}
		id := newestConversation(b, m.admin)
		var t table
		for _, path := range []string{
			"/", "/?range=1h", "/?range=7d",
			"/conversations", "/conversations?from=shop", "/conversations?state=dead", "/conversations?target=crm", "/conversations?outcome=missed", "/conversations?is=unrouted",
			"/conversations?since=24h", "/conversations?until=2020-01-01",
			"/conversations?q=" + url.QueryEscape(fmt.Sprintf("v%d@example.com", n-1)), "/conversations?q=ada%40example.com", "/conversations?q=needle", "/conversations?q=order", "/conversations?q=" + url.QueryEscape(`"where is my needle"`),
			"/conversations?q=" + url.QueryEscape("rating:<3 state:dead order"), fmt.Sprintf("/conversations?q=external_id:%d", n/2),
			"/conversations?q=email:v7", "/conversations?q=email:%40example.com", "/conversations?q=receipt:4711", "/conversations?q=4711", fmt.Sprintf("/conversations?q=external_id:%d*", n/200),
			"/conversations/" + id,
			"/deliveries", "/deliveries?state=pending", "/deliveries?state=dead", "/deliveries?state=delivered&target=help", "/deliveries?class=rejected+422", "/deliveries?q=needle", "/deliveries?from=shop",
			"/failures", "/failures?target=help", "/failures?since=24h", "/failures?q=needle", "/failures?q=order",
			"/quarantine", "/targets", "/replays", "/replays/new?state=dead", "/replays/new?state=dead&target=help&since=24h", "/playground", "/configuration", "/audit",
		} {
			times, bytes := pageTimes(b, m.admin, path)
			median := times[len(times)/2]
			shown, err := url.QueryUnescape(strings.ReplaceAll(path, id, "ID"))
			if err != nil {
				b.Fatal(err)
			}
			t.add(shown, fmt.Sprintf("%s, at most %s, %d kB", ms(median), ms(times[len(times)-1]), bytes/1000), "", "< 200 ms", median < pageGoal)
		}
		t.print(fmt.Sprintf("console, %d conversations", n))
		m.stop()
	}
	b.ReportMetric(0, "ns/op")
}

// pageTimes asks for a page, and then for it some more times.
func pageTimes(b testing.TB, admin, path string) (times []time.Duration, bytes int) {
	b.Helper()
	for i := range 8 {
		begin := time.Now()
		request, err := http.NewRequestWithContext(b.Context(), http.MethodGet, "http://"+admin+path, nil)
		if err != nil {
			b.Fatal(err)
		}
		response, err := hookClient.Do(request)
		if err != nil {
			b.Fatalf("%s: %v", path, err)
		}
		body, err := io.ReadAll(response.Body)
		_ = response.Body.Close()
		if err != nil || response.StatusCode != http.StatusOK {
			b.Fatalf("%s: %s %v", path, response.Status, err)
		}
		if bytes = len(body); i > 0 { // the first fills caches
			times = append(times, time.Since(begin))
		}
	}
	slices.Sort(times)
	return times, bytes
}

func newestConversation(b testing.TB, admin string) string {
	b.Helper()
	_, text := answer(b, "http://"+admin+"/api/v1/conversations?limit=1")
	_, rest, found := strings.Cut(text, `"id":"`)
	id, _, ended := strings.Cut(rest, `"`)
	if !found || !ended {
		b.Fatalf("no conversation in %s", text)
	}
	return id
}
