// This file is how commands reach the API: where, with which token, and what is printed meanwhile.

package cmd

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/afterchat/afterchat/config"
	"github.com/afterchat/afterchat/internal/gateway"
)

// tokenVariable is the environment variable with a token of the API.
const tokenVariable = "AFTERCHAT_TOKEN"

// adminBase is the address of a configuration's own admin listener.
func adminBase(cfg *config.Config) string {
	scheme := "http://"
	if cfg.Admin.TLS != nil {
		scheme = "https://"
	}
	return scheme + dialable(cfg.Admin.Listen)
}

// reach says where the API is.
type reach struct {
	URL string `name:"url" placeholder:"URL" help:"Admin address of a gateway, such as https://console.example.com, with the token of AFTERCHAT_TOKEN; no configuration is read then. The default is admin.listen of the configuration."`
}

// openAPI reaches the named gateway, or that of the configuration; if none runs there, it opens the ledger here.
func (p *program) openAPI(ctx context.Context, r reach, need roleNeeded) (*gateway.API, error) {
	if r.URL != "" {
		return gateway.RemoteAPI(ctx, r.URL, os.Getenv(tokenVariable))
	}
	cfg, err := p.load()
	if err != nil {
		return nil, err
	}
	quiet := cfg.Log
	quiet.Level = "warn" // what is done here is printed
	return gateway.OpenAPI(ctx, cfg, gateway.Options{Version: Version(), Logger: logger(p.stderr, quiet)}, adminBase(cfg), os.Getenv(tokenVariable), need)
}

// roleNeeded is a role of the API.
type roleNeeded = gateway.Role

// tellHere says that nothing is delivered now.
func (p *program) tellHere(api *gateway.API) {
	if api.Here {
		_, _ = fmt.Fprintln(p.stderr, "No gateway runs: this is done to the ledger, and deliveries go out when afterchat serve runs.")
	}
}

// isTerminal tells whether a person looks at a file.
func isTerminal(f any) bool {
	file, ok := f.(*os.File)
	if !ok {
		return false
	}
	info, err := file.Stat()
	if err != nil || info.Mode()&os.ModeCharDevice == 0 || os.Getenv("TERM") == "dumb" {
		return false
	}
	null, err := os.Stat(os.DevNull)
	return err != nil || !os.SameFile(info, null)
}

// progress shows how far something is: a bar that moves on a terminal, else a line for each tenth.
type progress struct {
	w     io.Writer
	bar   bool
	last  string
	shown bool
	began time.Time
}

func newProgress(w io.Writer) *progress {
	return &progress{w: w, bar: isTerminal(w), began: time.Now()}
}

// barWidth is how many characters a bar has.
const barWidth = 30

// show tells that done of total are done.
func (p *progress) show(done, total int64) {
	if total > 0 {
		p.share(float64(done)/float64(total), fmt.Sprintf("%d of %d", done, total))
	}
}

// showBytes tells that done of total bytes are done, and what they came to.
func (p *progress) showBytes(done, total int64, came string) {
	if total > 0 {
		p.share(float64(done)/float64(total), came)
	}
}

// share draws, or writes a line for each tenth.
func (p *progress) share(share float64, note string) {
	share = min(1, share)
	if !p.bar {
		if line := fmt.Sprintf("%3.0f %%", float64(int(share*10))*10); line != p.last {
			p.last = line
			_, _ = fmt.Fprintf(p.w, "%s  %s\n", line, note)
		}
		return
	}
	full := int(share * barWidth)
	left := ""
	if took := time.Since(p.began); share > 0.02 && share < 1 && took > 2*time.Second {
		left = ", " + time.Duration(float64(took)*(1-share)/share).Round(time.Second).String() + " left"
	}
	p.draw(fmt.Sprintf("[%s%s] %s%s", strings.Repeat("█", full), strings.Repeat("·", barWidth-full), note, left))
}

// draw writes over the line before.
func (p *progress) draw(line string) {
	wide := max(0, utf8.RuneCountInString(p.last)-utf8.RuneCountInString(line))
	p.last, p.shown = line, true
	_, _ = fmt.Fprintf(p.w, "\r%s%s", line, strings.Repeat(" ", wide))
}

// end leaves the line of the bar.
func (p *progress) end() {
	if p.bar && p.shown {
		_, _ = fmt.Fprintln(p.w)
	}
}

// writeLine writes a value as JSON on one line.
func writeLine(w io.Writer, v any) error {
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	return encoder.Encode(v)
}

// ago is how long ago a time is, in its largest unit.
func ago(t, now time.Time) string {
	if t.IsZero() {
		return "-"
	}
	d := now.Sub(t)
	switch {
	case d < 0:
		return "in " + ago(now, t)
	case d < time.Minute:
		return fmt.Sprintf("%ds", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%dm", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh", int(d.Hours()))
	}
	return fmt.Sprintf("%dd", int(d.Hours()/24))
}
