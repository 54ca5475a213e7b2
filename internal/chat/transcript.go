// This file renders a conversation for people: as text, as HTML and as Markdown. What a visitor wrote is data in all
// three; no markup of theirs survives in HTML or Markdown.

package chat

import (
	"html"
	"net/url"
	"strings"
	"time"
)

// Style says how transcripts are shown. The zero value is UTC and English.
type Style struct {
	Zone     *time.Location
	Language string // one of Languages
}

// labels are the words of a transcript.
type labels struct{ visitor, agent, bot, unknown, file, until, empty string }

var languages = map[string]labels{
	"en": {"Visitor", "Agent", "Automatic", "Unknown", "File", "until", "No messages."},
	"cs": {"Návštěvník", "Operátor", "Automaticky", "Neznámý", "Soubor", "do", "Žádné zprávy."},
	"de": {"Besucher", "Mitarbeiter", "Automatisch", "Unbekannt", "Datei", "bis", "Keine Nachrichten."},
	"es": {"Visitante", "Agente", "Automático", "Desconocido", "Archivo", "hasta", "Sin mensajes."},
	"fr": {"Visiteur", "Agent", "Automatique", "Inconnu", "Fichier", "jusqu’au", "Aucun message."},
	"hu": {"Látogató", "Ügynök", "Automatikus", "Ismeretlen", "Fájl", "eddig", "Nincs üzenet."},
	"it": {"Visitatore", "Operatore", "Automatico", "Sconosciuto", "File", "fino al", "Nessun messaggio."},
	"nl": {"Bezoeker", "Medewerker", "Automatisch", "Onbekend", "Bestand", "tot", "Geen berichten."},
	"pl": {"Gość", "Agent", "Automatycznie", "Nieznany", "Plik", "do", "Brak wiadomości."},
	"pt": {"Visitante", "Agente", "Automático", "Desconhecido", "Ficheiro", "até", "Sem mensagens."},
	"sk": {"Návštevník", "Operátor", "Automaticky", "Neznámy", "Súbor", "do", "Žiadne správy."},
}

// Languages lists the languages of transcripts.
func Languages() []string {
	return []string{"en", "cs", "de", "es", "fr", "hu", "it", "nl", "pl", "pt", "sk"}
}

// Render renders all three forms.
func (c *Conversation) Render(s Style) Transcript {
	words, ok := languages[s.Language]
	if !ok {
		words = languages["en"]
	}
	if s.Zone == nil {
		s.Zone = time.UTC
	}
	if len(c.Messages) == 0 {
		return Transcript{Text: words.empty, HTML: HTML("<p>" + html.EscapeString(words.empty) + "</p>"), Markdown: words.empty}
	}
	r := renderer{zone: s.Zone, words: words}
	r.grow(c.Messages)
	for i := range c.Messages {
		r.message(&c.Messages[i])
	}
	r.html.WriteString("</p>")
	return Transcript{Text: strings.TrimRight(r.text.String(), "\n"), HTML: HTML(r.html.String()), Markdown: r.markdown.String()}
}

type renderer struct {
	zone                 *time.Location
	words                labels
	day                  [3]int  // year, month, day of the message before
	names                []named // of the first who wrote
	begun                bool    // there is a paragraph
	text, html, markdown strings.Builder
}

// grow makes room for messages, so that the texts are not copied as they grow.
func (r *renderer) grow(messages []Message) {
	size := 0
	for i := range messages {
		m := &messages[i]
		size += len(m.Text) + len(m.Event) + len(m.Author) + len(m.Trigger) + len(m.Stamp)
	}
	r.text.Grow(size + 24*len(messages) + 32)
	r.html.Grow(size + 48*len(messages) + 48)
	r.markdown.Grow(size + 24*len(messages) + 32)
}

// paragraph begins a paragraph of markup.
func (r *renderer) paragraph() {
	if r.begun {
		r.html.WriteString("</p>\n<p>")
		r.markdown.WriteString("\n\n")
		return
	}
	r.begun = true
	r.html.WriteString("<p>")
}

