// This file holds the cases of filters and of full-text search: each by itself, and any of them against a plain reading
// of all that is there.

package ledgertest

import (
	"cmp"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/afterchat/afterchat/connectors"
	"github.com/afterchat/afterchat/internal/chat"
	"github.com/afterchat/afterchat/internal/ledger"
)

var searchCases = map[string]func(*desk){
	"each filter":                     searchFilters,
	"any filter is what it says":      searchRandom,
	"words and phrases":               searchWords,
	"hostile texts":                   searchHostile,
	"long texts":                      searchLong,
	"times that are not in any order": searchTimes,
	"after a revision":                searchRevised,
	"after retention":                 searchRetained,
	"under the names of before":       searchRenamed,
	"after opening again":             searchReopened,
}

// searchFilters has five conversations and asks for each field.
func searchFilters(d *desk) {
	received := func(days int) time.Time { return start.Add(time.Duration(days) * day) }
	d.accept(chatOf("c1", func(c *chat.Conversation) {
		c.Source, c.Brand, c.Outcome, c.ExternalID, c.Rating = "shop", "acme", chat.Completed, "x1", new(5.0)
		c.Person = chat.Person{Name: "Ann", Email: "ann@example.com"}
		c.ReceivedAt = received(1)
	}, "help", "crm"), ledger.Accepted, 1)
	d.accept(chatOf("c2", func(c *chat.Conversation) {
		c.Source, c.Brand, c.Outcome, c.ExternalID, c.Rating = "desk", "globo", chat.Missed, "x2", new(1.5)
		c.Person = chat.Person{Name: "Bob", Email: "bob@example.com"}
		c.ReceivedAt = received(2)
	}, "help"), ledger.Accepted, 1)
	d.accept(chatOf("c3", func(c *chat.Conversation) {
		c.Source, c.Outcome, c.ExternalID, c.ReceivedAt = "shop", chat.Offline, "x1", received(3)
	}), ledger.Unrouted, 1)
	h := chatOf("c4", func(c *chat.Conversation) { c.Source, c.Outcome, c.ReceivedAt = "shop", chat.Missed, received(4) }, "crm")
	d.accept(planned(h, func(p *ledger.PlannedDelivery) { p.Routes = []string{`odd "name"`, "second"} }), ledger.Accepted, 1)
	d.accept(chatOf("c5", func(c *chat.Conversation) { c.Source, c.Rating, c.ReceivedAt = "other", new(3.0), received(5) }, "log"), ledger.Accepted, 1)
	for _, c := range d.claimAll("help", lease).Deliveries {
		if c.ID == "c1" {
			d.settle(c, ledger.Dead, dead, func(s *ledger.Settlement) {
				s.Attempt = &ledger.Attempt{At: start, Number: 1, Kind: "rejected", Reason: "no", Detail: ledger.Detail{Class: "rejected 422"}}
			})
		} else {
			d.settle(c, ledger.Delivered, delivered, func(s *ledger.Settlement) {
				s.Receipt = connectors.Receipt{ID: "4711", URL: "https://desk.example.com/4711"}
			})
		}
	}
	d.settle(d.claim("log"), ledger.Pending, again, func(s *ledger.Settlement) { s.Receipt = connectors.Receipt{ID: `a"b\<é>`} })
	long := time.Now().Add(time.Hour)
	for _, test := range []struct {
		name          string
		f             ledger.Filter
		conversations string
		deliveries    string
	}{
		{"nothing", ledger.Filter{}, "c5 c4 c3 c2 c1", "c5 log, c4 crm, c2 help, c1 crm, c1 help"},
		{"ids", ledger.Filter{IDs: []string{"c4", "c1", "none"}}, "c4 c1", "c4 crm, c1 crm, c1 help"},
		{"source", ledger.Filter{Sources: []string{"shop"}}, "c4 c3 c1", "c4 crm, c1 crm, c1 help"},
		{"two sources", ledger.Filter{Sources: []string{"desk", "other"}}, "c5 c2", "c5 log, c2 help"},
		{"brand", ledger.Filter{Brands: []string{"acme", "globo", "acme"}}, "c2 c1", "c2 help, c1 crm, c1 help"},
		{"no brand", ledger.Filter{Brands: []string{""}}, "c5 c4 c3", "c5 log, c4 crm"},
		{"outcome", ledger.Filter{Outcomes: []string{"missed", "offline"}}, "c4 c3 c2", "c4 crm, c2 help"},
		{"external id", ledger.Filter{ExternalIDs: []string{"x1"}}, "c3 c1", "c1 crm, c1 help"},
		{"e-mail", ledger.Filter{Emails: []string{"BOB@example.com"}}, "c2", "c2 help"},
		{"no such e-mail", ledger.Filter{Emails: []string{"eve@example.com"}}, "", ""},
		{"no e-mail", ledger.Filter{Emails: []string{""}}, "c5 c4 c3", "c5 log, c4 crm"},
		{"the beginning of an e-mail", ledger.Filter{Emails: []string{"AN"}}, "c1", "c1 crm, c1 help"},
		{"an e-mail up to its sign", ledger.Filter{Emails: []string{"bob@*"}}, "c2", "c2 help"},
		{"not the middle of an e-mail", ledger.Filter{Emails: []string{"nn", "nn@example.com", "example.com"}}, "", ""},
		{"a domain", ledger.Filter{Emails: []string{"@Example.com"}}, "c2 c1", "c2 help, c1 crm, c1 help"},
		{"half a domain", ledger.Filter{Emails: []string{"@example"}}, "", ""},
		{"the beginning of a domain", ledger.Filter{Emails: []string{"@exa*"}}, "c2 c1", "c2 help, c1 crm, c1 help"},
		{"e-mails that find the same", ledger.Filter{Emails: []string{"ann", "@example.com", "ann@example.com", "@EXAMPLE.com"}}, "c2 c1", "c2 help, c1 crm, c1 help"},
		{"the beginning of an external id", ledger.Filter{ExternalIDs: []string{"x1*"}}, "c3 c1", "c1 crm, c1 help"},
		{"external ids and beginnings", ledger.Filter{ExternalIDs: []string{"x1*", "x2"}}, "c3 c2 c1", "c2 help, c1 crm, c1 help"},
		{"no star, no beginning", ledger.Filter{ExternalIDs: []string{"x"}}, "", ""},
		{"receipt", ledger.Filter{Receipts: []string{"4711"}}, "c2", "c2 help"},
		{"receipts and a target", ledger.Filter{Receipts: []string{"4711", "4712"}, Targets: []string{"crm"}}, "", ""},
		{"half a receipt", ledger.Filter{Receipts: []string{"471", "", "4711 "}}, "", ""},
		{"odd receipts", ledger.Filter{Receipts: []string{`a"b\<é>`, "4711"}}, "c5 c2", "c5 log, c2 help"},
		{"odd receipt as a text", ledger.Filter{Text: []string{`a"b\<é>`}}, "c5", "c5 log"},
		{"receipt as a text", ledger.Filter{Text: []string{"4711"}}, "c2", "c2 help"},
		{"receipt with a sign", ledger.Filter{Text: []string{"#4711"}}, "c2", "c2 help"},
		{"receipt and a word", ledger.Filter{Text: []string{"4711", "bob"}}, "c2", "c2 help"},
		{"receipt and another word", ledger.Filter{Text: []string{"4711", "ann"}}, "", ""},
		{"receipt as a text and a source", ledger.Filter{Text: []string{"4711"}, Sources: []string{"desk"}, IDs: []string{"c1", "c2"}}, "c2", "c2 help"},
		{"receipt as a text and a state", ledger.Filter{Text: []string{"4711"}, States: []ledger.State{ledger.Dead}}, "", ""},
		{"since", ledger.Filter{Since: received(3)}, "c5 c4 c3", "c5 log, c4 crm"},
		{"until", ledger.Filter{Until: received(3)}, "c2 c1", "c2 help, c1 crm, c1 help"},
		{"since and until", ledger.Filter{Since: received(2), Until: received(4)}, "c3 c2", "c2 help"},
		{"never", ledger.Filter{Since: received(4), Until: received(2)}, "", ""},
		{"rating", ledger.Filter{MaxRating: new(3.0)}, "c5 c2", "c5 log, c2 help"},
		{"ratings", ledger.Filter{MinRating: new(1.6), MaxRating: new(4.0)}, "c5", "c5 log"},
		{"good rating", ledger.Filter{MinRating: new(3.0)}, "c5 c1", "c5 log, c1 crm, c1 help"},
		{"no such rating", ledger.Filter{MinRating: new(6.0)}, "", ""},
		{"unrouted", ledger.Filter{Unrouted: true}, "c3", ""},
		{"target", ledger.Filter{Targets: []string{"crm"}}, "c4 c1", "c4 crm, c1 crm"},
		{"targets", ledger.Filter{Targets: []string{"log", "help"}}, "c5 c2 c1", "c5 log, c2 help, c1 help"},
		{"no such target", ledger.Filter{Targets: []string{"none"}}, "", ""},
		{"state", ledger.Filter{States: []ledger.State{ledger.Pending}}, "c5 c4 c1", "c5 log, c4 crm, c1 crm"},
		{"states", ledger.Filter{States: []ledger.State{ledger.Dead, ledger.Delivered}}, "c2 c1", "c2 help, c1 help"},
		{"target and state", ledger.Filter{Targets: []string{"crm"}, States: []ledger.State{ledger.Dead}}, "", ""},
		{"route", ledger.Filter{Routes: []string{"all"}}, "c5 c2 c1", "c5 log, c2 help, c1 crm, c1 help"},
		{"routes", ledger.Filter{Routes: []string{`odd "name"`, "second"}}, "c4", "c4 crm"},
		{"half a route's name", ledger.Filter{Routes: []string{"sec", "odd"}}, "", ""},
		{"class", ledger.Filter{Classes: []string{"rejected 422"}}, "c1", "c1 help"},
		{"no such class", ledger.Filter{Classes: []string{"rejected"}}, "", ""},
		{"failed since", ledger.Filter{FailedSince: start}, "c1", "c1 help"},
		{"failed later", ledger.Filter{FailedSince: long}, "", ""},
		{"failed until", ledger.Filter{FailedUntil: long}, "c1", "c1 help"},
		{"failed before", ledger.Filter{FailedUntil: start}, "", ""},
		{"text", ledger.Filter{Text: []string{"hello"}}, "c5 c4 c3 c2 c1", "c5 log, c4 crm, c2 help, c1 crm, c1 help"},
		{"text of a visitor", ledger.Filter{Text: []string{"ann"}}, "c1", "c1 crm, c1 help"},
		{"text of no letters", ledger.Filter{Text: []string{"?!"}, IDs: []string{"c1"}}, "c1", "c1 crm, c1 help"},
		{"conversation and delivery", ledger.Filter{Sources: []string{"shop"}, Targets: []string{"help", "crm"}, States: []ledger.State{ledger.Pending}}, "c4 c1", "c4 crm, c1 crm"},
		{"text and state", ledger.Filter{Text: []string{"hello"}, States: []ledger.State{ledger.Dead}}, "c1", "c1 help"},
		{"id and target", ledger.Filter{IDs: []string{"c1", "c2"}, Targets: []string{"crm"}}, "c1", "c1 crm"},
	} {
		var want []string
		if test.deliveries != "" {
			want = strings.Split(test.deliveries, ", ")
		}
		d.equal("conversations by "+test.name, strings.Join(d.conversations(test.f), " "), test.conversations)
		d.equal("deliveries by "+test.name, d.deliveries(test.f), want)
	}
	n, err := d.operator().Count(d.Context(), ledger.Filter{}, 3)
	d.must(err)
	d.equal("counted to 3", n, int64(3))
}

