// This file looks at the gateway for what people should know: what is wrong now, for alerts and for the console.

package gateway

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/afterchat/afterchat/config"
	"github.com/afterchat/afterchat/internal/alert"
	"github.com/afterchat/afterchat/internal/console"
	"github.com/afterchat/afterchat/internal/ledger"
)

// alertSource is the source of alerts.
const alertSource = console.OwnSource

// settleLag is how long the newest failures are left for the next look: one that is being committed is older than others
// that are there already.
const settleLag = 10 * time.Second

// look is what is known of the gateway now, but for the troubles of the ledger.
func (g *Gateway) look(ctx context.Context, cfg *config.Config, memory alert.Memory, stats ledger.Stats, failed error, now time.Time) alert.Seen {
	ahead := time.Until(stats.At) // the times of failures are of the ledger's clock
	seen := alert.Seen{Paused: map[string]alert.Pause{}, Overdue: map[string]time.Time{}, Silent: map[string]alert.Silence{}}
	if failed != nil {
		seen.Blind = true
		return seen
	}
	seen.Quarantined = stats.Quarantined
	for _, s := range cfg.Sources {
		seen.Sources = append(seen.Sources, s.Name)
		if silence, is := g.silence(s, stats.LastHook[s.Name], memory, now); is {
			seen.Silent[s.Name] = silence
		}
	}
	for _, status := range g.engine.Load().Status() {
		seen.Targets = append(seen.Targets, status.Name)
		if status.Paused && !status.ByOperator {
			seen.Paused[status.Name] = alert.Pause{Reason: console.WithoutAnswer(status.Reason), Since: utc(status.Since)}
		}
		since := status.OverdueSince(stats.Targets[status.Name].Overdue, now)
		if !since.IsZero() && now.Sub(since) > alert.OverdueAfter {
			seen.Overdue[status.Name] = utc(since)
		}
	}
	var err error
	if seen.Graves, err = g.alerts.graves.read(ctx, g.ledger, stats, now); err != nil {
		seen.Blind = true
		return seen
	}
	seen.Until = now.Add(ahead)
	if memory.Since.IsZero() {
		return seen
	}
	seen.Until = seen.Until.Add(-settleLag)
	if err := g.since(ctx, cfg, memory, stats, &seen); err != nil {
		seen.Blind = true
	}
	return seen
}

// since finds what has come since the look before.
func (g *Gateway) since(ctx context.Context, cfg *config.Config, memory alert.Memory, stats ledger.Stats, seen *alert.Seen) error {
	if early := memory.Since.Sub(seen.Until); early > 0 {
		if early <= 2*settleLag { // so short after the first look; else a clock was set back
			seen.Until = memory.Since
		}
		return nil
	}
	if stats.Quarantined > 0 {
		n, err := g.unreadSince(ctx, memory.Read)
		if err != nil {
			return err
		}
		seen.Unread = n
	}
	failures, err := g.ledger.Failures(ctx, ledger.Filter{
		States: []ledger.State{ledger.Dead}, Live: true, FailedSince: memory.Since, FailedUntil: seen.Until,
	})
	for _, f := range failures {
		// Where the only target of alerts fails, it is the wrong one to tell.
		if !slices.Equal(cfg.Alerts.To, []string{f.Target}) {
			seen.Dead = append(seen.Dead, groupOf(f))
		}
	}
	return err
}

func groupOf(f ledger.Failure) alert.Group {
	return alert.Group{Target: f.Target, Class: f.Class, Count: f.Count, First: utc(f.First)}
}

// troubles are what is wrong with the ledger.
func (g *Gateway) troubles(ctx context.Context, stats ledger.Stats, failed error, now time.Time) (out []string) {
	if err := g.ledger.Ready(ctx); err != nil {
		out = append(out, "hooks cannot be stored: "+err.Error())
	} else if failed != nil {
		out = append(out, "the ledger cannot be read: "+failed.Error())
	} else if trouble := g.crowd.trouble(stats, retention(g.setup.Load().config).MaxSize, now); trouble != "" {
		out = append(out, trouble)
	}
	if stats.SetAside > 0 {
		out = append(out, "a damaged ledger is set aside; afterchat ledger repair takes what can be read of it into the one in use")
	}
	return out
}

