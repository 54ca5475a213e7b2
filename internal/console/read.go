// This file is the part of the API that only reads. What it gets of the ledger is what the pages show, too.

package console

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/afterchat/afterchat/internal/chat"
	"github.com/afterchat/afterchat/internal/ledger"
)

// reads lists the operations that change nothing.
func (c *console) reads() []endpoint {
	list := slices.Concat(filterParameters(), pageParameters())
	with := parameter{name: "with", doc: "today: the configuration of the day; then: that of the newest attempt, or that it was accepted under"}
	get := func(path string, need Role, doc string, answer any, do func(q *request) (any, error), query ...parameter) endpoint {
		return endpoint{method: http.MethodGet, path: path, need: need, doc: doc, answer: answer, do: do, query: query}
	}
	return []endpoint{
		get("/status", Viewer, "the gateway at a glance", Status{}, getStatus),
		get("/conversations", Viewer, "conversations, the newest first; by fields of deliveries, too: those that have one such delivery", List[Conversation]{}, getConversations, list...),
		get("/conversations/:id", Viewer, "one conversation with its deliveries and revisions", ConversationDetail{}, getConversation),
		get("/conversations/:id/revisions/:revision", Viewer, "what a revision said; 0 is the newest", chat.Conversation{}, getRevision),
		get("/conversations/:id/revisions/:revision/raw", Operator, "the body of a revision as it came, or as it was stored after redaction; 0 is the newest", text{}, getRaw),
		get("/conversations/:id/transcript", Viewer, "the newest revision as text", text{}, getTranscript,
			parameter{name: "time_zone", doc: "IANA name; UTC if absent"}, parameter{name: "language", doc: "en if absent"}),
		get("/deliveries", Viewer, "deliveries, the newest first", List[Delivery]{}, getDeliveries, list...),
		get("/deliveries/:id/:target", Viewer, "one delivery with its attempts", DeliveryDetail{}, getDelivery),
		get("/deliveries/:id/:target/request", Operator, "what a delivery would send now, or what an attempt has sent, and how that differs with the other configuration", RenderedDelivery{}, getRequest, with,
			parameter{name: "attempt", doc: "what this attempt has sent: its place in the log of the delivery, 1 is the oldest; with=today: what the configuration of the day would have sent in its place"}),
		get("/failures", Viewer, "failed deliveries in groups by target, class and state, the largest first", List[Failure]{}, getFailures, filterParameters()...),
		get("/quarantine", Viewer, "hooks that no decoder could read", List[Quarantined]{}, getQuarantine,
			append([]parameter{{name: "from", doc: "name of a source", many: true}}, pageParameters()...)...),
		get("/quarantine/:id", Viewer, "one hook in quarantine", Quarantined{}, getQuarantined),
		get("/quarantine/:id/raw", Operator, "its body as it came", text{}, getQuarantinedRaw),
		get("/targets", Viewer, "targets, with what waits for them", List[Target]{}, getTargets),
		get("/targets/:name", Viewer, "one target", Target{}, getTarget),
		get("/sources", Viewer, "sources, and when they were last heard of", List[Source]{}, getSources),
		get("/alerts", Viewer, "what should not last, since when, and who was told", List[Alert]{}, getAlerts),
		get("/replays", Viewer, "replay jobs, the newest first", List[Job]{}, getReplays, pageParameters()...),
		get("/replays/:id", Viewer, "one replay job", Job{}, getReplay),
		get("/routes", Viewer, "routes of the configuration in force, in their order", List[Route]{}, getRoutes),
		get("/series", Viewer, "what happened over time", Series{}, getSeries,
			parameter{name: "kind", doc: "source: results of hooks; target: kinds of attempts"},
			parameter{name: "since", doc: "24h, 7d, a day or a time; 24h if absent"},
			parameter{name: "step", doc: "length of a step, such as 1m, 15m or 1h; 1m if absent"}),
		get("/audit", Operator, "who changed what, the newest first", List[Audited]{}, getAudit, pageParameters()...),
		get("/config", Operator, "the configuration in force, secrets as ***", ConfigDetail{}, getConfig),
	}
}

