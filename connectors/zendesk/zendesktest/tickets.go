// This file serves tickets, comments, uploads and users.

package zendesktest

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	maxComment  = 64 << 10 // bytes of UTF-8, exclusive
	maxComments = 5000
	keyLife     = 2 * time.Hour
)

func (a *Account) listTickets(w http.ResponseWriter, r *http.Request, _ request) {
	want := r.URL.Query().Get("external_id")
	list := []any{}
	for _, t := range a.tickets {
		if !t.Deleted && want != "" && strings.EqualFold(t.ExternalID, want) {
			list = append(list, shown(t))
		}
	}
	reply(w, http.StatusOK, map[string]any{"tickets": list, "count": len(list)})
}

func shown(t *Ticket) map[string]any {
	out := map[string]any{
		"id": t.ID, "external_id": t.ExternalID, "status": t.Status, "tags": t.Tags, "requester_id": t.Requester,
		"created_at": t.CreatedAt.UTC().Format(time.RFC3339Nano),
	}
	maps.Copy(out, t.Values)
	return out
}

// createTicket honors idempotency keys: https://developer.zendesk.com/api-reference/ticketing/introduction/#idempotency
func (a *Account) createTicket(w http.ResponseWriter, r *http.Request, in request) {
	key := r.Header.Get("Idempotency-Key")
	life := a.KeyLife
	if life == 0 {
		life = keyLife
	}
	if old, ok := a.keys[key]; ok && key != "" && a.Now().Sub(old.at) < life {
		if old.request != string(in.body) {
			refuse(w, http.StatusBadRequest, "IdempotentRequestError", "Request parameters don't match the given idempotency key")
			return
		}
		w.Header().Set("X-Idempotency-Lookup", "hit")
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		w.WriteHeader(old.status)
		_, _ = w.Write([]byte(old.answer))
		return
	}
	made := httptest.NewRecorder()
	a.create(made, in)
	if key != "" && made.Code == http.StatusCreated {
		a.keys[key] = kept{at: a.Now(), request: string(in.body), status: made.Code, answer: made.Body.String()}
		w.Header().Set("X-Idempotency-Lookup", "miss")
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(made.Code)
	_, _ = w.Write(made.Body.Bytes())
}

func (a *Account) create(w http.ResponseWriter, in request) {
	values, _ := in.json["ticket"].(map[string]any)
	comment, _ := values["comment"].(map[string]any)
	if len(comment) == 0 {
		invalid(w, "base", "Description: cannot be blank")
		return
	}
	t := &Ticket{ID: int64(len(a.tickets) + 1), CreatedAt: a.Now(), Status: "new", Requester: Me, Values: map[string]any{}}
	if source, ok := values["via_followup_source_id"]; ok {
		old := a.find(whole(source))
		if old == nil || old.Status != "closed" {
			invalid(w, "via_followup_source_id", "the source is not closed")
			return
		}
		t.FollowUpOf, t.Tags = old.ID, slices.Clone(old.Tags)
	}
	if who, ok := values["requester"].(map[string]any); ok {
		email, _ := who["email"].(string)
		name, _ := who["name"].(string)
		if !strings.Contains(email, "@") {
			invalid(w, "requester", "Requester: Email is not properly formatted")
			return
		}
		t.Requester = a.user(email, name).ID
	}
	if !a.comment(w, t, comment) {
		return
	}
	a.apply(t, values)
	a.tickets = append(a.tickets, t)
	w.Header().Set("Location", fmt.Sprintf("https://acme.zendesk.com/api/v2/tickets/%d.json", t.ID))
	reply(w, http.StatusCreated, map[string]any{"ticket": shown(t)})
}

// apply sets the properties that are not comments.
func (a *Account) apply(t *Ticket, values map[string]any) {
	for name, v := range values {
		switch name {
		case "comment", "comments", "requester", "via_followup_source_id":
		case "status":
			t.Status, _ = v.(string)
		case "external_id":
			t.ExternalID, _ = v.(string)
		case "requester_id":
			t.Requester = whole(v)
		case "tags":
			t.Tags = texts(v)
		case "custom_fields":
			// An update changes the fields that it names.
			custom, _ := t.Values[name].(map[string]any)
			merged := map[string]any{}
			maps.Copy(merged, custom)
			list, _ := v.([]any)
			for _, item := range list {
				field, _ := item.(map[string]any)
				merged[strconv.FormatInt(whole(field["id"]), 10)] = field["value"]
			}
			t.Values[name] = merged
		case "created_at":
			if at, err := time.Parse(time.RFC3339, fmt.Sprint(v)); err == nil {
				t.CreatedAt = at
			}
		default:
			t.Values[name] = v
		}
	}
}

// comment adds a comment, or refuses and returns false.
func (a *Account) comment(w http.ResponseWriter, t *Ticket, in map[string]any) bool {
	c := Comment{Author: Me, CreatedAt: a.Now(), Public: true}
	c.HTML, _ = in["html_body"].(string)
	if strings.TrimSpace(c.HTML) == "" {
		invalid(w, "comment", "Comment: cannot be blank")
		return false
	}
	if len(c.HTML) >= maxComment {
		invalid(w, "comment", "Comment: is too long (maximum is 65536 bytes)")
		return false
	}
	if len(t.Comments) >= maxComments {
		invalid(w, "comment", "Ticket has reached the limit of 5,000 comments")
		return false
	}
	if public, ok := in["public"].(bool); ok {
		c.Public = public
	}
	if id := whole(in["author_id"]); id != 0 {
		if a.userByID(id) == nil {
			invalid(w, "author_id", "Author: is invalid")
			return false
		}
		c.Author = id
	}
	if at, err := time.Parse(time.RFC3339, fmt.Sprint(in["created_at"])); err == nil {
		if at.After(a.Now()) || at.Unix() < 0 {
			invalid(w, "comment", "Created at: is invalid")
			return false
		}
		c.CreatedAt = at
	}
	for _, token := range texts(in["uploads"]) {
		up := a.uploads[token]
		if up == nil || up.used {
			invalid(w, "uploads", "Upload: "+token+" is invalid")
			return false
		}
		up.used = true
		c.Files = append(c.Files, *up)
	}
	t.Comments = append(t.Comments, c)
	return true
}

func (a *Account) importTicket(w http.ResponseWriter, _ *http.Request, in request) {
	if a.Role == "agent" {
		refuse(w, http.StatusForbidden, "Forbidden", "You do not have access to this page. Please contact the account owner of this help desk for further help.")
		return
	}
	values, _ := in.json["ticket"].(map[string]any)
	t := &Ticket{ID: int64(len(a.tickets) + 1), CreatedAt: a.Now(), Status: "open", Requester: Me, Imported: true, Values: map[string]any{}}
	if id := whole(values["requester_id"]); id != 0 && a.userByID(id) == nil {
		invalid(w, "requester_id", "Requester: is invalid")
		return
	}
	list, _ := values["comments"].([]any)
	for _, item := range list {
		comment, _ := item.(map[string]any)
		if !a.comment(w, t, comment) {
			return
		}
	}
	a.apply(t, values)
	a.tickets = append(a.tickets, t)
	reply(w, http.StatusCreated, map[string]any{"ticket": shown(t)})
}

// open finds the ticket of the path for a change, or refuses.
func (a *Account) open(w http.ResponseWriter, r *http.Request) *Ticket {
	t := a.find(pathID(r))
	switch {
	case t == nil || t.Deleted:
		refuse(w, http.StatusNotFound, "RecordNotFound", "Not found")
		return nil
	case t.Status == "closed" && r.Method != http.MethodGet:
		invalid(w, "status", "Status: closed prevents ticket update")
		return nil
	}
	return t
}

func (a *Account) updateTicket(w http.ResponseWriter, r *http.Request, in request) {
	t := a.open(w, r)
	if t == nil {
		return
	}
	values, _ := in.json["ticket"].(map[string]any)
	if comment, ok := values["comment"].(map[string]any); ok && !a.comment(w, t, comment) {
		return
	}
	a.apply(t, values)
	reply(w, http.StatusOK, map[string]any{"ticket": shown(t)})
}

func (a *Account) addTags(w http.ResponseWriter, r *http.Request, in request) {
	t := a.open(w, r)
	if t == nil {
		return
	}
	for _, tag := range texts(in.json["tags"]) {
		if !slices.Contains(t.Tags, tag) {
			t.Tags = append(t.Tags, tag)
		}
	}
	reply(w, http.StatusOK, map[string]any{"tags": t.Tags})
}

// listComments pages by cursor, newest first if asked.
func (a *Account) listComments(w http.ResponseWriter, r *http.Request, _ request) {
	t := a.open(w, r)
	if t == nil {
		return
	}
	list := slices.Clone(t.Comments)
	slices.SortStableFunc(list, func(x, y Comment) int { return x.CreatedAt.Compare(y.CreatedAt) })
	if r.URL.Query().Get("sort") == "-created_at" {
		slices.Reverse(list)
	}
	size, err := strconv.Atoi(r.URL.Query().Get("page[size]"))
	if err != nil || size < 1 || size > 100 {
		size = 100
	}
	from, _ := strconv.Atoi(r.URL.Query().Get("page[after]"))
	from = min(from, len(list))
	to := min(from+size, len(list))
	out := []any{}
	for _, c := range list[from:to] {
		out = append(out, map[string]any{"author_id": c.Author, "public": c.Public, "html_body": `<div class="zd-comment" dir="auto">` + c.HTML + `</div>`})
	}
	reply(w, http.StatusOK, map[string]any{
		"comments": out, "meta": map[string]any{"has_more": to < len(list), "after_cursor": strconv.Itoa(to)},
	})
}

func (a *Account) upload(w http.ResponseWriter, r *http.Request, in request) {
	name := r.URL.Query().Get("filename")
	if name == "" {
		refuse(w, http.StatusBadRequest, "InvalidParameter", "filename is required")
		return
	}
	token := fmt.Sprintf("upload-%d", len(a.uploads)+1)
	a.uploads[token] = &Upload{Name: name, Type: r.Header.Get("Content-Type"), Content: string(in.body)}
	reply(w, http.StatusCreated, map[string]any{"upload": map[string]any{"token": token}})
}

func (a *Account) me(w http.ResponseWriter, _ *http.Request, _ request) {
	reply(w, http.StatusOK, map[string]any{"user": shownUser(a.userByID(Me))})
}

func (a *Account) showUser(w http.ResponseWriter, r *http.Request, _ request) {
	u := a.userByID(pathID(r))
	if u == nil {
		refuse(w, http.StatusNotFound, "RecordNotFound", "Not found")
		return
	}
	reply(w, http.StatusOK, map[string]any{"user": shownUser(u)})
}

// searchUsers finds by email:"…" what is older than the lag of the index.
func (a *Account) searchUsers(w http.ResponseWriter, r *http.Request, _ request) {
	want := strings.Trim(strings.TrimPrefix(r.URL.Query().Get("query"), "email:"), `"`)
	list := []any{}
	for _, u := range a.users {
		if strings.EqualFold(u.Email, want) && a.Now().Sub(u.CreatedAt) >= a.SearchLag {
			list = append(list, shownUser(u))
		}
	}
	reply(w, http.StatusOK, map[string]any{"users": list})
}

func (a *Account) createOrUpdateUser(w http.ResponseWriter, _ *http.Request, in request) {
	values, _ := in.json["user"].(map[string]any)
	email, _ := values["email"].(string)
	name, _ := values["name"].(string)
	before := len(a.users)
	u := a.user(email, name)
	u.Writes++
	status := http.StatusOK
	if len(a.users) > before {
		status = http.StatusCreated
	}
	reply(w, status, map[string]any{"user": shownUser(u)})
}

// showOther serves brands, groups, forms and fields.
func (a *Account) showOther(w http.ResponseWriter, r *http.Request, _ request) {
	kind := r.PathValue("kind")
	if !a.ids[kind+"/"+r.PathValue("id")] {
		refuse(w, http.StatusNotFound, "RecordNotFound", "Not found")
		return
	}
	reply(w, http.StatusOK, map[string]any{strings.TrimSuffix(kind, "s"): map[string]any{"id": pathID(r)}})
}

// user finds or makes the user with an address.
func (a *Account) user(email, name string) *User {
	for _, u := range a.users {
		if strings.EqualFold(u.Email, email) {
			return u
		}
	}
	u := &User{ID: int64(1000 + len(a.users)), Email: email, Name: name, Role: "end-user", CreatedAt: a.Now()}
	a.users = append(a.users, u)
	return u
}

func (a *Account) userByID(id int64) *User {
	if id == Me {
		role := a.Role
		if role == "" {
			role = "admin"
		}
		return &User{ID: Me, Name: "afterchat", Email: a.Email, Role: role}
	}
	for _, u := range a.users {
		if u.ID == id {
			return u
		}
	}
	return nil
}

func shownUser(u *User) map[string]any {
	return map[string]any{"id": u.ID, "name": u.Name, "email": u.Email, "role": u.Role, "suspended": false}
}

// whole reads a number that JSON gave.
func whole(v any) int64 {
	switch v := v.(type) {
	case float64:
		return int64(v)
	case json.Number:
		n, _ := v.Int64()
		return n
	}
	return 0
}

func texts(v any) []string {
	list, _ := v.([]any)
	var out []string
	for _, item := range list {
		if text, ok := item.(string); ok {
			out = append(out, text)
		}
	}
	return out
}
