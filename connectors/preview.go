// This file is the part of the contract that shows what a push would send: explain and the console print it.

package connectors

// Previewer is a Connector that can tell what Push would send, without sending it.
type Previewer interface {
	// Preview returns the requests that Push would make for rec, in order, at a target that answers each as one does
	// that works and that holds what rec.Prior says, and nothing else of this conversation. It is made by the code that
	// pushes, so that the two cannot differ; what stands in for an id that only the target can give is told in a Note.
	//
	// Preview does no I/O and logs nothing, rec stays as it is, and it may be called from several goroutines at once. No
	// secret of the settings is in what it returns: credentials, and the parts of an address that are one, show as ***.
	// An error means that Push would fail for rec without sending anything more; what would be sent before comes with it.
	Preview(rec Record) (Preview, error)
}

// Preview is what a push would send.
type Preview struct {
	Requests []Request `json:"requests"`
	// NotSent are fields of the record that none of these requests holds, although the settings let them be used.
	NotSent []NotSent `json:"not_sent,omitempty"`
}

// Request is one request of a Preview.
type Request struct {
	Method  string            `json:"method"`            // of HTTP; APPEND for a file
	URL     string            `json:"url"`               // whole, but for its secrets; the path of a file
	Headers map[string]string `json:"headers,omitempty"` // those that say something
	Body    string            `json:"body,omitempty"`
	Reads   bool              `json:"reads,omitempty"` // it looks something up and changes nothing
	Note    string            `json:"note,omitempty"`  // what there is to know about it; may be ""
}

// NotSent is a field that a mapping fills and a push does not send.
type NotSent struct {
	Field string `json:"field"`
	Why   string `json:"why"` // such as: needs mode: import
}
