// This file says what a delivery would send now, and what an attempt of it has sent: requests are not kept but rendered
// again, with the configuration of the time, the revision, and what was known of the target then.

package gateway

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/afterchat/afterchat/config"
	"github.com/afterchat/afterchat/connectors"
	"github.com/afterchat/afterchat/internal/chat"
	"github.com/afterchat/afterchat/internal/console"
	"github.com/afterchat/afterchat/internal/delivery"
	"github.com/afterchat/afterchat/internal/ledger"
	"github.com/afterchat/afterchat/internal/pipeline"
)

// errNoSnapshot means that an earlier configuration is not kept any more, or cannot be opened.
var errNoSnapshot = errors.New("the configuration of that time is not kept any more")

// render says what a delivery would send with today's configuration, or with that of its newest attempt.
func (g *Gateway) render(ctx context.Context, d ledger.DeliveryRow, c chat.Conversation, pinned bool) (console.Rendered, error) {
	s := g.setup.Load()
	out := console.Rendered{With: console.WithToday, Config: s.config.Pipeline.Hash(), Revision: d.Revision}
	mapper, err := g.mapperFor(ctx, s, d, pinned)
	if pinned {
		out.With = console.WithThen
	}
	if errors.Is(err, errNoSnapshot) {
		out.Config, out.Error = "", err.Error()
		return out, nil
	}
	if err != nil {
		return out, err
	}
	out.Config = mapper.Hash()
	if d.Uncertain && !pinned {
		out.Notes = append(out.Notes, "an attempt may have been taken: the next one of the same revision sends what that one sent")
	}
	s.fill(&out, mapper, &c, record{
		id: d.ID, target: d.Target, routes: d.Routes, revision: d.Revision, attempt: d.Attempts + 1, uncertain: d.Uncertain, prior: d.Receipt,
	})
	return out, nil
}

// renderAttempt says what an attempt has sent of the revision c, or what the configuration of today would have sent in its
// place. Why that cannot be known is in Unknown.
func (g *Gateway) renderAttempt(ctx context.Context, d ledger.DeliveryRow, a ledger.Attempt, c chat.Conversation, today bool) (console.Rendered, error) {
	s := g.setup.Load()
	out := console.Rendered{With: console.WithThen, Config: a.Config, Revision: a.Revision}
	p, unknown, err := g.pipelineOf(ctx, s, a)
	if err != nil || unknown != "" {
		out.Unknown = unknown
		return out, err
	}
	routes := d.Routes
	if a.Revision != d.Revision {
		// The row has the routes of its newest revision only.
		if routes, err = routesTo(p, &c, d.Target); err != nil || routes == nil {
			out.Unknown = fmt.Sprintf("the routes that had sent revision %d are not kept, and those of the configuration of that time send it elsewhere", a.Revision)
			return out, nil //nolint:nilerr // it is told
		}
		out.Notes = append(out.Notes, fmt.Sprintf("the routes of revision %d were decided again, with the configuration of that time", a.Revision))
	}
	if today {
		out.With = console.WithToday
		if p = s.config.Pipeline; !p.Has(d.Target, routes) {
			out.Config, out.Unknown = p.Hash(), "the routes that had sent it are gone"
			return out, nil
		}
		out.Config = p.Hash()
	}
	s.fill(&out, p, &c, record{
		id: d.ID, target: d.Target, routes: routes, revision: a.Revision, attempt: a.Number, uncertain: a.Uncertain, prior: a.Prior,
	})
	return out, nil
}

// pipelineOf opens the configuration that an attempt was made with. unknown says why there is none.
func (g *Gateway) pipelineOf(ctx context.Context, s *setup, a ledger.Attempt) (p *pipeline.Pipeline, unknown string, err error) {
	switch {
	case a.Config == s.config.Pipeline.Hash():
		return s.config.Pipeline, "", nil
	case a.Config != "":
	case a.Kind == "crash":
		return nil, "the process ended during the attempts before, and nobody knows what had been sent", nil
	case a.Kind == "ok" || a.Status > 0:
		return nil, "it was made by an earlier version, which did not note its configuration", nil
	default:
		return nil, "no configuration is noted for it: it ended before a request was rendered, or an earlier version made it", nil
	}
	snapshot, err := g.ledger.Config(ctx, a.Config)
	if errors.Is(err, ledger.ErrNotFound) {
		return nil, errNoSnapshot.Error(), nil
	}
	if err != nil {
		return nil, "", err
	}
	p, err = openPipeline(snapshot, s.config)
	if errors.Is(err, pipeline.ErrSnapshot) {
		return nil, "the configuration of that time cannot be read by this version", nil
	}
	return p, "", err
}

// routesTo are the routes that send a conversation to a target; nil: none does.
func routesTo(p *pipeline.Pipeline, c *chat.Conversation, target string) ([]string, error) {
	matches, err := p.Route(c)
	i := slices.IndexFunc(matches, func(m pipeline.Match) bool { return m.Target == target })
	if i < 0 {
		return nil, err
	}
	return matches[i].Routes, nil
}

// record is what a request depends on beside what is mapped.
type record struct {
	id, target string
	routes     []string
	revision   int
	attempt    int
	uncertain  bool
	prior      connectors.Receipt
}

// fill renders a conversation. The target is that of today, with its settings of today.
func (s *setup) fill(out *console.Rendered, m delivery.Mapper, c *chat.Conversation, r record) {
	rendered, err := m.Map(c, r.target, r.routes)
	if err != nil {
		out.Error = err.Error()
		return
	}
	out.Fields, out.Notes = rendered.Fields, slices.Concat(out.Notes, rendered.Cut, rendered.Dropped)
	i := slices.IndexFunc(s.config.Targets, func(t config.Target) bool { return t.Name == r.target })
	if i < 0 {
		out.Notes = append(out.Notes, "the target is not configured, so the requests cannot be told")
		return
	}
	previewer, ok := s.delivery.Targets[i].Connector.(connectors.Previewer)
	if !ok {
		return
	}
	object := delivery.ObjectName(r.id, firstName(s.config.Targets[i]))
	preview, err := previewer.Preview(connectors.Record{
		Object: object, Request: object + ":" + strconv.Itoa(r.revision), Revision: r.revision, Attempt: r.attempt,
		Uncertain: r.uncertain, Prior: r.prior, Fields: rendered.Fields,
	})
	out.Requests, out.NotSent = preview.Requests, preview.NotSent
	if err != nil {
		out.Error = err.Error()
	}
}

// mapperFor chooses as the engine does: today's configuration, unless the routes that sent the delivery are gone.
func (g *Gateway) mapperFor(ctx context.Context, s *setup, d ledger.DeliveryRow, pinned bool) (delivery.Mapper, error) {
	today := s.config.Pipeline
	hash := d.Accepted
	switch {
	case pinned && d.Tried != "":
		hash = d.Tried
	case !pinned && today.Has(d.Target, d.Routes):
		return today, nil
	}
	if hash == today.Hash() {
		return today, nil
	}
	snapshot, err := g.ledger.Config(ctx, hash)
	if errors.Is(err, ledger.ErrNotFound) {
		return fallback(today, pinned)
	}
	if err != nil {
		return nil, err
	}
	p, err := openPipeline(snapshot, s.config)
	if errors.Is(err, pipeline.ErrSnapshot) {
		return fallback(today, pinned)
	}
	return p, err
}

// fallback is what renders when the configuration of the time is gone: today's, which says what it lacks.
func fallback(today delivery.Mapper, pinned bool) (delivery.Mapper, error) {
	if pinned {
		return nil, errNoSnapshot
	}
	return today, nil
}
