// This file is `afterchat deliveries`: lists of deliveries, one with its attempts, and what can be done to one.

package cmd

import (
	"context"
	"fmt"
	"io"
	"net/url"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/afterchat/afterchat/internal/gateway"
)

type deliveriesCommand struct {
	List   deliveriesListCommand   `cmd:"" default:"withargs" help:"List deliveries, the newest first."`
	Show   deliveriesShowCommand   `cmd:"" help:"Show one delivery with its attempts."`
	Replay deliveriesReplayCommand `cmd:"" help:"Send a dead delivery again."`
	Cancel deliveriesCancelCommand `cmd:"" help:"Give up a pending delivery; it can be replayed."`
	Drop   deliveriesDropCommand   `cmd:"" help:"Never send a pending or dead delivery."`
}

type deliveriesListCommand struct {
	reach

	Query    []string `arg:"" optional:"" help:"Search as in the console: state:dead target:help rating:<3 from:shop since:24h \"refund\"."`
	Format   string   `enum:"text,json,jsonl" default:"text" help:"text, json (one document) or jsonl (one delivery a line)."`
	Limit    int      `default:"50" help:"Most deliveries; 0: all."`
	Failures bool     `help:"Show failures in groups by target and class instead."`
}

// pageLimit is the most that one page of the API holds.
const pageLimit = 500

// Run lists what the search selects.
func (c deliveriesListCommand) Run(p *program) error {
	if c.Limit < 0 {
		return fmt.Errorf("--limit is %d; write 0 for all, or how many", c.Limit)
	}
	ctx, cancel := untilSignal()
	defer cancel()
	api, err := p.openAPI(ctx, c.reach, gateway.Viewer)
	if err != nil {
		return err
	}
	defer api.Close() //nolint:errcheck // it was only read
	if c.Failures {
		return c.failures(ctx, p, api)
	}
	var all []gateway.Delivery
	query := url.Values{"q": {strings.Join(c.Query, " ")}}
	more, listed := false, 0
	for {
		page := pageLimit
		if c.Limit > 0 {
			page = min(page, c.Limit-listed)
		}
		query.Set("limit", strconv.Itoa(page))
		var list gateway.DeliveryList
		if err := api.Get(ctx, "/deliveries", query, &list); err != nil {
			return err
		}
		listed += len(list.Items)
		if c.Format == "jsonl" {
			for _, d := range list.Items {
				if err := writeLine(p.stdout, d); err != nil {
					return err
				}
			}
		} else {
			all = append(all, list.Items...)
		}
		if more = list.Next != ""; !more || c.Limit > 0 && listed >= c.Limit {
			break
		}
		query.Set("cursor", list.Next)
	}
	switch c.Format {
	case "jsonl":
		return nil
	case "json":
		return writeJSON(p.stdout, gateway.DeliveryList{Items: append([]gateway.Delivery{}, all...)})
	}
	writeDeliveries(p.stdout, all, time.Now())
	if len(all) == 0 {
		p.tellUnknown(ctx, api, strings.Join(c.Query, " "))
	}
	if more {
		_, _ = fmt.Fprintf(p.stderr, "There are more than these %d; --limit 0 lists all.\n", len(all))
	}
	return nil
}

// tellUnknown says, where a search found nothing, which names in it nobody has.
func (p *program) tellUnknown(ctx context.Context, api *gateway.API, search string) {
	for _, line := range gateway.UnknownNames(ctx, api, search) {
		_, _ = fmt.Fprintln(p.stderr, printable(line))
	}
}

