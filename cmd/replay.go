// This file is `afterchat replay`: a job that sends dead deliveries again.

package cmd

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/afterchat/afterchat/internal/gateway"
)

type replayCommand struct {
	Start  replayStartCommand  `cmd:"" default:"withargs" help:"Send dead deliveries again: all, or those that the flags select."`
	List   replayListCommand   `cmd:"" help:"List replay jobs, the newest first."`
	Cancel replayCancelCommand `cmd:"" help:"End a replay job where it is."`
}

type replayStartCommand struct {
	reach

	State       string   `enum:"dead" default:"dead" help:"Only dead deliveries can be replayed."`
	Target      []string `short:"t" placeholder:"NAME" help:"Targets."`
	From        []string `placeholder:"SOURCE" help:"Sources."`
	Class       []string `sep:"none" placeholder:"CLASS" help:"Classes of the failure, as afterchat deliveries --failures shows them."`
	Route       []string `sep:"none" placeholder:"ROUTE" help:"Routes that they were accepted under."`
	Since       string   `placeholder:"TIME" help:"The conversation came then or later: 24h, 7d, 2026-11-01 or 2026-11-01T08:00:00Z."`
	FailedSince string   `placeholder:"TIME" help:"The newest attempt failed then or later."`
	Query       string   `short:"q" placeholder:"SEARCH" help:"Search as in the console, beside the flags."`
	Where       string   `placeholder:"EXPR" help:"Condition on the conversation in the language of routes, such as 'rating <= 2'."`
	Then        bool     `help:"Render them with the configuration of their newest attempt instead of today's."`
	Rate        float64  `default:"50" help:"Most deliveries made due per second; 0: no limit but that of each target."`
	DryRun      bool     `help:"Only count them."`
	Yes         bool     `short:"y" help:"Do not ask."`
	Format      string   `enum:"text,json" default:"text" help:"text or json."`
}

// request is what the API is asked for.
func (c replayStartCommand) request() gateway.NewReplay {
	var terms []string
	add := func(field string, values ...string) {
		for _, v := range values {
			if v != "" {
				terms = append(terms, field+`:"`+strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(v)+`"`)
			}
		}
	}
	add("target", c.Target...)
	add("from", c.From...)
	add("class", c.Class...)
	add("route", c.Route...)
	add("since", c.Since)
	add("failed_since", c.FailedSince)
	n := gateway.NewReplay{Query: strings.Join(append(terms, c.Query), " "), Where: c.Where, PerSecond: &c.Rate}
	if c.Then {
		n.With = "then"
	}
	return n
}

// Run counts, asks, makes the job and watches it.
func (c replayStartCommand) Run(p *program) error {
	ctx, cancel := untilSignal()
	defer cancel()
	api, err := p.openAPI(ctx, c.reach, gateway.Operator)
	if err != nil {
		return err
	}
	defer api.Close() //nolint:errcheck // what was changed is stored
	asked := c.request()
	asked.DryRun = true
	var dry gateway.DryRun
	if err := api.Post(ctx, "/replays", asked, &dry); err != nil {
		return err
	}
	if c.DryRun && c.Format == "json" {
		return writeJSON(p.stdout, dry)
	}
	if c.DryRun || c.Format == "text" {
		writeDryRun(p.stdout, dry)
	}
	if dry.Count == 0 {
		p.tellUnknown(ctx, api, asked.Query)
	}
	if c.DryRun || dry.Count == 0 {
		return nil
	}
	if err := c.confirm(p, dry.Count); err != nil {
		return err
	}
	asked.DryRun = false
	var job gateway.ReplayJob
	if err := api.Post(ctx, "/replays", asked, &job); err != nil {
		return err
	}
	job, err = p.watchReplay(ctx, api, job)
	if err != nil {
		return err
	}
	if c.Format == "json" {
		return writeJSON(p.stdout, job)
	}
	if job.State == gateway.JobRunning {
		return nil // it was told
	}
	text := fmt.Sprintf("Job %s is %s: %d of %d deliveries are due again", job.ID, job.State, job.Done, job.Total)
	if job.Skipped > 0 {
		text += fmt.Sprintf(", %d were no longer dead or have lost their bodies", job.Skipped)
	}
	_, err = fmt.Fprintln(p.stdout, text+".")
	p.tellHere(api)
	return err
}