// seen is what the plain reading knows of a conversation.
type seen struct {
	id                                     string
	source, brand, outcome, external, mail string
	rating                                 *float64
	received                               time.Time
	words                                  []string
	sent                                   map[string]*sent
}

type sent struct {
	routes  []string
	state   ledger.State
	class   string
	phase   int // of its newest failure; 0: none
	receipt string
}

var (
	spellings = map[string][]string{
		"refund": {"refund", "Refund", "REFUND!", "(réfund)"}, "refunds": {"refunds"}, "order": {"order", "Ordér", "order,"}, "late": {"late", "láte"},
		"parcel": {"parcel", "PARCEL"}, "kun": {"kůň", "KUN", "ku\u030an\u030c"}, "of": {"of", "Of"}, "12": {"12", "#12"}, "odos": {"odos"},
	}
	vocabulary = slices.Sorted(maps.Keys(spellings))
)

func pick[T any](random *rand.Rand, from ...T) T { return from[random.IntN(len(from))] }

// searchRandom fills a ledger at random and asks it at random.
func searchRandom(d *desk) {
	random := rand.New(rand.NewPCG(7, 11))
	var all []*seen
	for i := range 300 {
		s := randomChat(random, i)
		all = append(all, s)
		h := chatOf(s.id, func(c *chat.Conversation) {
			c.Source, c.Brand, c.Outcome, c.ExternalID, c.Rating, c.ReceivedAt = s.source, s.brand, chat.Outcome(s.outcome), s.external, s.rating, s.received
			c.Person = chat.Person{Email: s.mail}
			var text []string
			for _, w := range s.words {
				text = append(text, pick(random, spellings[w]...))
			}
			c.Messages = []chat.Message{{Role: chat.Visitor, Text: strings.Join(text, " ")}}
		}, slices.Sorted(maps.Keys(s.sent))...)
		h = planned(h, func(p *ledger.PlannedDelivery) { p.Routes = s.sent[p.Target].routes })
		_, err := d.engine.Accept(d.Context(), h)
		d.must(err)
	}
	byID := map[string]*seen{}
	for _, s := range all {
		byID[s.id] = s
	}
	bounds := []time.Time{start}
	for phase := 1; phase <= 3; phase++ {
		d.settleSome(random, byID, phase)
		bounds = append(bounds, time.Now().Truncate(time.Microsecond).Add(time.Microsecond))
		d.must(d.engine.Ready(d.Context())) // a transaction later than that
	}
	slices.Reverse(all)
	for range 250 {
		f, phases := randomFilter(random, bounds)
		var conversations, deliveries []string
		for _, s := range all {
			if !s.matches(f) {
				continue
			}
			matched := false
			for _, target := range slices.Sorted(maps.Keys(s.sent)) {
				if s.sent[target].matches(target, f, phases) {
					deliveries = append(deliveries, s.id+" "+target)
					matched = true
				}
			}
			if matched || len(f.Targets)+len(f.States)+len(f.Routes)+len(f.Classes)+len(f.Receipts) == 0 && phases == [2]int{0, 9} {
				conversations = append(conversations, s.id)
			}
		}
		d.equal(fmt.Sprintf("conversations by %+v", f), d.conversations(f), conversations)
		d.equal(fmt.Sprintf("deliveries by %+v", f), d.deliveries(f), deliveries)
	}
}

