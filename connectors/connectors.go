// Package connectors is the contract between afterchat and what puts a conversation at a target: a help desk, a CRM,
// any HTTP API. It imports the standard library only, so that a connector can live in a module of its own.
//
// A connector classifies, the engine decides: it holds no loop over retries, no sleep and no attempt counter. It says
// with an *Error what happened, and the delivery engine says what that means. Package connectortest is the suite that
// every connector passes; connectors/README.md says how to write one.
package connectors

import (
	"context"
	"errors"
	"time"
)

// Connector puts records at one target.
type Connector interface {
	// Push makes the target hold rec. A nil error means that it does and that this revision is never sent again.
	//
	// Push is called from several goroutines at once (never twice at once for one Object), returns soon after ctx is
	// done, and may be called again for the same Object: the target must then hold one object, not two, as far as the
	// type's Once allows. The Receipt is kept even when it comes with an error (contact made, note failed). An error
	// without an *Error in its chain is Temporary and uncertain.
	Push(ctx context.Context, rec Record) (Receipt, error)
}

// Checker is a Connector that can tell whether its target works without sending anything.
type Checker interface {
	// Check returns nil if the target can be reached, lets us in, and has what the settings name. An *Error of kind
	// Denied confirms that the target takes nothing now; other kinds say that it could not be found out.
	Check(ctx context.Context) error
}

// Reacher is a Connector that can at least tell whether anybody is there, where a Checker would need a request that is
// not known to be harmless. That says nothing of whether records would be taken, so deliveries do not go by it: it is for
// people who ask.
type Reacher interface {
	// Reach connects to the target and sends it nothing. remedy says which settings would let it be checked. Errors are as
	// of Check.
	Reach(ctx context.Context) (remedy string, err error)
}

// FieldChecker is a Checker that can also tell whether what a mapping names is there: brands, forms, users, custom
// fields. It is asked with the fields of a test record, and sends nothing.
type FieldChecker interface {
	Checker
	// CheckFields returns nil if everything that fields name by id exists. Errors are as of Check.
	CheckFields(ctx context.Context, fields map[string]any) error
}

// Record is one revision of one conversation, rendered for one target.
type Record struct {
	Object    string         // this conversation at this target: the same for all revisions, attempts and replays; for external ids, markers, look-ups
	Request   string         // idempotency key: Object and revision; identical bytes are sent under it while its outcome is uncertain
	Revision  int            // 1, 2, …: the platform sent the conversation again with changed content
	Attempt   int            // 1 on the first try of this revision
	Uncertain bool           // an attempt on this Object, of this or an earlier revision, may have been taken: look before creating. True until a Push succeeds
	Prior     Receipt        // what the target is known to hold; zero if nothing: update, do not create
	Fields    map[string]any // what the mapping produced, checked against the declared fields
}

// Receipt is what a target answered: where the record is now.
type Receipt struct {
	ID    string            `json:"id,omitempty"`    // the target's own id
	URL   string            `json:"url,omitempty"`   // where a person can look at it
	Parts map[string]string `json:"parts,omitempty"` // further ids: contact, note, upload, …
}

// IsZero tells whether the receipt says nothing, so that nothing is known to be at the target.
func (r Receipt) IsZero() bool { return r.ID == "" && r.URL == "" && len(r.Parts) == 0 }

// Kind says what an error means for the record and for the target.
type Kind int

// The kinds. The zero value is Temporary, so an error that nobody classified is tried again.
const (
	Temporary Kind = iota // try again later
	Throttled             // not before After; leaves backoff alone
	Rejected              // this record will never be taken as it is
	Denied                // the target takes nothing now: credentials, address, suspended account
)

// String returns the kind as it stands in metrics and logs.
func (k Kind) String() string {
	switch k {
	case Temporary:
		return "temporary"
	case Throttled:
		return "throttled"
	case Rejected:
		return "rejected"
	case Denied:
		return "denied"
	}
	return "unknown"
}

// Error is a classified failure of a Push or Check. Its text must hold no secret.
type Error struct {
	Kind      Kind
	Uncertain bool          // the request may have been taken all the same
	After     time.Duration // Throttled: the earliest next try; 0 leaves it to the engine
	Status    int           // HTTP status, if there was one
	Hint      string        // what an operator can do about it; may be ""
	// Cause is what this failure has in common with others like it, in a few words: the field that was refused, the
	// vendor's code. Failures are grouped by it; "" leaves it at kind and status. It holds nothing of the record's values.
	Cause string
	// Response is the beginning of the target's answer, at most some KiB, without secrets. It may repeat the record, so it is
	// for the console, never for logs; "": there was none.
	Response string
	Err      error // what happened
}

// Error says what happened, without the hint.
func (e *Error) Error() string {
	if e.Err == nil {
		return e.Kind.String()
	}
	return e.Err.Error()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Classify returns the *Error in err's chain. An error without one is Temporary and Uncertain. nil stays nil.
func Classify(err error) *Error {
	if err == nil {
		return nil
	}
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	return &Error{Kind: Temporary, Uncertain: true, Err: err}
}

// Once says what holds "one object" at a target when an attempt's outcome is uncertain.
type Once int

// The ways, best first.
const (
	OnceNone   Once = iota // nothing: an uncertain attempt may leave two objects
	OnceLookup             // the connector looks for the object before it creates
	OnceKey                // the target remembers the idempotency key for a while
	OnceUpsert             // the target itself holds one object per Object
)

// String returns the way as it stands in documentation.
func (o Once) String() string {
	switch o {
	case OnceLookup:
		return "lookup"
	case OnceKey:
		return "key"
	case OnceUpsert:
		return "upsert"
	case OnceNone:
		return "none"
	}
	return "unknown"
}