func writeDryRun(w io.Writer, dry gateway.DryRun) {
	if dry.Count == 0 {
		_, _ = fmt.Fprintf(w, "Nothing to replay: no dead delivery is selected by %s\n", dry.Query)
		return
	}
	among := ""
	if dry.Chosen > 0 {
		among = fmt.Sprintf(", of %d conversations that the condition holds for", dry.Chosen)
	}
	_, _ = fmt.Fprintf(w, "%d dead deliveries are selected by %s%s\n", dry.Count, dry.Query, among)
	writeFailures(w, dry.Groups)
}

// errUnanswered means that nobody could be asked, or said no.
var errUnanswered = errors.New("nothing was replayed; say --yes to replay without being asked")

// confirm asks, unless it was said already.
func (c replayStartCommand) confirm(p *program, count int64) error {
	if c.Yes {
		return nil
	}
	if !isTerminal(os.Stdin) {
		return errUnanswered
	}
	_, _ = fmt.Fprintf(p.stderr, "Replay %d deliveries? [y/N] ", count)
	answer, _ := bufio.NewReader(os.Stdin).ReadString('\n')
	if !slices.Contains([]string{"y", "yes"}, strings.ToLower(strings.TrimSpace(answer))) {
		return errUnanswered
	}
	return nil
}

// watchEvery is how often a job is looked at.
const watchEvery = 250 * time.Millisecond

// watchReplay shows the progress of a job until it ends. When ctx ends the job goes on.
func (p *program) watchReplay(ctx context.Context, api *gateway.API, job gateway.ReplayJob) (gateway.ReplayJob, error) {
	bar := newProgress(p.stderr)
	ticker := time.NewTicker(watchEvery)
	defer ticker.Stop()
	for {
		bar.show(job.Done+job.Skipped, job.Total)
		if job.State != gateway.JobRunning {
			bar.end()
			return job, nil
		}
		select {
		case <-ctx.Done():
		case <-ticker.C:
			err := api.Get(ctx, "/replays/"+url.PathEscape(job.ID), nil, &job)
			if err == nil {
				continue
			}
			if ctx.Err() == nil {
				bar.end()
				return job, fmt.Errorf("job %s goes on, but cannot be watched: %w", job.ID, err)
			}
		}
		bar.end()
		where := "goes on"
		if api.Here {
			where = "goes on when a gateway runs"
		}
		_, _ = fmt.Fprintf(p.stderr, "Job %s %s; cancel it with: afterchat replay cancel %s\n", job.ID, where, job.ID)
		return job, nil
	}
}

type replayListCommand struct {
	reach

	Format string `enum:"text,json" default:"text" help:"text or json."`
}

// Run lists the newest jobs.
func (c replayListCommand) Run(p *program) error {
	ctx, cancel := untilSignal()
	defer cancel()
	api, err := p.openAPI(ctx, c.reach, gateway.Viewer)
	if err != nil {
		return err
	}
	defer api.Close() //nolint:errcheck // it was only read
	var list gateway.ReplayJobList
	if err := api.Get(ctx, "/replays", nil, &list); err != nil {
		return err
	}
	if c.Format == "json" {
		return writeJSON(p.stdout, list)
	}
	if len(list.Items) == 0 {
		_, err := fmt.Fprintln(p.stdout, "No replay jobs.")
		return err
	}
	table := tabwriter.NewWriter(p.stdout, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(table, "JOB\tSTATE\tDONE\tSKIPPED\tTOTAL\tBY\tAGE\tSEARCH")
	for _, j := range list.Items {
		_, _ = fmt.Fprintf(table, "%s\t%s\t%d\t%d\t%d\t%s\t%s\t%s\n", j.ID, j.State, j.Done, j.Skipped, j.Total, printable(j.By), ago(j.CreatedAt, time.Now()), printable(j.Query))
	}
	return table.Flush()
}

type replayCancelCommand struct {
	reach

	ID string `arg:"" help:"Id of the job."`
}

// Run ends a job.
func (c replayCancelCommand) Run(p *program) error {
	ctx, cancel := untilSignal()
	defer cancel()
	api, err := p.openAPI(ctx, c.reach, gateway.Operator)
	if err != nil {
		return err
	}
	defer api.Close() //nolint:errcheck // what was changed is stored
	var job gateway.ReplayJob
	if err := api.Post(ctx, "/replays/"+url.PathEscape(c.ID)+"/cancel", nil, &job); err != nil {
		return err
	}
	_, err = fmt.Fprintf(p.stdout, "Job %s is %s: %d of %d deliveries were made due again.\n", job.ID, job.State, job.Done, job.Total)
	return err
}