// writeDeliveries is the list for people.
func writeDeliveries(w io.Writer, all []gateway.Delivery, now time.Time) {
	if len(all) == 0 {
		_, _ = fmt.Fprintln(w, "No deliveries.")
		return
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(table, "CONVERSATION\tTARGET\tSTATE\tREV\tTRIES\tFAILED\tWHAT")
	for _, d := range all {
		state := d.State
		if d.UnderWay {
			state += " (sending)"
		}
		what := d.Class
		if what == "" {
			what = d.Receipt.ID
		}
		_, _ = fmt.Fprintf(table, "%s\t%s\t%s\t%d\t%d\t%s\t%s\n", d.Conversation, d.Target, state, d.Revision, d.Attempts, ago(d.FailedAt, now), printable(what))
	}
	_ = table.Flush()
}

// failures lists groups.
func (c deliveriesListCommand) failures(ctx context.Context, p *program, api *gateway.API) error {
	var list gateway.FailureList
	if err := api.Get(ctx, "/failures", url.Values{"q": {strings.Join(c.Query, " ")}}, &list); err != nil {
		return err
	}
	switch c.Format {
	case "json":
		return writeJSON(p.stdout, list)
	case "jsonl":
		for _, f := range list.Items {
			if err := writeLine(p.stdout, f); err != nil {
				return err
			}
		}
		return nil
	}
	if len(list.Items) == 0 {
		_, err := fmt.Fprintln(p.stdout, "No failures.")
		p.tellUnknown(ctx, api, strings.Join(c.Query, " "))
		return err
	}
	writeFailures(p.stdout, list.Items)
	return nil
}

func writeFailures(w io.Writer, groups []gateway.Failure) {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(table, "COUNT\tTARGET\tSTATE\tCLASS\tEXAMPLE")
	for _, f := range groups {
		_, _ = fmt.Fprintf(table, "%d\t%s\t%s\t%s\t%s\n", f.Count, f.Target, f.State, printable(f.Class), f.Example)
	}
	_ = table.Flush()
}

type deliveriesShowCommand struct {
	reach

	ID     string `arg:"" help:"Id of the conversation."`
	Target string `arg:"" help:"Name of the target."`
	Format string `enum:"text,json" default:"text" help:"text or json."`
	// Requests may hold personal data, so they are for operators, and for those that ask.
	Request bool `help:"Show what each attempt has sent, and what would be sent now."`
}

// shownDelivery is a delivery as JSON, with its requests.
type shownDelivery struct {
	gateway.DeliveryDetail
	Sent []gateway.RenderedDelivery `json:"sent,omitempty"` // by each attempt of the log
	Next *gateway.RenderedDelivery  `json:"next,omitempty"` // what would be sent now; absent if nothing will
}

// Run shows one delivery.
func (c deliveriesShowCommand) Run(p *program) error {
	ctx, cancel := untilSignal()
	defer cancel()
	need := gateway.Viewer
	if c.Request {
		need = gateway.Operator
	}
	api, err := p.openAPI(ctx, c.reach, need)
	if err != nil {
		return err
	}
	defer api.Close() //nolint:errcheck // it was only read
	var d shownDelivery
	path := deliveryPath(c.ID, c.Target)
	if err := api.Get(ctx, path, nil, &d.DeliveryDetail); err != nil {
		return err
	}
	if c.Request {
		for i := range d.Log {
			var sent gateway.RenderedDelivery
			if err := api.Get(ctx, path+"/request", url.Values{"attempt": {strconv.Itoa(i + 1)}}, &sent); err != nil {
				return err
			}
			d.Sent = append(d.Sent, sent)
		}
		if d.State == "pending" || d.State == "dead" {
			d.Next = &gateway.RenderedDelivery{}
			if err := api.Get(ctx, path+"/request", nil, d.Next); err != nil {
				return err
			}
		}
	}
	if c.Format == "json" {
		return writeJSON(p.stdout, d)
	}
	writeDelivery(p.stdout, d)
	return nil
}

func deliveryPath(id, target string) string {
	return "/deliveries/" + url.PathEscape(id) + "/" + url.PathEscape(target)
}

// writeDelivery tells all about one.
func writeDelivery(w io.Writer, d shownDelivery) {
	say := func(label, text string) {
		if text != "" {
			_, _ = fmt.Fprintf(w, "%-14s%s\n", label, printable(text))
		}
	}
	stamp := func(t time.Time) string {
		if t.IsZero() {
			return ""
		}
		return t.UTC().Format("2006-01-02 15:04:05 UTC")
	}
	say("conversation", d.Conversation)
	say("target", d.Target)
	say("state", d.State)
	say("revision", strconv.Itoa(d.Revision))
	if d.Held > 0 {
		held := fmt.Sprintf("revision %d", d.Held)
		if d.Receipt.ID != "" {
			held += " as " + d.Receipt.ID
		}
		say("held", strings.TrimSpace(held+" "+d.Receipt.URL))
	}
	say("routes", strings.Join(d.Routes, ", "))
	say("visitor", strings.TrimSpace(d.Visitor+" "+bracket(d.Email)))
	say("next attempt", stamp(d.DueAt))
	say("settled", stamp(d.SettledAt))
	say("class", d.Class)
	say("reason", d.Reason)
	if d.Uncertain {
		say("uncertain", "an attempt may have been taken although it failed")
	}
	for i, a := range d.Log {
		line := fmt.Sprintf("%s  #%d %s", stamp(a.At), i+1, a.Kind) // a.Number begins anew with a replay
		if a.Status > 0 {
			line += " " + strconv.Itoa(a.Status)
		}
		_, _ = fmt.Fprintf(w, "%s, %.0f ms  %s\n", line, a.Milliseconds, printable(a.Reason))
		if a.Response != "" {
			_, _ = fmt.Fprintf(w, "    %s\n", strings.ReplaceAll(printable(strings.TrimSpace(a.Response)), "\n", "\n    "))
		}
		if i < len(d.Sent) {
			writeSent(w, d.Sent, i)
		}
	}
	if d.Next != nil {
		writeNext(w, *d.Next, d.Sent)
	}
}

type deliveriesReplayCommand struct {
	reach

	ID     string `arg:"" help:"Id of the conversation."`
	Target string `arg:"" help:"Name of the target."`
	Then   bool   `help:"Render it with the configuration of its newest attempt instead of today's."`
}

// Run sends a dead delivery again.
func (c deliveriesReplayCommand) Run(p *program) error {
	body := map[string]string{"with": "today"}
	if c.Then {
		body["with"] = "then"
	}
	return p.changeDelivery(c.reach, c.ID, c.Target, "replay", body)
}

type deliveriesCancelCommand struct {
	reach

	ID     string `arg:"" help:"Id of the conversation."`
	Target string `arg:"" help:"Name of the target."`
	Reason string `help:"Why, for whoever looks at it later."`
}

// Run gives up a pending delivery.
func (c deliveriesCancelCommand) Run(p *program) error {
	return p.changeDelivery(c.reach, c.ID, c.Target, "cancel", map[string]string{"reason": c.Reason})
}

type deliveriesDropCommand struct {
	reach

	ID     string `arg:"" help:"Id of the conversation."`
	Target string `arg:"" help:"Name of the target."`
	Reason string `help:"Why, for whoever looks at it later."`
}

// Run drops a delivery for good.
func (c deliveriesDropCommand) Run(p *program) error {
	return p.changeDelivery(c.reach, c.ID, c.Target, "drop", map[string]string{"reason": c.Reason})
}

// changeDelivery does something to one delivery and says what it is then.
func (p *program) changeDelivery(r reach, id, target, action string, body map[string]string) error {
	ctx, cancel := untilSignal()
	defer cancel()
	api, err := p.openAPI(ctx, r, gateway.Operator)
	if err != nil {
		return err
	}
	defer api.Close() //nolint:errcheck // what was changed is stored
	var d gateway.Delivery
	if err := api.Post(ctx, deliveryPath(id, target)+"/"+action, body, &d); err != nil {
		return err
	}
	p.tellHere(api)
	_, err = fmt.Fprintf(p.stdout, "%s to %s is %s now.\n", d.Conversation, d.Target, d.State)
	return err
}
