// This file lets tests cut notes where it costs less time than at 65,536 characters.

package hubspot

import "github.com/afterchat/afterchat/connectors"

// LimitNotes makes c cut notes at so many characters.
func LimitNotes(c connectors.Connector, characters int) { c.(*target).limit = characters }
