// This file fills the pages of one conversation and of one hook in quarantine.

package console

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/afterchat/afterchat/connectors"
	"github.com/afterchat/afterchat/internal/chat"
	"github.com/afterchat/afterchat/internal/console/page"
	"github.com/afterchat/afterchat/internal/ledger"
	"github.com/afterchat/afterchat/internal/pipeline"
)

func conversationPage(v *visit) (page.View, error) {
	ctx, id := v.Request().Context(), v.Param("id")
	row, err := v.console.Ledger.Look(ctx, id)
	if err != nil {
		return nil, err
	}
	out := page.Conversation{Frame: v.frame("Conversation", "conversations"), Row: row, Shown: row.Revision, Masked: !v.revealed}
	out.Static = v.revealed
	if text := v.values.Get("revision"); text != "" {
		if out.Shown, err = strconv.Atoi(text); err != nil {
			return nil, &InputError{Text: fmt.Sprintf("%q is no number of a revision", text), Hint: "write 1, 2, …, or 0 for the newest"}
		}
	}
	if out.Shown == 0 {
		out.Shown = row.Revision
	}
	if out.Masked {
		out.Row = maskRow(row)
	}
	said, err := v.console.said(ctx, id, out.Shown, false)
	switch {
	case errors.Is(err, ledger.ErrNotFound):
		out.Gone = "Retention has removed what was said. What the targets hold of it is still known."
	case err != nil:
		return nil, err
	default:
		v.tell(&out, said)
	}
	waits := v.waits()
	for _, d := range row.Deliveries {
		shown, err := v.deliveryView(d, said, out.Chat != nil)
		if err != nil {
			return nil, err
		}
		shown.Waits = waits[d.Target]
		out.Deliveries = append(out.Deliveries, shown)
	}
	return out, nil
}

// waits are the targets that take nothing now, with the reason.
func (v *visit) waits() map[string]string {
	out := map[string]string{}
	for _, t := range v.console.targets(ledger.Stats{}) {
		if t.Pause != nil {
			out[t.Name] = "the target is paused"
		}
	}
	return out
}

// tell fills in what was said and what the routes make of it.
func (v *visit) tell(out *page.Conversation, said chat.Conversation) {
	if v.console.Decide != nil {
		e := v.console.Decide(&said)
		out.Routes = each(e.Routes, func(r pipeline.ExplainedRoute) page.Route { return routeView(r, out.Masked) })
	}
	if out.Masked {
		said = maskChat(said)
	}
	out.Chat, out.Messages, out.Facts = &said, messagesView(said.Messages), factsView(said)
}

// messagesView turns messages into bubbles.
func messagesView(messages []chat.Message) []page.Message {
	out := make([]page.Message, len(messages))
	for i, m := range messages {
		out[i] = page.Message{At: m.At, Role: string(m.Role), Author: m.Author, Text: m.Text, Files: m.Files}
		if m.Event != "" {
			out[i].Event = strings.NewReplacer(".", " ", "_", " ").Replace(m.Event)
			continue
		}
		if i > 0 {
			before := messages[i-1]
			out[i].Next = before.Event == "" && before.Role == m.Role && before.Author == m.Author && m.At.Sub(before.At) < 5*time.Minute
		}
	}
	return out
}

