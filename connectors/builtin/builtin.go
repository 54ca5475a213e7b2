// Package builtin is the list of the connector types that ship.
//
// This file is the list. A type that is not in it does not exist for the gateway: nothing registers itself.
package builtin

import (
	"github.com/afterchat/afterchat/connectors"
	"github.com/afterchat/afterchat/connectors/file"
	"github.com/afterchat/afterchat/connectors/http"
	"github.com/afterchat/afterchat/connectors/hubspot"
	"github.com/afterchat/afterchat/connectors/zendesk"
)

// Types returns the types that ship, sorted by name. The slice is the caller's: a custom build appends its own types.
func Types() []connectors.Type {
	return []connectors.Type{
		file.Type(),
		http.Type(),
		hubspot.Type(),
		zendesk.Type(),
	}
}