func getStatus(q *request) (any, error) {
	s, err := q.console.status(q.Request().Context(), q.who)
	s.Targets = q.shownTargets(s.Targets)
	return s, err
}

// shownTargets are targets as whoever asks may see them.
func (q *request) shownTargets(targets []Target) []Target {
	if q.mask() {
		return each(targets, maskTarget)
	}
	return targets
}

// status puts together the gateway at a glance.
func (c *console) status(ctx context.Context, who Person) (Status, error) {
	stats, err := c.Ledger.Stats(ctx)
	if err != nil {
		return Status{}, err
	}
	s := Status{
		Version: c.Version, StartedAt: utc(c.Started), Ready: true, You: who, Targets: c.targets(stats), Sources: c.sources(stats), Alerts: c.alerts(ctx, stats),
		Ledger: LedgerStatus{Conversations: stats.Conversations, Quarantined: stats.Quarantined, Bytes: stats.Bytes, Used: stats.Used, SetAside: stats.SetAside},
	}
	if c.Config != nil {
		s.Config = c.Config()
	}
	if err := c.ready(ctx); err != nil {
		s.Ready, s.NotReady = false, err.Error()
	}
	return s, nil
}

func (c *console) ready(ctx context.Context) error {
	if c.Ready == nil {
		return errNoGateway
	}
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	return c.Ready(ctx)
}

// targets returns the targets of the configuration in its order, then those that only the ledger knows.
func (c *console) targets(stats ledger.Stats) []Target {
	out := []Target{}
	if c.Targets != nil {
		for _, t := range c.Targets(stats) {
			t.Configured = true
			out = append(out, t.with(stats.Targets[t.Name]))
		}
	}
	configured := len(out)
	for name, s := range stats.Targets {
		if !slices.ContainsFunc(out[:configured], func(t Target) bool { return t.Name == name }) {
			out = append(out, Target{Name: name}.with(s))
		}
	}
	slices.SortFunc(out[configured:], func(a, b Target) int { return strings.Compare(a.Name, b.Name) })
	return out
}

func (t Target) with(s ledger.TargetStats) Target {
	t.Accepted, t.Pending, t.Delivered, t.Dead, t.Skipped, t.Superseded = s.Accepted, s.Pending, s.Delivered, s.Dead, s.Skipped, s.Superseded
	t.Replayable, t.OldestPendingAt = s.DeadRows, utc(s.OldestPending)
	return t
}

func (c *console) sources(stats ledger.Stats) []Source {
	out := []Source{}
	if c.Sources == nil {
		return out
	}
	for _, s := range c.Sources() {
		s.LastHookAt = utc(stats.LastHook[s.Name])
		heard := s.LastHookAt
		if heard.Before(s.Since) {
			heard = s.Since
		}
		s.Silent = s.ExpectEverySeconds > 0 && time.Since(heard).Seconds() > s.ExpectEverySeconds
		out = append(out, s)
	}
	return out
}

func getConversations(q *request) (any, error) {
	f, p, err := q.list()
	if err != nil {
		return nil, err
	}
	return q.console.conversations(q.Request().Context(), f, p, q.mask())
}

func (c *console) conversations(ctx context.Context, f ledger.Filter, p ledger.Page, mask bool) (List[Conversation], error) {
	rows, err := c.Ledger.Conversations(ctx, withoutAlerts(f), p)
	out := listOf(rows, conversationOf)
	if mask {
		out.Items = each(out.Items, maskConversation)
	}
	return out, err
}

// withoutAlerts leaves conversations of our own out of a list, unless it names some.
func withoutAlerts(f ledger.Filter) ledger.Filter {
	f.Chats = len(f.Sources)+len(f.IDs)+len(f.ExternalIDs)+len(f.Receipts) == 0
	return f
}

func getConversation(q *request) (any, error) {
	return q.console.conversation(q.Request().Context(), q.Param("id"), q.mask())
}

