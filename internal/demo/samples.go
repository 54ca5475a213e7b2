// This file makes the sample chats: every outcome, both platforms, and the awkward ones (a repeat, a late message,
// HTML, a body that no decoder can read).

package demo

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"time"
)

// Sample is one hook that the demo sends.
type Sample struct {
	Title       string // what it shows
	Source      string // shop (Smartsupp) or desk (ProProfs)
	ContentType string
	Body        []byte
	Ticket      bool // makes a new ticket at the desk
	Update      bool // changes a ticket that is there
}

// Samples returns the hooks of a demo as if the chats had ended just before now.
func Samples(now time.Time) []Sample {
	end := now.Add(-time.Minute).Truncate(time.Second)
	first := smartsupp(1001, end, "Ada Lovelace", "ada@example.com").
		visitor("Hello, does the tea pot come in blue?").
		agent("Hi Ada, it does! Shall I put one aside for you?").
		visitor("Yes please 💙").rated(5, "Quick and kind")
	later := first.clone().agent("It is on its way, tracking number 4711.")
	samples := []Sample{
		first.sample("a finished chat, rated 5"),
		smartsupp(1002, end, "Bob", "bob@example.com").visitor("Is anybody there?").visitor("Hello??").
			missed().sample("a missed chat"),
		smartsupp(1003, end, "Chiara Rossi", "chiara@example.com").visitor("You are closed, I know. Please call me: +39 06 6982 0000").
			offline().sample("an offline message"),
		smartsupp(1004, end, "Dušan", "dusan@example.com").visitor("The parcel arrived broken.").agent("Please read our terms.").
			visitor("Seriously?").rated(1, "Rude").sample("a bad rating, which also raises an alert"),
		smartsupp(1005, end, "", "").trigger("Need help choosing?", "welcome").visitor("No thanks").agent("Have a nice day!").
			sample("an anonymous visitor and an automatic greeting"),
		smartsupp(1006, end, `<script>alert("x")</script>`, "eve@example.com").
			visitor(`<b>bold</b> & <img src=x onerror=alert(1)> 5 > 3`).agent("Noted.").sample("HTML from a visitor, shown as text"),
		long(1007, end),
		first.repeat("the first hook once more: nothing new"),
		later.revision("the first chat with one more message: the same ticket, updated"),
		proprofs("p1", end, "Grace", "grace@example.com", "Support Team", []string{
			"Support Team: Hello Grace, how can I help?",
			"Grace: My invoice shows:\n  - 2 lamps\n  - 1 desk\nbut I bought one lamp.",
			"Support Team: Thank you, I have corrected it.",
		}).sample("a ProProfs transcript with a message of several lines"),
		proprofs("p2", end, "Hiro 山田", "", "Support Team", []string{
			"Hiro 山田: 配送はいつですか？ 📦", "Support Team: Tomorrow morning 🙂",
		}).form("a ProProfs hook sent as a form, with emoji"),
		{Title: "a body that nobody can read: kept in quarantine", Source: "shop", ContentType: "application/json", Body: []byte(`{"accountId": 208, "messages": [`)},
		{Title: "a connection check", Source: "desk", ContentType: "application/json", Body: []byte(`{}`)},
	}
	return samples
}

// smartsuppChat builds a body in Smartsupp's form.
type smartsuppChat struct {
	id       int
	end      time.Time
	name     string
	email    string
	messages []map[string]any
	flags    map[string]bool
	rating   any
	comment  any
}

func smartsupp(id int, end time.Time, name, email string) *smartsuppChat {
	return &smartsuppChat{id: id, end: end, name: name, email: email, flags: map[string]bool{"isChat": true, "isCompleted": true}}
}

func (c *smartsuppChat) clone() *smartsuppChat {
	copied := *c
	copied.messages = append([]map[string]any(nil), c.messages...)
	return &copied
}

func (c *smartsuppChat) add(message map[string]any) *smartsuppChat {
	message["sentAt"] = c.end.Add(time.Duration(len(c.messages)-20) * 15 * time.Second).UnixMilli()
	if _, ok := message["triggeredBy"]; !ok {
		message["triggeredBy"] = nil
	}
	c.messages = append(c.messages, message)
	return c
}

func (c *smartsuppChat) visitor(text string) *smartsuppChat {
	return c.add(map[string]any{"type": "visitor", "name": c.name, "from": fmt.Sprintf("visitor:v%d", c.id), "content": text})
}

func (c *smartsuppChat) agent(text string) *smartsuppChat {
	return c.add(map[string]any{"type": "agent", "name": "Jana", "from": "agent:3", "content": text})
}