func randomChat(random *rand.Rand, i int) *seen {
	s := &seen{
		id: fmt.Sprintf("c%03d", i), source: pick(random, "shop", "shop", "desk"), brand: pick(random, "", "acme", "globo"),
		outcome: pick(random, "completed", "missed", "offline"), external: fmt.Sprint("x", random.IntN(100)),
		rating:   pick(random, nil, nil, new(1.0), new(2.0), new(4.5), new(5.0)),
		received: start.Add(time.Duration(random.IntN(20*24)) * time.Hour), sent: map[string]*sent{},
	}
	if random.IntN(3) > 0 {
		s.mail = fmt.Sprintf("v%d@example.com", random.IntN(30))
	}
	for range 1 + random.IntN(6) {
		s.words = append(s.words, pick(random, vocabulary...))
	}
	for _, target := range []string{"crm", "help", "log"} {
		if random.IntN(2) == 0 {
			s.sent[target] = &sent{routes: pick(random, []string{"r1"}, []string{"r2"}, []string{"r1", "r3"})}
		}
	}
	return s
}

// settleSome ends some deliveries, one way or another.
func (d *desk) settleSome(random *rand.Rand, byID map[string]*seen, phase int) {
	d.Helper()
	for _, target := range []string{"crm", "help", "log"} {
		claimed, err := d.engine.Claim(d.Context(), ledger.Claim{Target: target, Limit: 60, Lease: lease, Config: "today"})
		d.must(err)
		for _, c := range claimed.Deliveries {
			s := byID[c.ID].sent[target]
			class := pick(random, "rejected 422", "mapping subject", "temporary")
			receipt := pick(random, "", "12", "order", "t1", "t2")
			received := func(to *ledger.Settlement) { to.Receipt = connectors.Receipt{ID: receipt, URL: "u"} }
			failed := func(to *ledger.Settlement) {
				to.Attempt = &ledger.Attempt{At: time.Now(), Number: 1, Kind: "rejected", Reason: "no", Detail: ledger.Detail{Class: class}}
			}
			switch random.IntN(5) {
			case 0:
				d.settle(c, ledger.Delivered, delivered, received)
				s.state, s.class, s.phase, s.receipt = ledger.Delivered, "", 0, cmp.Or(receipt, s.receipt)
			case 1, 2:
				d.settle(c, ledger.Dead, dead, failed)
				s.state, s.class, s.phase = ledger.Dead, class, phase
			case 3:
				d.settle(c, ledger.Pending, later, failed, received)
				s.class, s.phase, s.receipt = class, phase, cmp.Or(receipt, s.receipt)
			default: // it stays leased
			}
		}
	}
}