// conversation returns all about one conversation.
func (c *console) conversation(ctx context.Context, id string, mask bool) (ConversationDetail, error) {
	row, err := c.Ledger.Look(ctx, id)
	if err != nil {
		return ConversationDetail{}, err
	}
	d := ConversationDetail{Conversation: conversationOf(row), Hooks: row.Hooks, Revisions: each(row.Revisions, revisionOf), Masked: mask}
	if mask {
		d.Conversation = maskConversation(d.Conversation)
	}
	if row.BodiesGone {
		return d, nil
	}
	said, err := c.said(ctx, id, 0, mask)
	if err != nil {
		return d, err
	}
	d.Said = &said
	return d, nil
}

// said returns what a revision said.
func (c *console) said(ctx context.Context, id string, revision int, mask bool) (chat.Conversation, error) {
	said, err := c.Ledger.Revision(ctx, id, revision)
	if err != nil {
		return said, err
	}
	said.Normalize()
	if mask {
		said = maskChat(said)
	}
	return said, nil
}

func (q *request) revision() (int, error) {
	n, err := strconv.Atoi(q.Param("revision"))
	if err != nil {
		return 0, &InputError{Text: fmt.Sprintf("%q is no number of a revision", q.Param("revision")), Hint: "write 1, 2, …, or 0 for the newest"}
	}
	return n, nil
}

func getRevision(q *request) (any, error) {
	n, err := q.revision()
	if err != nil {
		return nil, err
	}
	return q.console.said(q.Request().Context(), q.Param("id"), n, q.mask())
}

func getRaw(q *request) (any, error) {
	n, err := q.revision()
	if err != nil {
		return nil, err
	}
	if n == 0 {
		row, err := q.console.Ledger.Look(q.Request().Context(), q.Param("id"))
		if err != nil {
			return nil, err
		}
		n = row.Revision
	}
	body, _, err := q.console.Ledger.Raw(q.Request().Context(), q.Param("id"), n)
	return plainText(body, fmt.Sprintf("%s-%d.txt", q.Param("id"), n)), err
}

// plainText is a body that somebody has sent us: never anything that a browser would run.
func plainText(body []byte, name string) text {
	t := text{mediaType: "text/plain; charset=utf-8", body: body, name: name}
	if !utf8.Valid(body) {
		t.mediaType = "application/octet-stream"
	}
	return t
}

func getTranscript(q *request) (any, error) {
	said, err := q.console.said(q.Request().Context(), q.Param("id"), 0, q.mask())
	if err != nil {
		return nil, err
	}
	style := chat.Style{Language: q.values.Get("language")}
	if name := q.values.Get("time_zone"); name != "" {
		if style.Zone, err = time.LoadLocation(name); err != nil || name == "Local" {
			return nil, &InputError{Text: fmt.Sprintf("unknown time zone %q", name), Hint: "write a name of the IANA database, such as Europe/Prague"}
		}
	}
	if style.Language != "" && !slices.Contains(chat.Languages(), style.Language) {
		return nil, &InputError{Text: fmt.Sprintf("unknown language %q", style.Language), Hint: "write one of " + strings.Join(chat.Languages(), ", ")}
	}
	return text{mediaType: "text/plain; charset=utf-8", body: []byte(said.Render(style).Text + "\n")}, nil
}

func getDeliveries(q *request) (any, error) {
	f, p, err := q.list()
	if err != nil {
		return nil, err
	}
	return q.console.deliveries(q.Request().Context(), f, p, q.mask())
}

func (c *console) deliveries(ctx context.Context, f ledger.Filter, p ledger.Page, mask bool) (List[Delivery], error) {
	rows, err := c.Ledger.Deliveries(ctx, f, p)
	out := listOf(rows, deliveryOf)
	if mask {
		out.Items = each(out.Items, maskDelivery)
	}
	return out, err
}

func getDelivery(q *request) (any, error) {
	return q.console.delivery(q.Request().Context(), q.Param("id"), q.Param("target"), q.mask())
}

// row finds one delivery.
func (c *console) row(ctx context.Context, id, target string) (ledger.DeliveryRow, error) {
	conversation, err := c.Ledger.Look(ctx, id)
	if err != nil {
		return ledger.DeliveryRow{}, err
	}
	for _, d := range conversation.Deliveries {
		if d.Target == target {
			return d, nil
		}
	}
	return ledger.DeliveryRow{}, fmt.Errorf("delivery of %s to %s: %w", id, target, ledger.ErrNotFound)
}

