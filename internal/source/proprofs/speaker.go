// This file finds who wrote a line. The transcript marks no roles: a name is the operator's or the visitor's because
// the hook's other fields say so.

package proprofs

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/afterchat/afterchat/internal/chat"
)

// team are the names whose role the hook tells.
type team struct {
	speakers []speaker // the longest name first
	id       string    // the operator's id where it is not the name
}

type speaker struct {
	name string // folded
	role chat.Role
}

// newTeam takes the visitor's name and the operator's two. A name that is both is of unknown role.
func newTeam(visitor, logid, returned string) team {
	var t team
	if logid != "" && returned != "" && fold(logid) != fold(returned) {
		t.id = logid
	}
	t.add(fold(logid), chat.Agent)
	t.add(fold(returned), chat.Agent)
	t.add(fold(visitor), chat.Visitor)
	slices.SortStableFunc(t.speakers, func(a, b speaker) int { return len(b.name) - len(a.name) })
	return t
}

func (t *team) add(name string, role chat.Role) {
	if name == "" {
		return
	}
	for i := range t.speakers {
		if t.speakers[i].name == name {
			if t.speakers[i].role != role {
				t.speakers[i].role = chat.UnknownRole
			}
			return
		}
	}
	t.speakers = append(t.speakers, speaker{name, role})
}

// empty tells that no operator is named.
func (t team) empty() bool {
	return !slices.ContainsFunc(t.speakers, func(s speaker) bool { return s.role != chat.Visitor })
}

// messages finds the speaker of each line.
func (t team) messages(lines []line) []chat.Message {
	messages := make([]chat.Message, 0, len(lines))
	for _, l := range lines {
		m := t.message(l.text)
		m.Stamp = l.literal
		attach(&m)
		messages = append(messages, m)
	}
	return messages
}

func (t team) message(text string) chat.Message {
	for _, s := range t.speakers {
		if author, rest, ok := cutName(text, s.name); ok {
			m := chat.Message{Role: s.role, Author: author, Text: strings.TrimSpace(rest)}
			if s.role == chat.Agent {
				m.AuthorID = t.id
			}
			return m
		}
	}
	author, rest, _ := cutSpeaker(text)
	return chat.Message{Role: chat.UnknownRole, Author: chat.CleanLine(author), Text: strings.TrimSpace(rest)}
}

// credited lists the agents by their first message.
func (t team) credited(messages []chat.Message) []chat.Author {
	var agents []chat.Author
	seen := map[string]bool{}
	for _, m := range messages {
		if name := fold(m.Author); m.Role == chat.Agent && !seen[name] {
			seen[name] = true
			agents = append(agents, chat.Author{ID: m.AuthorID, Name: m.Author})
		}
	}
	return agents
}

// fold makes names comparable: lower case, single spaces.
func fold(name string) string { return strings.ToLower(strings.Join(strings.Fields(name), " ")) }

// cutName cuts a known name and the colon after it from the start of text. name is folded.
func cutName(text, name string) (author, rest string, ok bool) {
	i := 0
	for _, want := range name {
		if want == ' ' {
			spaces := len(text[i:]) - len(strings.TrimLeft(text[i:], " \t\u00a0"))
			if spaces == 0 {
				return "", "", false
			}
			i += spaces
			continue
		}
		r, size := utf8.DecodeRuneInString(text[i:])
		if size == 0 || unicode.ToLower(r) != want {
			return "", "", false
		}
		i += size
	}
	rest, ok = strings.CutPrefix(strings.TrimLeft(text[i:], " \t\u00a0"), ":")
	return chat.CleanLine(text[:i]), rest, ok
}

// maxSpeaker is the longest name, in characters, that is believed of a speaker the hook does not name.
const maxSpeaker = 40

// cutSpeaker cuts a plausible name at the first colon that a space or line end follows. An empty name, as in ": text",
// is named too, with author "".
func cutSpeaker(text string) (author, rest string, named bool) {
	row, _, _ := strings.Cut(text[:min(len(text), 4*maxSpeaker)], "\n")
	for i := 0; i < len(row); i++ {
		if row[i] != ':' {
			continue
		}
		if i+1 < len(text) && !strings.ContainsRune(" \t\n", rune(text[i+1])) {
			continue
		}
		if name := strings.TrimSpace(row[:i]); plausible(name) {
			return name, text[i+1:], true
		}
		break
	}
	return "", text, false
}

// plausible tells whether name can be somebody's: short, few words, none of the marks that sentences and addresses have.
func plausible(name string) bool {
	return name == "" || utf8.RuneCountInString(name) <= maxSpeaker && len(strings.Fields(name)) <= 5 &&
		!strings.ContainsAny(name, "?!;=<>{}\\\"") && !strings.Contains(name, "://") && !strings.HasPrefix(name, "- ")
}

// isFileName tells whether text is only a file's name, which is what the widget leaves of an upload. Where the vendor
// keeps the file is not documented, so no address is made up.
func isFileName(text string) bool {
	dot := strings.LastIndexByte(text, '.')
	if dot < 1 || len(text) > 255 || strings.ContainsAny(text, " \t\n/\\:?*\"<>|@") {
		return false
	}
	switch strings.ToLower(text[dot+1:]) {
	case "png", "jpg", "jpeg", "gif", "bmp", "webp", "svg", "heic", "tif", "tiff",
		"pdf", "doc", "docx", "xls", "xlsx", "ppt", "pptx", "odt", "ods", "csv", "txt", "rtf",
		"zip", "rar", "7z", "mp3", "mp4", "wav", "mov", "avi", "webm", "ogg", "eml", "msg":
		return true
	}
	return false
}

// attach makes a text that is only a file's name, or only a file's address, an attachment.
func attach(m *chat.Message) {
	if isFileName(m.Text) {
		m.Files, m.Text = []chat.File{{Name: m.Text}}, ""
		return
	}
	slash := strings.LastIndexByte(m.Text, '/')
	if slash > 0 && !strings.ContainsAny(m.Text, " \t\n") && isFileName(m.Text[slash+1:]) && chat.Clickable(m.Text) {
		m.Files = []chat.File{{Name: m.Text[slash+1:], URL: m.Text}}
	}
}