// randomFilter returns a filter, and between which phases the newest failure must be: 0 and 9 say nothing of it.
func randomFilter(random *rand.Rand, bounds []time.Time) (f ledger.Filter, phases [2]int) {
	phases = [2]int{0, 9}
	for range 1 + random.IntN(3) {
		switch random.IntN(16) {
		case 0:
			f.Sources = []string{pick(random, "shop", "desk", "none")}
		case 1:
			f.Brands = []string{"acme", pick(random, "globo", "")}
		case 2:
			f.Outcomes = []string{pick(random, "missed", "offline"), "completed"}[:1+random.IntN(2)]
		case 3:
			f.ExternalIDs = []string{fmt.Sprint("x", random.IntN(100)), fmt.Sprint("x", random.IntN(100)), fmt.Sprintf("x%d*", random.IntN(10))}[:2+random.IntN(2)]
		case 4:
			f.Emails = []string{fmt.Sprintf("V%d@example.com", random.IntN(30)), fmt.Sprintf("v%d@example.com", random.IntN(30))}
			if random.IntN(2) == 0 {
				f.Emails = append(f.Emails[:random.IntN(2)], pick(random, "@example.com", "v1", "V1*", "v2@*", "@none.com", "@EX*", "1"))
			}
		case 5:
			f.Since = start.Add(time.Duration(random.IntN(20*24)) * time.Hour)
		case 6:
			f.Until = start.Add(time.Duration(random.IntN(20*24)) * time.Hour)
		case 7:
			f.MinRating = new(pick(random, 1.0, 1.5, 4.5))
		case 8:
			f.MaxRating = new(pick(random, 1.0, 2, 4.7))
		case 9:
			f.Targets = []string{pick(random, "help", "crm"), "log"}[:1+random.IntN(2)]
		case 10:
			f.States = []ledger.State{pick(random, ledger.Dead, ledger.Pending), ledger.Delivered}[:1+random.IntN(2)]
		case 11:
			f.Routes = []string{pick(random, "r1", "r2"), "r3"}[:1+random.IntN(2)]
		case 12:
			f.Classes = []string{pick(random, "rejected 422", "none"), "mapping subject"}[:1+random.IntN(2)]
		case 13:
			f.Text = []string{pick(random, spellings[pick(random, vocabulary...)]...)}
			if random.IntN(2) == 0 {
				f.Text[0] += " " + pick(random, vocabulary...)
			}
			if random.IntN(2) == 0 {
				f.Text = append(f.Text, pick(random, "ref", "re", "o", "ord", "parcels", "12", "t1", "#t2"))
			}
		case 14:
			f.Receipts = []string{pick(random, "12", "order", "t"), pick(random, "t1", "12")}[:1+random.IntN(2)]
		case 15:
			if random.IntN(2) == 0 {
				phases[0] = 1 + random.IntN(3)
				f.FailedSince = bounds[phases[0]-1]
			} else {
				phases[1] = random.IntN(3)
				f.FailedUntil = bounds[phases[1]]
			}
		}
	}
	return f, phases
}