// factsView lists what is known beside the messages.
func factsView(c chat.Conversation) []page.Fact {
	var out []page.Fact
	add := func(name, value string) {
		if value != "" {
			out = append(out, page.Fact{Name: name, Value: value})
		}
	}
	number := func(name string, n *float64) {
		if n != nil {
			add(name, strconv.FormatFloat(*n, 'f', -1, 64)+" s")
		}
	}
	p := c.Person
	add("Name", p.Name)
	add("E-mail", p.Email)
	add("Phone", p.Phone)
	add("Place", strings.Trim(strings.Join([]string{p.City, p.Country}, ", "), ", "))
	add("Address", p.IP)
	add("Group", p.Group)
	add("Note", p.Note)
	add("Question", c.Question)
	add("Rating comment", c.RatingComment)
	add("Language", c.Language)
	number("Length", c.DurationSeconds)
	number("First answer after", c.FirstResponseSeconds)
	var agents []string
	for _, a := range c.Agents {
		agents = append(agents, a.Name)
	}
	add("Agents", strings.Join(agents, ", "))
	for i, visited := range c.Pages {
		if i == 5 {
			add("More pages", strconv.Itoa(len(c.Pages)-i))
			break
		}
		name := "Page"
		if visited.Title != "" {
			name = visited.Title
		}
		add(name, visited.URL)
	}
	for _, name := range sortedKeys(p.Vars) {
		label := p.VarLabels[name]
		if label == "" {
			label = name
		}
		add(label, plainValue(p.Vars[name]))
	}
	for _, warning := range c.Warnings {
		add("Odd in the hook", warning)
	}
	add("External id", c.ExternalID)
	return out
}

// sortedKeys are the keys of a map in order.
func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// plainValue is a value of a custom variable as text.
func plainValue(value any) string {
	if s, ok := value.(string); ok {
		return s
	}
	text, err := json.Marshal(value)
	if err != nil {
		return fmt.Sprint(value)
	}
	return string(text)
}

// deliveryView is one delivery with its attempts, what each has sent, and what would be sent now.
func (v *visit) deliveryView(d ledger.DeliveryRow, said chat.Conversation, readable bool) (page.Delivery, error) {
	out := page.Delivery{DeliveryRow: d}
	attempts, err := v.console.Ledger.Attempts(v.Request().Context(), d.ID, d.Target)
	if err != nil {
		return out, err
	}
	out.Attempts = each(attempts, func(a ledger.Attempt) page.Attempt { return page.Attempt{Attempt: a} })
	if !v.revealed {
		out.DeliveryRow = maskDeliveryRow(d)
		out.Attempts = each(attempts, func(a ledger.Attempt) page.Attempt {
			a.Reason, a.Response = WithoutAnswer(a.Reason), maskText(a.Response)
			return page.Attempt{Attempt: a}
		})
	}
	if !readable || v.console.Render == nil || v.console.RenderAttempt == nil {
		return out, nil
	}
	now, err := v.next(&out, d, said)
	if err != nil || !v.revealed {
		return out, err
	}
	sent, err := v.sent(d, attempts, now)
	if err != nil {
		return out, err
	}
	for i := range sent {
		out.Attempts[i].Sent = sent[i]
	}
	if now == nil {
		return out, nil
	}
	if len(sent) == 0 || !sent[len(sent)-1].AsNow {
		out.Requests = requestsView(now.Requests)
	}
	if len(sent) > 0 { // below it stands what goes out now, and of a dead one what that changes
		newest := sent[len(sent)-1]
		if newest.Today = nil; len(out.Changes) > 0 {
			newest.Changes = nil
		}
	}
	return out, nil
}

// next says what goes out next, and what a replay would change. Nothing does of a delivery that has come to its end: nil.
func (v *visit) next(out *page.Delivery, d ledger.DeliveryRow, said chat.Conversation) (now *Rendered, err error) {
	if d.State != ledger.Pending && d.State != ledger.Dead {
		return nil, nil //nolint:nilnil // as said above
	}
	ctx := v.Request().Context()
	if said.Revision != d.Revision {
		said, err = v.console.Ledger.Revision(ctx, d.ID, d.Revision)
		if errors.Is(err, ledger.ErrNotFound) {
			return nil, nil //nolint:nilnil // the page says already that retention has taken it
		}
		if err != nil {
			return nil, err
		}
	}
	today, err := v.console.Render(ctx, d, said, false)
	if err != nil {
		out.Error = err.Error()
		return nil, nil //nolint:nilerr,nilnil // it is told
	}
	out.Error = today.Error
	if d.State != ledger.Dead {
		return &today, nil
	}
	then, err := v.console.Render(ctx, d, said, true)
	if err != nil {
		return &today, nil //nolint:nilerr // the configuration of then cannot be read any more, so it cannot be chosen
	}
	if difference := differenceOf(then, today); len(difference) > 0 {
		out.ThenDiffers = true
		if v.revealed {
			out.Changes = changedLines(difference)
		}
	}
	return &today, nil
}

