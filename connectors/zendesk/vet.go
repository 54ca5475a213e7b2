// This file finds what a mapping could never be sent with, before there is a conversation.

package zendesk

import (
	"fmt"
	"net/mail"

	"github.com/afterchat/afterchat/connectors"
)

func vet(_ Settings, fields map[string]any) []connectors.FieldError {
	var found []connectors.FieldError
	report := func(problem, hint string, path ...any) {
		found = append(found, connectors.FieldError{Path: path, Problem: problem, Hint: hint})
	}
	for _, name := range []string{"ticket_form_id", "brand_id", "group_id", "assignee_id"} {
		if id, ok := fields[name].(int64); ok && id <= 0 {
			report(fmt.Sprintf("%d is no id", id), "write the number that stands in the address of its page in Zendesk", name)
		}
	}
	tags, _ := fields["tags"].([]any)
	for i, tag := range tags {
		if text, ok := tag.(string); ok && text != "" && len(cleanTags([]any{text})) == 0 {
			report(fmt.Sprintf("nothing of %q can be a tag", text), "write letters, digits, and - _ / : between them", "tags", i)
		}
	}
	address := func(value any, path ...any) {
		text, ok := value.(string)
		if !ok || text == "" || connectors.Varies(text) {
			return
		}
		if parsed, err := mail.ParseAddress(text); err != nil || parsed.Address != text {
			report(fmt.Sprintf("%q is no e-mail address", text), "write an address such as petr@acme.example", path...)
		}
	}
	address(fields["assignee_email"], "assignee_email")
	requester, _ := fields["requester"].(map[string]any)
	address(requester["email"], "requester", "email")
	return found
}