// message adds one message. The date is shown when it changes, the time always, an unreadable stamp word for word.
func (r *renderer) message(m *Message) {
	var when writing
	if m.At.IsZero() {
		when = written(CleanLine(m.Stamp))
	} else {
		at := m.At.In(r.zone)
		if year, month, day := at.Date(); r.day != [3]int{year, int(month), day} {
			r.day = [3]int{year, int(month), day}
			r.date(at.Format("2006-01-02"), at.Format("MST"))
		}
		now := clock(at)
		when = writing{now, now, now}
	}
	body := m.Text
	if body == "" {
		body = m.Event
	}
	if m.Role == System {
		r.line(when, writing{}, "— "+joinNonEmpty(": ", CleanLine(m.Author), body))
	} else {
		r.line(when, r.who(m), body)
	}
	for _, f := range m.Files {
		r.file(f)
	}
}

// date begins a day.
func (r *renderer) date(day, zone string) {
	r.paragraph()
	r.text.WriteString(day + " (" + zone + ")\n")
	r.html.WriteString("<b>" + day + " (" + html.EscapeString(zone) + ")</b>")
	r.markdown.WriteString("**" + day + " (" + zone + ")**")
}

// clock is at.Format("15:04:05"), which reads its layout anew for each message.
func clock(at time.Time) string {
	hour, minute, second := at.Clock()
	digits := func(n int) (byte, byte) { return byte('0' + n/10), byte('0' + n%10) }
	b := [8]byte{2: ':', 5: ':'}
	b[0], b[1] = digits(hour)
	b[3], b[4] = digits(minute)
	b[6], b[7] = digits(second)
	return string(b[:])
}

// writer is what the name of who wrote a message depends on.
type writer struct {
	role                Role
	author, id, trigger string
}

// writing is a line as it is written in each form.
type writing struct{ text, html, markdown string }

func written(s string) writing { return writing{s, html.EscapeString(s), EscapeMarkdown(s)} }

type named struct {
	writer
	name writing
}

// who names who wrote m. Few write many messages; of more than eight, the names of the others are written anew each time.
func (r *renderer) who(m *Message) writing {
	key := writer{m.Role, m.Author, m.AuthorID, m.Trigger}
	for i := range r.names {
		if r.names[i].writer == key {
			return r.names[i].name
		}
	}
	name := written(CleanLine(r.author(m)))
	if len(r.names) < 8 {
		r.names = append(r.names, named{key, name})
	}
	return name
}

// author names who wrote m. A name that a decoder took from DefaultAuthor is translated.
func (r *renderer) author(m *Message) string {
	if m.Role == Bot {
		return joinNonEmpty(": ", r.words.bot, firstNonEmpty(m.Trigger, m.Author))
	}
	if m.Author == "" || m.Author == DefaultAuthor(m.Role, m.AuthorID) {
		return firstNonEmpty(r.words.someone(m.Role, m.AuthorID), r.words.unknown)
	}
	return m.Author
}

// DefaultAuthor names a writer whose name is not known: "Visitor", "Agent 3", "Agent". It is empty for roles that are
// not a person's. Decoders store it in English; Render shows it in the language of the transcript.
func DefaultAuthor(role Role, id string) string { return languages["en"].someone(role, id) }

func (l labels) someone(role Role, id string) string {
	switch role {
	case Visitor:
		return l.visitor
	case Agent:
		return joinNonEmpty(" ", l.agent, id)
	}
	return ""
}

func (r *renderer) line(when, who writing, body string) {
	r.paragraph()
	gap := ""
	if when.text != "" {
		write(&r.text, "[", when.text, "]")
		write(&r.html, "<small>", when.html, "</small>")
		write(&r.markdown, when.markdown)
		gap = " "
	}
	if who.text != "" {
		write(&r.text, gap, who.text, ":")
		write(&r.html, gap, "<b>", who.html, ":</b>")
		write(&r.markdown, gap, "**", who.markdown, ":**")
		gap = " "
	}
	switch {
	case plain(body):
		write(&r.text, gap, body)
		write(&r.html, gap, body)
		write(&r.markdown, gap, escapeStart(body))
	case body != "":
		write(&r.text, gap, strings.ReplaceAll(body, "\n", "\n    "))
		write(&r.html, gap, string(EscapeHTML(body)))
		write(&r.markdown, gap, strings.ReplaceAll(EscapeMarkdown(body), "\n", "  \n"))
	}
	r.text.WriteByte('\n')
}