func (c *smartsuppChat) trigger(text, name string) *smartsuppChat {
	c.flags["isTriggered"] = true
	return c.add(map[string]any{"type": "agent", "name": "", "from": "system", "content": text, "triggeredBy": name})
}

func (c *smartsuppChat) missed() *smartsuppChat {
	c.flags = map[string]bool{"isMissed": true}
	return c
}

func (c *smartsuppChat) offline() *smartsuppChat {
	c.flags = map[string]bool{"isOffline": true}
	return c
}

func (c *smartsuppChat) rated(rating int, comment string) *smartsuppChat {
	c.rating, c.comment = rating, comment
	return c
}

func (c *smartsuppChat) body() []byte {
	channel := map[string]any{"id": c.id, "duration": 15 * len(c.messages), "messagesCount": len(c.messages), "rating": c.rating, "ratingDesc": c.comment}
	for _, flag := range []string{"isChat", "isMissed", "isTriggered", "isOffline", "isCompleted", "isDropped"} {
		channel[flag] = c.flags[flag]
	}
	return mustJSON(map[string]any{
		"accountId": 208, "channel": channel,
		"beginAt": c.messages[0]["sentAt"], "endAt": c.messages[len(c.messages)-1]["sentAt"],
		"visitor": map[string]any{
			"id": 5000 + c.id, "name": c.name, "email": c.email, "countryCode": "CZ",
			"variables": map[string]any{"plan": map[string]any{"label": "Plan", "value": "pro"}},
		},
		"paths":    []any{map[string]any{"url": "https://shop.example/teapots", "title": "Tea pots"}},
		"messages": c.messages,
	})
}

func (c *smartsuppChat) sample(title string) Sample {
	return Sample{Title: title, Source: "shop", ContentType: "application/json", Body: c.body(), Ticket: true}
}

func (c *smartsuppChat) repeat(title string) Sample {
	return Sample{Title: title, Source: "shop", ContentType: "application/json", Body: c.body()}
}

func (c *smartsuppChat) revision(title string) Sample {
	return Sample{Title: title, Source: "shop", ContentType: "application/json", Body: c.body(), Update: true}
}

// long is a chat of 1,000 messages, one every 15 seconds.
func long(id int, end time.Time) Sample {
	const questions = 500
	c := smartsupp(id, end.Add(-2*questions*15*time.Second), "Frank", "frank@example.com")
	for i := range questions {
		c.visitor(fmt.Sprintf("Question %d: %s", i+1, strings.Repeat("why? ", i%7+1)))
		c.agent(fmt.Sprintf("Answer %d: because.", i+1))
	}
	return c.sample("a long chat of 1,000 messages: the comment is cut, and all of it attached")
}

// proprofsChat is a body in ProProfs' form.
type proprofsChat map[string]any

// stampZone is the zone of stamps in the samples; the demo's source says the same.
const stampZone = "Asia/Kolkata"

func proprofs(session string, end time.Time, name, email, operator string, lines []string) proprofsChat {
	zone, err := time.LoadLocation(stampZone)
	if err != nil {
		zone = time.FixedZone("IST", 5*3600+1800)
	}
	var transcript strings.Builder
	for i, line := range lines {
		at := end.Add(time.Duration(i-len(lines)) * 20 * time.Second).In(zone)
		transcript.WriteString(line + " [" + at.Format("02-01-2006 15:04:05") + "]\r\n")
	}
	return proprofsChat{
		"l2s_name": name, "l2s_email": email, "l2s_sesid": "32224" + session, "l2s_id": "32224", "l2s_ip": "45.64.11.XX",
		"l2s_logid": operator, "l2s_lang": "23601", "l2s_msg": transcript.String(),
		"l2s_date": end.In(zone).Format("2006-01-02 15:04:05"), "l2s_duration": 20 * len(lines), "l2s_totalduration": 20 * len(lines),
		"l2s_returnedval": operator, "l2s_question": "",
	}
}

func (c proprofsChat) sample(title string) Sample {
	return Sample{Title: title, Source: "desk", ContentType: "application/json", Body: mustJSON(c), Ticket: true}
}

func (c proprofsChat) form(title string) Sample {
	values := url.Values{}
	for key, value := range c {
		values.Set(key, fmt.Sprint(value))
	}
	return Sample{Title: title, Source: "desk", ContentType: "application/x-www-form-urlencoded", Body: []byte(values.Encode()), Ticket: true}
}

func mustJSON(v any) []byte {
	body, err := json.Marshal(v)
	if err != nil { // maps of plain values always encode
		panic(err)
	}
	return body
}
