// This file tests the search box: what is understood, what is refused with which words, and that a filter survives being
// written and read.

package console

import (
	"math"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/afterchat/afterchat/internal/ledger"
)

var searchNow = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

func TestParseQuery(t *testing.T) {
	t.Parallel()
	below3 := math.Nextafter(3, 0)
	above := math.Nextafter(2, 3)
	two, four := 2.0, 4.0
	for text, want := range map[string]ledger.Filter{
		"":  {},
		" ": {},
		`target:help state:dead rating:<3 from:shop "refund"`: {
			Targets: []string{"help"}, States: []ledger.State{ledger.Dead}, MaxRating: &below3, Sources: []string{"shop"}, Text: []string{"refund"},
		},
		`state:dead,pending STATE:dead`:                  {States: []ledger.State{ledger.Dead, ledger.Pending}},
		`route:"bad rating",other credit "lost parcel"`:  {Routes: []string{"bad rating", "other"}, Text: []string{"credit", "lost parcel"}},
		`route:"a,b" class:"rejected 422 custom_fields"`: {Routes: []string{"a,b"}, Classes: []string{"rejected 422 custom_fields"}},
		`email:Ada@Example.COM`:                          {Emails: []string{"ada@example.com"}},
		`email:Ada,@Example.com,j.d*`:                    {Emails: []string{"ada", "@example.com", "j.d*"}},
		`external_id:conv_8f* receipt:#4711,abc`:         {ExternalIDs: []string{"conv_8f*"}, Receipts: []string{"4711", "abc"}},
		`outcome:missed,Offline is:unrouted brand:acme`:  {Outcomes: []string{"missed", "offline"}, Unrouted: true, Brands: []string{"acme"}},
		`rating:>2 rating:<=4`:                           {MinRating: &above, MaxRating: &four},
		`rating:2`:                                       {MinRating: &two, MaxRating: &two},
		`id:c1 external_id:9,10`:                         {IDs: []string{"c1"}, ExternalIDs: []string{"9", "10"}},
		`cqmde4x8n35b1q3twmxa91zyfmr refund id:c1`:       {IDs: []string{"cqmde4x8n35b1q3twmxa91zyfmr", "c1"}, Text: []string{"refund"}},
		`"cqmde4x8n35b1q3twmxa91zyfmr" cqmde4x8n35`:      {Text: []string{"cqmde4x8n35b1q3twmxa91zyfmr", "cqmde4x8n35"}},
		`since:24h until:2026-11-22`:                     {Since: searchNow.Add(-24 * time.Hour), Until: time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)},
		`since:1w2d12h`:                                  {Since: time.Date(2026, 11, 13, 0, 0, 0, 0, time.UTC)},
		`failed_since:2026-11-01T08:00:00+01:00`:         {FailedSince: time.Date(2026, 11, 1, 7, 0, 0, 0, time.UTC)},
		`https://shop.example.com/a "note: paid" 10:30`:  {Text: []string{"https://shop.example.com/a", "note: paid", "10:30"}},
		`"a \"quoted\" word" "" "  " back\slash "c:\\d"`: {Text: []string{`a "quoted" word`, `back\slash`, `c:\d`}},
		"příliš\u00a0žluťoučký":                          {Text: []string{"příliš", "žluťoučký"}},
	} {
		got, err := ParseQuery(text, searchNow)
		if err != nil {
			t.Errorf("%s: %v", text, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", text, diff)
		}
	}
}