func anyOf[T comparable](values []T, v T) bool { return len(values) == 0 || slices.Contains(values, v) }

// matches reads a filter word by word.
func (s *seen) matches(f ledger.Filter) bool {
	for _, text := range f.Text {
		received := slices.ContainsFunc(slices.Collect(maps.Values(s.sent)), func(d *sent) bool { return d.receipt != "" && d.receipt == strings.TrimPrefix(text, "#") })
		if !s.says(strings.TrimPrefix(text, "#")) && !received {
			return false
		}
	}
	return anyOf(f.Sources, s.source) && anyOf(f.Brands, s.brand) && anyOf(f.Outcomes, s.outcome) && s.hasExternal(f.ExternalIDs) &&
		s.hasMail(f.Emails) && (f.Since.IsZero() || !s.received.Before(f.Since)) && (f.Until.IsZero() || s.received.Before(f.Until)) &&
		(f.MinRating == nil || s.rating != nil && *s.rating >= *f.MinRating) && (f.MaxRating == nil || s.rating != nil && *s.rating <= *f.MaxRating)
}

func (s *seen) hasExternal(values []string) bool {
	return len(values) == 0 || slices.ContainsFunc(values, func(v string) bool {
		return v == s.external || strings.HasSuffix(v, "*") && strings.HasPrefix(s.external, v[:len(v)-1])
	})
}

