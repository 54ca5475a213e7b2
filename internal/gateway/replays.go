// This file works through the replay jobs of the ledger, and keeps the series of what happens.

package gateway

import (
	"context"
	"sync"
	"time"

	"github.com/afterchat/afterchat/internal/ledger"
	"github.com/afterchat/afterchat/internal/metrics"
)

const (
	// replayStep is how often a job is stepped: the fewer deliveries at once, the less hooks wait for it.
	replayStep = 200 * time.Millisecond
	// replayMost is how many deliveries one step makes due at most.
	replayMost = 200
	// replayLook is how often jobs are looked for that another process has made.
	replayLook = 5 * time.Second
)

// replayed tells the runner of a new job.
func (g *Gateway) replayed(ledger.ReplayJob) {
	select {
	case g.jobs <- struct{}{}:
	default:
	}
}

// runReplays steps all running jobs, those of before a restart among them, until ctx ends. What a step does is one
// transaction with the job's progress, so it can end anywhere.
func (g *Gateway) runReplays(ctx context.Context) {
	running := map[string]*replayRun{}
	timer := time.NewTimer(0)
	defer timer.Stop()
	lookAt := time.Time{}
	for {
		select {
		case <-ctx.Done():
			return
		case <-g.jobs:
			lookAt = time.Time{}
		case <-timer.C:
		}
		if now := time.Now(); !now.Before(lookAt) {
			lookAt = now.Add(replayLook)
			g.findReplays(ctx, running)
		}
		for id, run := range running {
			if ctx.Err() == nil && g.stepReplay(ctx, run) {
				delete(running, id)
			}
		}
		wait := time.Until(lookAt)
		if len(running) > 0 {
			wait = replayStep
		}
		timer.Reset(max(wait, 0))
	}
}

// replayRun is a job at work in this process.
type replayRun struct {
	job  ledger.ReplayJob
	owed float64   // deliveries that its rate allows and that were not taken yet
	at   time.Time // of the last step
}

// findReplays adds jobs that run and are not known. Running jobs are among the newest: the list is read until a page has
// none.
func (g *Gateway) findReplays(ctx context.Context, running map[string]*replayRun) {
	for p := (ledger.Page{}); ; {
		jobs, err := g.ledger.ReplayJobs(ctx, p)
		if err != nil {
			if ctx.Err() == nil {
				g.Logger.Error("replay jobs cannot be listed", "error", err)
			}
			return
		}
		found := false
		for _, job := range jobs.Items {
			found = found || job.State == ledger.JobRunning
			if job.State == ledger.JobRunning && running[job.ID] == nil {
				running[job.ID] = &replayRun{job: job, at: time.Now().Add(-replayStep)}
				g.Logger.Info("replay.running", "job", job.ID, "by", job.By, "total", job.Total, "done", job.Done, "per_second", job.PerSecond)
			}
		}
		if p.After = jobs.Next; p.After == "" || !found {
			return
		}
	}
}

// stepReplay makes one step and tells whether the job has come to its end.
func (g *Gateway) stepReplay(ctx context.Context, run *replayRun) (ended bool) {
	limit, now := replayMost, time.Now()
	if rate := run.job.PerSecond; rate > 0 {
		// What was missed in a pause of this process is not made up for.
		run.owed = min(run.owed+rate*min(now.Sub(run.at), time.Second).Seconds(), max(rate, 1))
		limit = min(int(run.owed), replayMost)
	}
	run.at = now
	if limit == 0 {
		return false
	}
	job, err := g.ledger.StepReplay(ctx, run.job.ID, limit)
	if err != nil {
		if ctx.Err() == nil {
			g.Logger.Error("a replay job cannot go on, it is tried again", "job", run.job.ID, "error", err)
		}
		return false
	}
	// What other processes have done of it counts, too, so the rate is that of all together.
	run.owed -= float64(job.Done + job.Skipped - run.job.Done - run.job.Skipped)
	run.job = job
	if job.State == ledger.JobRunning {
		return false
	}
	g.Logger.Info("replay.ended", "state", string(job.State), "job", job.ID, "by", job.By, "total", job.Total, "done", job.Done, "skipped", job.Skipped)
	return true
}

// seriesEvery is how often what has happened is added to the series: as often as the console asks for its pages.
const seriesEvery = 3 * time.Second

// recorder adds what the counters have grown by to the series of the ledger. It is used by one goroutine at a time.
type recorder struct {
	mu   sync.Mutex
	seen map[metrics.Count]int64 // by a count without its number
}

// record keeps the series until ctx ends. What is counted after that is kept by recordOnce.
func (g *Gateway) record(ctx context.Context) {
	ticker := time.NewTicker(seriesEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			g.recordOnce(ctx)
		}
	}
}

// recordOnce adds what has happened since the last time. If that fails it is added the next time.
func (g *Gateway) recordOnce(ctx context.Context) {
	g.series.mu.Lock()
	defer g.series.mu.Unlock()
	counts, err := g.metrics.Counts()
	if err != nil {
		g.Logger.Error("counters cannot be read", "error", err)
		return
	}
	at := time.Now().UTC().Truncate(ledger.SeriesStep)
	var points []ledger.Point
	for _, c := range counts {
		key := metrics.Count{Kind: c.Kind, Name: c.Name, What: c.What}
		if n := c.N - g.series.seen[key]; n > 0 {
			points = append(points, ledger.Point{At: at, Kind: c.Kind, Name: c.Name, What: c.What, Count: n})
		}
	}
	if len(points) == 0 {
		return
	}
	if err := g.ledger.AddPoints(ctx, points); err != nil {
		g.Logger.Warn("the series cannot be kept now", "error", err)
		return
	}
	for _, p := range points {
		g.series.seen[metrics.Count{Kind: p.Kind, Name: p.Name, What: p.What}] += p.Count
	}
}
