// This file names the authors of messages that came without a name and collects the agents.

package smartsupp

import (
	"slices"
	"strings"

	"github.com/afterchat/afterchat/internal/chat"
)

// nameAuthors gives each message the name of its author and lists the agents: those who wrote and those who joined.
func (r *reader) nameAuthors() {
	names := r.senderNames()
	agents := agentList{byID: map[string]int{}, byName: map[string]int{}}
	for _, e := range r.entries {
		hadName := e.Author != ""
		if !hadName {
			e.Author = r.authorName(e, names)
		}
		if e.Role == chat.Agent || joined(e, hadName) {
			agents.add(e.AuthorID, e.Author)
		}
	}
	r.c.Agents = agents.list
}

// senderNames returns the names by which senders are known from any of their messages; nil if no message needs one.
func (r *reader) senderNames() map[sender]string {
	if !slices.ContainsFunc(r.entries, func(e entry) bool { return e.Author == "" }) {
		return nil
	}
	names := map[sender]string{}
	for _, e := range r.entries {
		if e.from.id != "" && e.Author != "" && names[e.from] == "" && (e.Role == e.from.kind || e.Role == chat.System) {
			names[e.from] = e.Author
		}
	}
	return names
}

// authorName names who wrote a message that came without a name.
func (r *reader) authorName(e entry, names map[sender]string) string {
	if e.Role == chat.Bot {
		return e.Trigger
	}
	name := ""
	if e.AuthorID != "" {
		name = names[e.from]
	}
	if name == "" && (e.Role == chat.Visitor || e.Role != chat.Agent && e.from.kind == chat.Visitor) {
		name = r.c.Person.Name
	}
	if name == "" {
		name = chat.DefaultAuthor(e.Role, e.AuthorID)
	}
	return name
}

// joined tells whether e is the event of an agent joining the chat. One without a sender is if it came with a name.
func joined(e entry, hadName bool) bool {
	event := strings.ToLower(e.Event)
	return e.Role == chat.System && (event == "agent.join" || event == "agent_join") &&
		(e.from.kind == chat.Agent || e.from.kind == "" && hadName)
}

// agentList collects agents once each, by id, and by name where there is no id.
type agentList struct {
	list         []chat.Author
	byID, byName map[string]int // index in list
}

func (l *agentList) add(id, name string) {
	if name == "" {
		name = chat.DefaultAuthor(chat.Agent, id)
	}
	if _, known := l.byID[id]; known {
		return
	}
	at, known := l.byName[name]
	known = known && (id == "" || l.list[at].ID == "")
	if !known {
		at = len(l.list)
		l.list = append(l.list, chat.Author{Name: name})
		if _, taken := l.byName[name]; !taken {
			l.byName[name] = at
		}
	}
	if id != "" {
		l.list[at].ID = id
		l.byID[id] = at
	}
}
