// This file is what the forms of the pages do: the same as the API, answered by the page that shows what came of it.

package console

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/afterchat/afterchat/internal/console/page"
	"github.com/afterchat/afterchat/internal/ledger"
)

// maxForm bounds a form, in bytes: a hook in the playground, with routes.
const maxForm = maxRequest

// changesOfPages adds what the forms do.
func (c *console) changesOfPages() {
	conversation := func(v *visit) string { return "/conversations/" + url.PathEscape(v.Param("id")) }
	delivery := func(v *visit) string { return conversation(v) + "#" + url.PathEscape(v.Param("target")) }
	always := func(path string) func(*visit) string { return func(*visit) string { return path } }
	for path, f := range map[string]form{
		"/conversations/:id/route": {Operator, "route", conversation, func(v *visit) error {
			_, err := c.route(v.Request().Context(), v.who, v.Param("id"))
			return err
		}},
		"/deliveries/:id/:target/replay": {Operator, "replay", delivery, func(v *visit) error {
			pinned, err := pinnedBy(v.FormValue("with"))
			if err != nil {
				return err
			}
			return v.changeDelivery("replay", "with "+withOf(pinned), func(ctx context.Context, id, target string) error {
				return c.Ledger.ReplayDelivery(ctx, id, target, ledger.Replay{Pinned: pinned})
			})
		}},
		"/deliveries/:id/:target/cancel": {Operator, "cancel", delivery, func(v *visit) error { return v.endDelivery("cancel", c.Ledger.Cancel) }},
		"/deliveries/:id/:target/drop":   {Operator, "drop", delivery, func(v *visit) error { return v.endDelivery("drop", c.Ledger.Drop) }},
		"/quarantine/:id/drop": {Operator, "released", always("/quarantine"), func(v *visit) error {
			return c.release(v.Request().Context(), v.who, v.Param("id"))
		}},
		"/targets/:name/pause": {Operator, "pause", always("/targets"), func(v *visit) error {
			return c.turn(v.Request().Context(), v.who, v.Param("name"), "pause", v.FormValue("reason"), c.Pause)
		}},
		"/targets/:name/resume": {Operator, "resume", always("/targets"), func(v *visit) error {
			return c.turn(v.Request().Context(), v.who, v.Param("name"), "resume", "", c.Resume)
		}},
		"/targets/:name/probe": {Operator, "probe", always("/targets"), func(v *visit) error {
			p, err := c.probe(v.Request().Context(), v.who, v.Param("name"))
			if err == nil && !p.OK {
				err = &refusal{status: http.StatusBadGateway, detail: p.Error, hint: p.Hint}
			}
			return err
		}},
		"/replays/:id/cancel": {Operator, "stop", always("/replays"), func(v *visit) error {
			_, err := c.cancelReplay(v.Request().Context(), v.who, v.Param("id"))
			return err
		}},
		"/replays": {Operator, "job", always("/replays"), func(v *visit) error { return v.startReplay() }},
		"/configuration/reload": {Admin, "reload", always("/configuration"), func(v *visit) error {
			return c.reloadFromPage(v)
		}},
	} {
		c.echo.POST(path, c.changed(f))
	}
	c.echo.POST("/quarantine/:id/decode", c.shown(Operator, decodePage))
	c.echo.POST("/playground", c.shown(Operator, playgroundPage))
	c.echo.POST("/configuration/test", c.shown(Operator, configurationPage))
	c.echo.GET("/conversations/:id/raw", c.shown(Operator, hookPage))
	c.echo.GET("/quarantine/:id/raw", c.shown(Operator, unreadableHookPage))
	c.echo.POST("/conversations/:id/reveal", c.shown(Operator, revealing("", func(v *visit) (page.View, error) {
		if revision := v.FormValue("revision"); revision != "" {
			v.values.Set("revision", revision)
		}
		return conversationPage(v)
	})))
	c.echo.POST("/conversations/reveal", c.shown(Operator, revealing("conversations", conversationsPage)))
	c.echo.POST("/deliveries/reveal", c.shown(Operator, revealing("deliveries", deliveriesPage)))
	c.echo.POST("/replays/new/reveal", c.shown(Operator, revealing("replay", newReplayPage)))
	c.echo.POST("/quarantine/:id/reveal", c.shown(Operator, revealing("quarantine", unreadablePage)))
}