func (s *seen) hasMail(values []string) bool {
	return len(values) == 0 || slices.ContainsFunc(values, func(v string) bool {
		v = strings.ToLower(v)
		at := strings.Index(s.mail, "@")
		begins := strings.HasSuffix(v, "*")
		switch v = strings.TrimSuffix(v, "*"); {
		case strings.HasPrefix(v, "@") && begins:
			return at >= 0 && strings.HasPrefix(s.mail[at:], v)
		case strings.HasPrefix(v, "@"):
			return at >= 0 && s.mail[at:] == v
		case begins || v != "" && !strings.Contains(v, "@"):
			return strings.HasPrefix(s.mail, v)
		}
		return v == s.mail
	})
}

// says tells whether the words of a text follow one another, the last one perhaps as a beginning.
func (s *seen) says(text string) bool {
	var want []string
	for word := range strings.FieldsSeq(text) {
		for plain, spelled := range spellings {
			if slices.Contains(spelled, word) {
				word = plain
			}
		}
		want = append(want, word)
	}
	for at := range s.words {
		i := 0
		for i < len(want) && at+i < len(s.words) {
			last := i == len(want)-1 && len(want[i]) >= 3
			if s.words[at+i] != want[i] && (!last || !strings.HasPrefix(s.words[at+i], want[i])) {
				break
			}
			i++
		}
		if i == len(want) {
			return true
		}
	}
	return false
}

func (s *sent) matches(target string, f ledger.Filter, phases [2]int) bool {
	routed := len(f.Routes) == 0 || slices.ContainsFunc(s.routes, func(r string) bool { return slices.Contains(f.Routes, r) })
	return routed && (len(f.Receipts) == 0 || s.receipt != "" && slices.Contains(f.Receipts, s.receipt)) && anyOf(f.Targets, target) && anyOf(f.States, s.state) && anyOf(f.Classes, s.class) &&
		s.phase >= phases[0] && (phases[1] == 9 || s.phase > 0 && s.phase <= phases[1])
}

func searchWords(d *desk) {
	say := func(id string, texts ...string) {
		h := hook(id, 5, texts...)
		h.Conversation.Person = chat.Person{Name: "Zoë Škoda", Email: "zoe." + id + "@example.com", Phone: "+420 777 123"}
		d.accept(to(h, "help"), ledger.Accepted, 1)
	}
	say("c1", "I want a refund for order INV-2024/55, please.")
	say("c2", "Příliš žluťoučký kůň", "úpěl ďábelské ódy")
	say("c3", "policy of refunds", "refund the policy")
	say("c4", "ΟΔΟΣ και οδός", "שָׁלוֹם", "ИЗБЕЖАТЬ ёлка")
	for text, want := range map[string]string{
		"refund": "c3 c1", "REFUND": "c3 c1", "refu": "c3 c1", "refunds": "c3", "re": "", "policy": "c3", "refund policy": "", "refund the policy": "c3",
		"refund the pol": "c3", "inv 2024 55": "c1", "INV-2024/55": "c1", "inv-2024": "c1", "inv-20": "", "prilis zlut": "c2", "KŮŇ": "c2", "ku\u030an\u030c": "c2",
		"dabelske": "c2", "zoe": "c4 c3 c2 c1", "skoda": "c4 c3 c2 c1", "zoe.c2@example.com": "c2", "777 123": "c4 c3 c2 c1", "οδος": "c4",
		"οδοσ": "c4", "שלום": "c4", "елка": "c4", "и": "", "nothing": "", "refund AND policy": "", "refund OR policy": "", "*": "c4 c3 c2 c1", "\"": "c4 c3 c2 c1",
		"refund*": "c3 c1", "\"refund\"": "c3 c1", "words:refund": "", "-refund": "c3 c1", "NEAR(refund policy)": "", "a": "c1", "' OR 1=1": "",
	} {
		d.equal(fmt.Sprintf("search for %q", text), strings.Join(d.conversations(ledger.Filter{Text: []string{text}}), " "), want)
	}
	d.equal("two texts", d.conversations(ledger.Filter{Text: []string{"policy", "refund"}}), []string{"c3"})
	d.equal("a text and a source", d.conversations(ledger.Filter{Text: []string{"refund"}, Sources: []string{"desk"}}), []string(nil))
}

