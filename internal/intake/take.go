// This file takes hooks that are not sent now: out of quarantine, or from files.

package intake

import (
	"context"
	"errors"
	"slices"

	"github.com/afterchat/afterchat/internal/ledger"
	"github.com/afterchat/afterchat/internal/source"
)

// ErrNoSource means that there is no source of that name.
var ErrNoSource = errors.New("there is no such source")

// Taking says how a stored hook is taken.
type Taking struct {
	Only     string // target that alone gets it; "": those of the routes
	Released bool   // it comes out of quarantine; else it is imported
}

// Take takes a hook of a source that came some time ago, by the same way as one that comes now, and stores it. It counts in
// no metric and is no sign of life of its source. The error is a *source.Error if the hook cannot be read; then nothing is
// stored.
func (h *Handler) Take(ctx context.Context, name string, hook source.Hook, how Taking) (ledger.Acceptance, error) {
	i := slices.IndexFunc(h.Sources, func(s Source) bool { return s.Name == name })
	if i < 0 {
		return ledger.Acceptance{}, ErrNoSource
	}
	src := &h.Sources[i]
	decoded, err := h.decode(src, hook)
	if err != nil {
		return ledger.Acceptance{}, err
	}
	conversation := &decoded.Conversation
	conversation.Source, conversation.Brand, conversation.ReceivedAt = src.Name, src.Brand, hook.ReceivedAt
	conversation.Normalize()
	conversation.Revision = 1
	if err := h.redact(conversation, &hook); err != nil {
		return ledger.Acceptance{}, err
	}
	plan := narrowed(h.Plan(conversation), how.Only)
	return h.Ledger.Accept(ctx, ledger.Hook{
		Raw: hook.Body, ContentType: hook.ContentType, Conversation: *conversation,
		Session: decoded.Session, SessionWindow: decoded.SessionWindow, Import: true, Released: how.Released,
		Plan: func(id string, revision int) ledger.Plan {
			return narrowed(h.planAs(conversation, id, revision, plan), how.Only)
		},
	})
}

// narrowed is a plan for one target; "" leaves it.
func narrowed(p ledger.Plan, only string) ledger.Plan {
	if only != "" {
		p.Deliveries = slices.DeleteFunc(slices.Clone(p.Deliveries), func(d ledger.PlannedDelivery) bool { return d.Target != only })
	}
	return p
}
