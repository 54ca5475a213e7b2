// This file measures what decoding a usual hook costs.

package smartsupp_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/afterchat/afterchat/internal/source"
	"github.com/afterchat/afterchat/internal/source/smartsupp"
)

// usualHook returns a hook of about 5 kB with 25 messages.
func usualHook() source.Hook {
	var b strings.Builder
	b.WriteString(`{"accountId":208,"beginAt":1427470439703,"endAt":1427470476000,"channel":{"id":55039,"isChat":true,"isMissed":false,` +
		`"isTriggered":false,"isOffline":false,"isCompleted":true,"duration":37,"rating":5,"ratingDesc":"quick"},` +
		`"visitor":{"id":"a","name":"Ada","email":"ada@example.com","countryCode":"CZ","city":"Brno","variables":{"plan":{"label":"Plan","value":"gold"}}},` +
		`"paths":[{"url":"https://shop.example/","title":"Shop"}],"messages":[`)
	for i := range 25 {
		who := `"type":"visitor","name":"Ada","from":"visitor:a"`
		if i%2 == 1 {
			who = `"type":"agent","name":"Eva","from":"agent:3"`
		}
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{%s,"content":%q,"sentAt":%d,"triggeredBy":null}`,
			who, strings.Repeat("Where is my order? ", 4)+"It is late.", 1427470439703+1000*i)
	}
	b.WriteString(`]}`)
	return source.Hook{Body: []byte(b.String()), ContentType: "application/json"}
}

func BenchmarkDecode(b *testing.B) {
	h := usualHook()
	d := smartsupp.Type().New(source.Options{})
	b.SetBytes(int64(len(h.Body)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := d.Decode(h); err != nil {
			b.Fatal(err)
		}
	}
}