// silence tells whether a source is silent for longer than expected. The time before it was configured does not count,
// nor that before a restart, unless it was silent then.
func (g *Gateway) silence(s config.Source, heard time.Time, memory alert.Memory, now time.Time) (alert.Silence, bool) {
	if s.ExpectEvery <= 0 {
		return alert.Silence{}, false
	}
	from := heard
	if since := g.setup.Load().since[s.Name]; from.Before(since) && !memory.Lasts(alert.Silent, s.Name) {
		from = since
	}
	return alert.Silence{Last: utc(heard), Since: utc(from.Add(s.ExpectEvery))}, now.Sub(from) > s.ExpectEvery
}

// mostUnread is how many hooks in quarantine are counted at one look.
const mostUnread = 10_000

// unreadSince counts the hooks in quarantine that came since.
func (g *Gateway) unreadSince(ctx context.Context, since time.Time) (n int64, err error) {
	page := ledger.Page{}
	for n < mostUnread {
		rows, err := g.ledger.Quarantined(ctx, nil, page)
		if err != nil {
			return n, err
		}
		for _, r := range rows.Items {
			if r.ReceivedAt.Before(since) {
				return n, nil
			}
			n++
		}
		if rows.Next == "" {
			return n, nil
		}
		page.After, page.Limit = rows.Next, ledger.MaxPage
	}
	return n, nil
}

// graves are all dead deliveries but those of imports, in groups. To group a million takes a while, so it is done when
// their number has changed, and then not too often.
type graves struct {
	mu     sync.Mutex
	counts map[string]int64
	at     time.Time
	took   time.Duration
	groups []alert.Group
}

const (
	gravesQuick = 50 * time.Millisecond // what takes no longer is done whenever somebody asks
	gravesEvery = 20 * time.Second
)

func (g *graves) read(ctx context.Context, l Ledger, stats ledger.Stats, now time.Time) ([]alert.Group, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	counts := map[string]int64{}
	for name, t := range stats.Targets {
		if t.DeadRows > 0 {
			counts[name] = t.DeadRows
		}
	}
	switch age := now.Sub(g.at); {
	case len(counts) == 0:
		return nil, nil
	case g.took > gravesQuick && age >= 0 && age < gravesEvery, g.took > gravesQuick && maps.Equal(counts, g.counts):
		return g.groups, nil
	}
	began := time.Now()
	failures, err := l.Failures(ctx, ledger.Filter{States: []ledger.State{ledger.Dead}, Live: true})
	if err != nil {
		return nil, err
	}
	g.groups = nil
	for _, f := range failures {
		g.groups = append(g.groups, groupOf(f))
	}
	g.counts, g.at, g.took = counts, now, time.Since(began)
	return g.groups, nil
}

// standing is what the console shows of what should not last.
func (g *Gateway) standing(ctx context.Context, stats ledger.Stats) []console.Alert {
	cfg, now := g.setup.Load().config, time.Now().UTC()
	memory := alert.Memory{}
	if known := g.alerts.memory.Load(); known != nil {
		memory = *known
	} else if note, err := g.ledger.Note(ctx, alertNote); err == nil && note.Text != "" {
		_ = json.Unmarshal([]byte(note.Text), &memory) // whoever tells says why it cannot be read
	}
	memory.Since = time.Time{} // what has come since is asked by whoever tells
	seen := g.look(ctx, cfg, memory, stats, nil, now)
	if known := g.alerts.troubles.Load(); known != nil {
		seen.Ledger = *known // to ask costs a write
	} else {
		seen.Ledger = g.troubles(ctx, stats, nil, now)
	}
	var out []console.Alert
	for _, s := range alert.Stands(memory, seen, now) {
		out = append(out, console.Alert{
			Kind: string(s.Kind), Name: s.Name, Class: s.Class, Text: s.Text, Count: s.Count, Since: utc(s.Since), ToldAt: utc(s.Told), ToldTo: s.To,
		})
	}
	return out
}