// requestsView turns requests into what a page shows of them.
func requestsView(requests []connectors.Request) []page.Request {
	return each(requests, func(r connectors.Request) page.Request {
		out := page.Request{Method: r.Method, URL: r.URL, Body: r.Body, Note: r.Note, Reads: r.Reads}
		for _, name := range sortedKeys(r.Headers) {
			out.Headers = append(out.Headers, page.Fact{Name: name, Value: r.Headers[name]})
		}
		if strings.HasPrefix(r.URL, "http://") || strings.HasPrefix(r.URL, "https://") {
			out.Curl = curlOf(r)
		}
		return out
	})
}

// curlOf writes a request as a command of a POSIX shell. Secrets are *** in it, to be put in by hand.
func curlOf(r connectors.Request) string {
	parts := []string{"curl -X " + r.Method, shellQuote(r.URL)}
	for _, name := range sortedKeys(r.Headers) {
		parts = append(parts, "-H "+shellQuote(name+": "+r.Headers[name]))
	}
	if r.Body != "" {
		parts = append(parts, "--data-binary "+shellQuote(r.Body))
	}
	return strings.Join(parts, " \\\n  ")
}

func shellQuote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

// mostShown is how many bytes of a hook in quarantine a page shows.
const mostShown = 64 << 10

func unreadablePage(v *visit) (page.View, error) {
	u, err := v.console.Ledger.Unreadable(v.Request().Context(), v.Param("id"))
	if err != nil {
		return nil, err
	}
	out := page.Unreadable{
		Frame: v.frame("Hook in quarantine", "quarantine"), Shown: v.revealed,
		Row: ledger.QuarantineRow{
			ID: v.Param("id"), Source: u.Source, ContentType: u.ContentType, Reason: u.Reason, ReceivedAt: u.ReceivedAt, Bytes: len(u.Raw),
		},
	}
	out.Static = true
	if v.revealed {
		out.Raw, out.Cut = string(u.Raw[:min(len(u.Raw), mostShown)]), len(u.Raw) > mostShown
	}
	if v.console.Explain == nil {
		out.Today = errNoGateway.Text
		return out, nil
	}
	payload, err := json.Marshal(string(u.Raw))
	if err != nil {
		return nil, err
	}
	if _, err := v.console.Explain(v.Request().Context(), Explain{Source: u.Source, Payload: payload, ContentType: u.ContentType}); err != nil {
		out.Today = err.Error()
	}
	return out, nil
}

// hookPage answers with the hook of a revision as it came.
func hookPage(v *visit) (page.View, error) {
	revision, err := strconv.Atoi(v.values.Get("revision"))
	if err != nil {
		revision = 0
	}
	id := v.Param("id")
	body, _, err := v.console.Ledger.Raw(v.Request().Context(), id, revision)
	if err != nil {
		return nil, err
	}
	if err := v.console.audit(v.Request().Context(), v.who, "reveal", id, "the hook of revision "+strconv.Itoa(revision)); err != nil {
		return nil, err
	}
	return nil, v.send(plainText(body, fmt.Sprintf("%s-%d.txt", id, revision)))
}

// unreadableHookPage answers with a hook in quarantine as it came.
func unreadableHookPage(v *visit) (page.View, error) {
	u, err := v.console.Ledger.Unreadable(v.Request().Context(), v.Param("id"))
	if err != nil {
		return nil, err
	}
	if err := v.console.audit(v.Request().Context(), v.who, "reveal", v.Param("id"), "the hook in quarantine"); err != nil {
		return nil, err
	}
	return nil, v.send(plainText(u.Raw, v.Param("id")+".txt"))
}

// send answers with a file.
func (v *visit) send(t text) error {
	v.Response().Header().Set("Content-Disposition", fmt.Sprintf("attachment; filename=%q", t.name))
	return v.Blob(http.StatusOK, t.mediaType, t.body)
}