func TestParseQueryMistakes(t *testing.T) {
	t.Parallel()
	for text, want := range map[string][]string{
		`sate:dead`:       {`there is no field "sate"`, "did you mean state?", "external_id"},
		`foo:bar`:         {`there is no field "foo"`, "target, state", "put text with a colon into quotes"},
		`state:gone`:      {`state: "gone" is no state`, "pending, delivered, dead"},
		`state:`:          {"state: has no value"},
		`state:dead,`:     {"state: has no value"},
		`rating:good`:     {`"good" is no rating`},
		`rating:NaN`:      {`"NaN" is no rating`},
		`rating:<>3`:      {`"<>" is no comparison`},
		`since:yesterday`: {`"yesterday" is no time`, "24h"},
		`since:-5m`:       {`"-5m" is no time`},
		`outcome:happy`:   {`"happy" is no outcome`, "missed"},
		`email:*`:         {"email: \"*\" is a part of every address", "@example.com"},
		`email:@`:         {"email: \"@\" is a part of every address"},
		`email:*@a.com`:   {"has a * that is not at its end"},
		`external_id:*`:   {"external_id: \"*\" is the beginning of everything", "conv_8f3*"},
		`recept:1`:        {"did you mean receipt?"},
		`is:dead`:         {`"dead" is not known`, "unrouted"},
		`"open`:           {"a quote is not closed"},
		`route:"a"b`:      {"without a space"},
	} {
		_, err := ParseQuery(text, searchNow)
		if err == nil {
			t.Errorf("%s is understood", text)
			continue
		}
		for _, part := range want {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("%s: %q does not say %q", text, err, part)
			}
		}
	}
}

// TestFormatQuery: a filter is written as a person would.
func TestFormatQuery(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		`"refund"  from:shop rating:<3 target:help state:dead,pending`: `target:help state:dead state:pending from:shop rating:<3 refund`,
		`since:12h until:2026-11-22 rating:>=2`:                        `rating:>=2 since:2026-11-22 until:2026-11-22`,
		`"cqmde4x8n35b1q3twmxa91zyfmr"`:                                `"cqmde4x8n35b1q3twmxa91zyfmr"`,
		`receipt:#4711 email:@a.com,j* external_id:"a b*"`:             `email:@a.com email:j* external_id:"a b*" receipt:4711`,
		`route:"bad rating" "a:b" "two words"`:                         `route:"bad rating" "a:b" "two words"`,
	} {
		f, err := ParseQuery(text, searchNow)
		if err != nil {
			t.Fatal(err)
		}
		if got := FormatQuery(f); got != want {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
	}
}

func FuzzQuery(f *testing.F) {
	for _, text := range []string{
		`target:help state:dead rating:<3 from:shop "refund"`, `rating:>2.5 rating:<=1e300`, `since:1w2d12h is:unrouted`,
		`route:"a,\"b\\" x\y "\" "`, `email:É@X`, `"cqmde4x8n35b1q3twmxa91zyfmr" c00000000000000000000000000`, "a\x00b\xff", `rating:-0 rating:<5e-324`, `until:0001-01-01`, `since:9999-12-31T23:59:59.999999999Z`,
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		parsed, err := ParseQuery(text, searchNow)
		if err != nil {
			return
		}
		written := FormatQuery(parsed)
		again, err := ParseQuery(written, searchNow.Add(time.Hour))
		if err != nil {
			t.Fatalf("%q was understood, %q is not: %v", text, written, err)
		}
		if diff := cmp.Diff(parsed, again); diff != "" {
			t.Errorf("%q became %q (-first +second):\n%s", text, written, diff)
		}
	})
}

// TestParameters: fields in a query select as they do in the box, and together with it.
func TestParameters(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		`q=refund+state:dead&target=help,crm&from=shop`: `target:help target:crm state:dead from:shop refund`,
		`target=help&target=crm&state=dead`:             `target:help target:crm state:dead`,
		`route=bad+rating,"a,b"&rating=<3`:              `route:"bad rating" route:"a,b" rating:<3`,
		`since=24h&is=unrouted`:                         `is:unrouted since:2026-11-21T12:00:00Z`,
	} {
		values, err := url.ParseQuery(text)
		if err != nil {
			t.Fatal(err)
		}
		f, err := filterOf(values, searchNow)
		if err != nil {
			t.Errorf("%s: %v", text, err)
		}
		if got := FormatQuery(f); got != want {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
	}
	for text, says := range map[string]string{`target="a"b`: "comma", `target="a`: "not closed", `target=`: "no value", `target=a,`: "no value", `q="`: "not closed"} {
		values, err := url.ParseQuery(text)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := filterOf(values, searchNow); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v, want %q", text, err, says)
		}
	}
}