func (c *console) delivery(ctx context.Context, id, target string, mask bool) (DeliveryDetail, error) {
	row, err := c.row(ctx, id, target)
	if err != nil {
		return DeliveryDetail{}, err
	}
	attempts, err := c.Ledger.Attempts(ctx, id, target)
	if err != nil {
		return DeliveryDetail{}, err
	}
	d := DeliveryDetail{Delivery: deliveryOf(row), Log: each(attempts, attemptOf), Masked: mask}
	if mask {
		d.Delivery, d.Log = maskDelivery(d.Delivery), each(d.Log, maskAttempt)
	}
	return d, nil
}

func getRequest(q *request) (any, error) {
	pinned, err := pinnedBy(q.values.Get("with"))
	if err != nil {
		return nil, err
	}
	text := q.values.Get("attempt")
	if text == "" {
		return q.console.rendered(q.Request().Context(), q.Param("id"), q.Param("target"), pinned)
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		return nil, &InputError{Text: fmt.Sprintf("attempt is %q", text), Hint: "write 1 for the oldest one, 2, …"}
	}
	return q.console.attempted(q.Request().Context(), q.Param("id"), q.Param("target"), n, q.values.Get("with") == WithToday)
}

// pinnedBy reads the choice between today and then.
func pinnedBy(with string) (bool, error) {
	switch with {
	case "", WithToday:
		return false, nil
	case WithThen:
		return true, nil
	}
	return false, &InputError{Text: fmt.Sprintf("with is %q", with), Hint: "write today or then"}
}

// rendered says what a delivery would send, and how both configurations differ.
func (c *console) rendered(ctx context.Context, id, target string, pinned bool) (RenderedDelivery, error) {
	if c.Render == nil {
		return RenderedDelivery{}, errNoGateway
	}
	row, err := c.row(ctx, id, target)
	if err != nil {
		return RenderedDelivery{}, err
	}
	said, err := c.Ledger.Revision(ctx, id, row.Revision)
	if err != nil {
		return RenderedDelivery{}, err
	}
	today, err := c.Render(ctx, row, said, false)
	if err != nil {
		return RenderedDelivery{}, err
	}
	then, err := c.Render(ctx, row, said, true)
	if err != nil {
		return RenderedDelivery{}, err
	}
	out := RenderedDelivery{Rendered: today, Difference: differenceOf(then, today)}
	if pinned {
		out.Rendered = then
	}
	return out, nil
}

func getFailures(q *request) (any, error) {
	f, err := q.filter()
	if err != nil {
		return nil, err
	}
	groups, err := q.console.Ledger.Failures(q.Request().Context(), f)
	out := List[Failure]{Items: each(groups, failureOf)}
	if q.mask() {
		out.Items = each(out.Items, maskFailure)
	}
	return out, err
}

func getQuarantine(q *request) (any, error) {
	p, err := q.page()
	if err != nil {
		return nil, err
	}
	rows, err := q.console.Ledger.Quarantined(q.Request().Context(), q.values["from"], p)
	return listOf(rows, quarantinedOf), err
}

func getQuarantined(q *request) (any, error) {
	u, err := q.console.Ledger.Unreadable(q.Request().Context(), q.Param("id"))
	return Quarantined{
		ID: q.Param("id"), Source: u.Source, ContentType: u.ContentType, Reason: u.Reason, ReceivedAt: utc(u.ReceivedAt), Bytes: len(u.Raw),
	}, err
}

func getQuarantinedRaw(q *request) (any, error) {
	u, err := q.console.Ledger.Unreadable(q.Request().Context(), q.Param("id"))
	return plainText(u.Raw, q.Param("id")+".txt"), err
}

func getTargets(q *request) (any, error) {
	stats, err := q.console.Ledger.Stats(q.Request().Context())
	return List[Target]{Items: q.shownTargets(q.console.targets(stats))}, err
}