// searchHostile has texts that break one thing or another elsewhere.
func searchHostile(d *desk) {
	texts := map[string]string{
		"c1": "zero\x00byte", "c2": "broken \xff\xfe utf", "c3": "\u202eright to left\u202c", "c4": "emoji 😀👩‍💻 here", "c5": "<script>alert(1)</script> & \"quotes\" 'single'",
		"c6": "combined e\u0301\u0301\u0301", "c7": "\ufdfa \U0001d400bold math", "c8": "日本語テキスト", "c9": strings.Repeat("long", 500), "ca": "a:b (c) ^d + e - {f}", "cb": "",
	}
	for _, id := range slices.Sorted(maps.Keys(texts)) {
		h := hook(id, 5, texts[id])
		h.Conversation.Person.Name, h.Conversation.Brand, h.Conversation.ExternalID = texts[id], texts[id], texts[id]
		d.accept(to(h, "help"), ledger.Accepted, 1)
	}
	for text, want := range map[string]string{
		"zero": "c1", "broken": "c2", "right to left": "c3", "emoji": "c4", "😀": "cb ca c9 c8 c7 c6 c5 c4 c3 c2 c1", "script": "c5", "quotes single": "c5", "combined e": "c6",
		"日本語テキスト": "c8", "日本語": "c8", strings.Repeat("long", 400): "c9", "{f}": "ca", "\x00": "cb ca c9 c8 c7 c6 c5 c4 c3 c2 c1", "\xff": "cb ca c9 c8 c7 c6 c5 c4 c3 c2 c1",
	} {
		d.equal(fmt.Sprintf("search for %q", text), strings.Join(d.conversations(ledger.Filter{Text: []string{text}}), " "), want)
	}
	d.equal("all of them", len(d.conversations(ledger.Filter{})), len(texts))
	for _, odd := range slices.Sorted(maps.Values(texts)) {
		d.conversations(ledger.Filter{Sources: []string{odd}, Targets: []string{odd}, Classes: []string{odd}, IDs: []string{odd}, Routes: []string{odd}})
		d.conversations(ledger.Filter{Brands: []string{odd}, ExternalIDs: []string{odd}, Emails: []string{odd}})
	}
}

func searchLong(d *desk) {
	var text strings.Builder
	for i := range 15000 {
		fmt.Fprintf(&text, "w%d ", i)
	}
	d.accept(hook("c1", 5, text.String(), "end"), ledger.Unrouted, 1)
	for _, text := range []string{"w1 w2", "w7000 w7001", "w14998 w14999", "w14999 end"} {
		d.equal(text, d.conversations(ledger.Filter{Text: []string{text}}), []string{"c1"})
	}
	d.equal("no phrase", d.conversations(ledger.Filter{Text: []string{"w1 w3000x"}}), []string(nil))
}

// searchTimes has conversations that came in another order than their hooks say: clocks jump, ledgers are repaired.
func searchTimes(d *desk) {
	hours := []int{50, 1, 30, 0, 2, 49, 100, 3, 29}
	for i, h := range hours {
		hook := chatOf(fmt.Sprint("c", i), func(c *chat.Conversation) { c.ReceivedAt = start.Add(time.Duration(h) * time.Hour) }, "help")
		d.accept(hook, ledger.Accepted, 1)
	}
	at := func(h int) time.Time { return start.Add(time.Duration(h) * time.Hour) }
	d.equal("early", d.conversations(ledger.Filter{Until: at(4)}), []string{"c7", "c4", "c3", "c1"})
	d.equal("middle", d.conversations(ledger.Filter{Since: at(29), Until: at(50)}), []string{"c8", "c5", "c2"})
	d.equal("late", d.conversations(ledger.Filter{Since: at(50)}), []string{"c6", "c0"})
	d.equal("deliveries", d.deliveries(ledger.Filter{Since: at(30), Until: at(31), Targets: []string{"help"}}), []string{"c2 help"})
}