// form is a change that is made by a form, and where its sender goes then.
type form struct {
	need Role
	done string // the notice
	then func(*visit) string
	do   func(*visit) error
}

// changed makes a change and goes to the page that shows it.
func (c *console) changed(f form) echo.HandlerFunc {
	return c.shown(f.need, func(v *visit) (page.View, error) {
		v.limit()
		if err := f.do(v); err != nil {
			return nil, err
		}
		path, fragment, marked := strings.Cut(f.then(v), "#")
		path += "?done=" + f.done
		if marked {
			path += "#" + fragment
		}
		return nil, v.Redirect(http.StatusSeeOther, path)
	})
}

// limit bounds the body of a form.
func (v *visit) limit() {
	r := v.Request()
	r.Body = http.MaxBytesReader(v.Response(), r.Body, maxForm)
}

// revealing shows a page with what identifies visitors. The look is in the audit log before the page is made.
func revealing(what string, show func(*visit) (page.View, error)) func(*visit) (page.View, error) {
	return func(v *visit) (page.View, error) {
		v.limit()
		object, detail := v.Param("id"), what
		if object == "" {
			f, err := filterOf(v.values, v.now)
			if err != nil {
				return nil, err
			}
			object, detail = what, FormatQuery(maskFilter(f))
		}
		if err := v.console.audit(v.Request().Context(), v.who, "reveal", object, detail); err != nil {
			return nil, err
		}
		v.revealed = true
		return show(v)
	}
}

func (v *visit) changeDelivery(action, detail string, do func(ctx context.Context, id, target string) error) error {
	_, err := v.console.changeDelivery(v.Request().Context(), v.who, v.Param("id"), v.Param("target"), action, detail, do)
	return err
}

func (v *visit) endDelivery(action string, do func(ctx context.Context, id, target, reason string) error) error {
	reason := v.FormValue("reason")
	return v.changeDelivery(action, oneLine(reason), func(ctx context.Context, id, target string) error {
		return do(ctx, id, target, byWhom(v.who, reason))
	})
}

// startReplay makes a job. Whoever asked has typed the number of deliveries; if it is another by now, the filter may
// select what they have not seen.
func (v *visit) startReplay() error {
	ctx := v.Request().Context()
	query := v.FormValue("q")
	preview, err := v.console.replay(ctx, v.who, NewReplay{Query: query, DryRun: true})
	if err != nil {
		return err
	}
	if count := preview.(DryRun).Count; v.FormValue("count") != strconv.FormatInt(count, 10) {
		return &InputError{
			Text: fmt.Sprintf("The search selects %d dead deliveries, and %q was typed", count, v.FormValue("count")),
			Hint: "Go back, look at the number, and type it.",
		}
	}
	rate, err := strconv.ParseFloat(v.FormValue("per_second"), 64)
	if err != nil {
		return &InputError{Text: fmt.Sprintf("%q is no number per second", v.FormValue("per_second")), Hint: "Write a number such as 50; 0 leaves it to the targets."}
	}
	_, err = v.console.replay(ctx, v.who, NewReplay{Query: query, With: v.FormValue("with"), PerSecond: &rate})
	return err
}

// decodePage reads a hook in quarantine again; what came of it is shown by its conversation, or stays where it was.
func decodePage(v *visit) (page.View, error) {
	d, err := v.console.decode(v.Request().Context(), v.who, v.Param("id"))
	if err != nil {
		return nil, err
	}
	if d.Result == resultQuarantined {
		return nil, &refusal{status: http.StatusUnprocessableEntity, detail: "It still cannot be read: " + d.Reason, hint: "It stays in quarantine."}
	}
	return nil, v.Redirect(http.StatusSeeOther, "/conversations/"+url.PathEscape(d.Conversation)+"?done=decode")
}

// reloadFromPage puts the configuration on disk in force.
func (c *console) reloadFromPage(v *visit) error {
	if c.Reload == nil {
		return errNoGateway
	}
	err := c.Reload(v.Request().Context())
	detail := "refused"
	if err == nil && c.Config != nil {
		detail = "hash " + c.Config().Hash
	}
	if failed := c.audit(v.Request().Context(), v.who, "reload", "configuration", detail); failed != nil {
		return failed
	}
	if err != nil {
		return &refusal{status: http.StatusUnprocessableEntity, detail: "The configuration on disk has mistakes; the one before stays in force", hint: err.Error()}
	}
	return nil
}