func getTarget(q *request) (any, error) {
	stats, err := q.console.Ledger.Stats(q.Request().Context())
	if err != nil {
		return nil, err
	}
	for _, t := range q.shownTargets(q.console.targets(stats)) {
		if t.Name == q.Param("name") {
			return t, nil
		}
	}
	return nil, &refusal{status: http.StatusNotFound, detail: fmt.Sprintf("there is no target %q", q.Param("name")), hint: "GET " + apiPath + "/targets lists them"}
}

func getSources(q *request) (any, error) {
	stats, err := q.console.Ledger.Stats(q.Request().Context())
	return List[Source]{Items: q.console.sources(stats)}, err
}

func getAlerts(q *request) (any, error) {
	stats, err := q.console.Ledger.Stats(q.Request().Context())
	if err != nil {
		return nil, err
	}
	return List[Alert]{Items: q.console.alerts(q.Request().Context(), stats)}, nil
}

// alerts are what should not last.
func (c *console) alerts(ctx context.Context, stats ledger.Stats) []Alert {
	if c.Alerts == nil {
		return []Alert{}
	}
	return append([]Alert{}, c.Alerts(ctx, stats)...)
}

func getReplays(q *request) (any, error) {
	p, err := q.page()
	if err != nil {
		return nil, err
	}
	jobs, err := q.console.Ledger.ReplayJobs(q.Request().Context(), p)
	if q.mask() {
		jobs.Items = each(jobs.Items, maskJob)
	}
	return listOf(jobs, jobOf), err
}

func getReplay(q *request) (any, error) {
	job, err := q.console.Ledger.ReplayJob(q.Request().Context(), q.Param("id"))
	if q.mask() {
		job = maskJob(job)
	}
	return jobOf(job), err
}

func getAudit(q *request) (any, error) {
	p, err := q.page()
	if err != nil {
		return nil, err
	}
	lines, err := q.console.Ledger.AuditLog(q.Request().Context(), p)
	return listOf(lines, auditedOf), err
}

func getConfig(q *request) (any, error) {
	if q.console.Config == nil || q.console.ConfigText == nil {
		return nil, errNoGateway
	}
	yaml, err := q.console.ConfigText()
	return ConfigDetail{Config: q.console.Config(), YAML: yaml}, err
}

func getSeries(q *request) (any, error) {
	since, step, now := "24h", "1m", time.Now().UTC()
	if v := q.values.Get("since"); v != "" {
		since = v
	}
	if v := q.values.Get("step"); v != "" {
		step = v
	}
	from, err := parseInstant(since, now)
	if err != nil {
		return nil, &InputError{Text: "since: " + err.Error(), Hint: "write " + instants}
	}
	width, err := time.ParseDuration(step)
	if err != nil || width < ledger.SeriesStep || width%ledger.SeriesStep != 0 {
		return nil, &InputError{Text: fmt.Sprintf("step is %q", step), Hint: "write whole minutes or hours, such as 15m"}
	}
	return q.console.series(q.Request().Context(), q.values.Get("kind"), from, width)
}

// series adds up the stored points in steps. The first and the last step may not be whole.
func (c *console) series(ctx context.Context, kind string, since time.Time, step time.Duration) (Series, error) {
	if kind != "source" && kind != "target" {
		return Series{}, &InputError{Text: fmt.Sprintf("kind is %q", kind), Hint: "write source or target"}
	}
	points, err := c.Ledger.Series(ctx, kind, since)
	if err != nil {
		return Series{}, err
	}
	s := Series{Kind: kind, Since: since, StepSeconds: int64(step.Seconds()), Points: []Point{}}
	sums := map[Point]int64{}
	for _, p := range points {
		sums[Point{At: p.At.UTC().Truncate(step), Name: p.Name, What: p.What}] += p.Count
	}
	for p, n := range sums {
		p.Count = n
		s.Points = append(s.Points, p)
	}
	slices.SortFunc(s.Points, func(a, b Point) int {
		if n := a.At.Compare(b.At); n != 0 {
			return n
		}
		return strings.Compare(a.Name+"\x00"+a.What, b.Name+"\x00"+b.What)
	})
	return s, nil
}