func searchRevised(d *desk) {
	d.accept(to(hook("c1", 5, "first words"), "help"), ledger.Accepted, 1)
	d.equal("before", d.conversations(ledger.Filter{Text: []string{"first"}}), []string{"c1"})
	h := to(hook("c1", 6, "other words"), "help", "crm")
	h.Conversation.Brand = "acme"
	d.accept(h, ledger.Revised, 2)
	d.equal("what is said no more", d.conversations(ledger.Filter{Text: []string{"first"}}), []string(nil))
	d.equal("what is said now", d.conversations(ledger.Filter{Text: []string{"other"}, Brands: []string{"acme"}}), []string{"c1"})
	d.equal("deliveries", d.deliveries(ledger.Filter{Routes: []string{"all"}}), []string{"c1 crm", "c1 help"})
	d.accept(to(hook("c1", 4, "other"), "help"), ledger.Revised, 3)
	d.equal("opening", func() string {
		page, err := d.operator().Conversations(d.Context(), ledger.Filter{}, ledger.Page{})
		d.must(err)
		return page.Items[0].Opening
	}(), "other")
}

func searchRetained(d *desk) {
	d.reopen(keeping)
	d.operator()
	failed := func(s *ledger.Settlement) {
		s.Attempt = &ledger.Attempt{At: start, Kind: "rejected", Reason: "no", Detail: ledger.Detail{Class: "rejected 422"}}
	}
	for _, id := range []string{"c1", "c2"} {
		d.accept(chatOf(id, func(c *chat.Conversation) { c.Brand = "acme" }, "help"), ledger.Accepted, 1)
	}
	for _, c := range d.claimAll("help", lease).Deliveries {
		if c.ID == "c1" {
			d.settle(c, ledger.Dead, dead, failed)
		}
	}
	d.equal("before", d.conversations(ledger.Filter{Text: []string{"hello"}, Brands: []string{"acme"}}), []string{"c2", "c1"})
	d.must(d.engine.Retain(d.Context(), in(91)))
	d.equal("text", d.conversations(ledger.Filter{Text: []string{"hello"}}), []string{"c2"})
	d.equal("brand", d.conversations(ledger.Filter{Brands: []string{"acme"}}), []string{"c2"})
	d.equal("class", d.conversations(ledger.Filter{Classes: []string{"rejected 422"}}), []string(nil))
	d.equal("all", d.conversations(ledger.Filter{}), []string{"c2", "c1"})
	failures, err := d.operator().Failures(d.Context(), ledger.Filter{})
	d.must(err)
	d.equal("failures", len(failures), 0)
	got, err := d.operator().Look(d.Context(), "c1")
	d.must(err)
	if !got.BodiesGone || got.Brand+got.Opening+got.Visitor != "" || len(got.Revisions) != 0 || got.FirstAt.IsZero() || len(got.Deliveries) != 1 ||
		got.Deliveries[0].Reason != "" || got.Deliveries[0].State != ledger.Dead {
		d.Errorf("after retention: %+v", got)
	}
	d.must(d.engine.Retain(d.Context(), in(400)))
	d.equal("all", d.conversations(ledger.Filter{}), []string{"c2"})
	h := hook("c1", 5, "hello again")
	d.accept(to(h, "help"), ledger.Accepted, 1)
	d.equal("come again", d.conversations(ledger.Filter{Text: []string{"again"}}), []string{"c1"})
}

func searchRenamed(d *desk) {
	d.operator()
	d.accept(to(hook("c1", 5, "a"), "help"), ledger.Accepted, 1)
	d.settle(d.claim("help"), ledger.Delivered, delivered)
	d.accept(to(hook("c2", 5, "a"), "help"), ledger.Accepted, 1)
	d.must(d.engine.Rename(d.Context(), ledger.Renames{Targets: []ledger.Rename{{Old: "help", New: "desk"}}}))
	d.equal("before all are moved", d.deliveries(ledger.Filter{Targets: []string{"desk"}}), []string{"c2 desk", "c1 desk"})
	d.must(d.engine.Retain(d.Context(), time.Now()))
	d.equal("after", d.deliveries(ledger.Filter{Targets: []string{"desk"}}), []string{"c2 desk", "c1 desk"})
}

func searchReopened(d *desk) {
	d.operator()
	for i := range 40 {
		d.accept(hook(fmt.Sprintf("c%02d", i), 5, fmt.Sprint("number ", i)), ledger.Unrouted, 1)
		if i%7 == 0 {
			d.reopen()
		}
	}
	d.equal("all", len(d.conversations(ledger.Filter{Text: []string{"number"}})), 40)
	d.equal("one", d.conversations(ledger.Filter{Text: []string{"number 39"}}), []string{"c39"})
}