// plain tells whether s has one line and nothing that is escaped but at its start. It is false of an empty text.
func plain(s string) bool {
	for i := range len(s) {
		if special[s[i]] {
			return false
		}
	}
	return s != ""
}

// special are the bytes that are escaped in HTML or Markdown, and line breaks.
var special = func() (table [256]bool) {
	for _, c := range []byte("\n\\`*_{}[]<>#+!|~&()'\"") {
		table[c] = true
	}
	return table
}()

func write(to *strings.Builder, parts ...string) {
	for _, part := range parts {
		to.WriteString(part)
	}
}

func (r *renderer) file(f File) {
	name, location := CleanLine(f.Name), CleanLine(f.URL)
	name = firstNonEmpty(name, location)
	note := ""
	if !f.ExpiresAt.IsZero() {
		note = "(" + r.words.until + " " + f.ExpiresAt.In(r.zone).Format("2006-01-02 15:04 MST") + ")"
	}
	address := ""
	if location != name {
		address = location
	}
	link, mdlink := html.EscapeString(name), EscapeMarkdown(name)
	if Clickable(f.URL) {
		link = `<a href="` + html.EscapeString(f.URL) + `" rel="noreferrer">` + link + "</a>"
		mdlink = "[" + mdlink + "](<" + destination.Replace(f.URL) + ">)"
	}
	label := r.words.file + ":"
	r.paragraph()
	write(&r.text, "    ", joinNonEmpty(" ", label, name, address, note), "\n")
	r.html.WriteString(joinNonEmpty(" ", label, link, html.EscapeString(note)))
	r.markdown.WriteString(joinNonEmpty(" ", label, mdlink, EscapeMarkdown(note)))
}

// destination escapes an address between the angle brackets of a Markdown link.
var destination = strings.NewReplacer("<", "%3C", ">", "%3E", `\`, "%5C", "&", "&amp;")

// Clickable tells whether address may become a link: http or https with a host, and no line break.
func Clickable(address string) bool {
	u, err := url.Parse(address)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != "" && !strings.ContainsAny(address, "\r\n")
}

// EscapeHTML escapes text for HTML and keeps its line breaks.
func EscapeHTML(s string) HTML {
	return HTML(strings.ReplaceAll(html.EscapeString(s), "\n", "<br>\n"))
}

var markdownEscapes = strings.NewReplacer(
	`\`, `\\`, "`", "\\`", "*", `\*`, "_", `\_`, "{", `\{`, "}", `\}`, "[", `\[`, "]", `\]`, "<", "&lt;", ">", "&gt;",
	"#", `\#`, "+", `\+`, "!", `\!`, "|", `\|`, "~", `\~`, "&", "&amp;", "(", `\(`, ")", `\)`,
)

// EscapeMarkdown escapes text for CommonMark, so that it shows as written; a list or rule at the start of a line too.
func EscapeMarkdown(s string) string {
	s = markdownEscapes.Replace(s)
	if strings.IndexByte(s, '\n') < 0 {
		return escapeStart(s)
	}
	lines := strings.Split(s, "\n")
	for i, line := range lines {
		lines[i] = escapeStart(line)
	}
	return strings.Join(lines, "\n")
}

// escapeStart escapes what would make a list, a rule or a code block of a line.
func escapeStart(line string) string {
	if line == "" || line[0] > '9' && line[0] != '=' {
		return line
	}
	trimmed := strings.TrimLeft(line, " \t")
	digits := strings.TrimLeft(trimmed, "0123456789")
	switch {
	case strings.HasPrefix(trimmed, "-"), strings.HasPrefix(trimmed, "="):
		return `\` + trimmed
	case len(digits) < len(trimmed) && strings.HasPrefix(digits, "."):
		return trimmed[:len(trimmed)-len(digits)] + `\` + digits
	}
	return trimmed // four leading spaces would be a code block
}

func firstNonEmpty(values ...string) string {
	for _, v := range values {
		if v != "" {
			return v
		}
	}
	return ""
}

func joinNonEmpty(sep string, values ...string) string {
	var kept []string
	for _, v := range values {
		if v != "" {
			kept = append(kept, v)
		}
	}
	return strings.Join(kept, sep)
}
