// This file finds what a mapping could never be sent with, before there is a conversation.

package hubspot

import (
	"fmt"
	"net/mail"

	"github.com/afterchat/afterchat/connectors"
)

func vet(_ Settings, fields map[string]any) []connectors.FieldError {
	var found []connectors.FieldError
	if email, ok := fields["email"].(string); ok && email != "" && !connectors.Varies(email) {
		if parsed, err := mail.ParseAddress(email); err != nil || parsed.Address != email {
			found = append(found, connectors.FieldError{
				Path: []any{"email"}, Problem: fmt.Sprintf("%q is no e-mail address", email), Hint: "write email: '${visitor.email}'",
			})
		}
	}
	return found
}
