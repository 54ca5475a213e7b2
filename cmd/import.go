// This file is `afterchat import`: hooks that were stored elsewhere are taken as if they had just come in.

package cmd

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/afterchat/afterchat/internal/gateway"
)

type importCommand struct {
	Source     string   `short:"s" required:"" placeholder:"NAME" help:"Source that the hooks came to."`
	Only       string   `placeholder:"TARGET" help:"Only this target gets them, of those that the routes name."`
	ReceivedAt string   `placeholder:"TIME" help:"When they came, RFC 3339; now, if left out."`
	Files      []string `arg:"" name:"file" help:"Files with one hook body, a JSON list of them or JSON lines; or folders of such files."`
}

// storedHook is one body and where it stands.
type storedHook struct {
	place       string
	contentType string
	body        []byte
}

// Run imports file by file, in the order of their names. What is imported twice is recognized.
func (c importCommand) Run(p *program) error {
	hooks, err := c.read()
	if err != nil {
		return err
	}
	ctx, cancel := untilSignal()
	defer cancel()
	api, err := p.openAPI(ctx, gateway.Admin)
	if err != nil {
		return err
	}
	defer api.Close() //nolint:errcheck // what was imported is stored
	tally, unread, err := c.send(ctx, p, api, hooks)
	var parts []string
	for _, result := range slices.Sorted(maps.Keys(tally)) {
		parts = append(parts, fmt.Sprintf("%d %s", tally[result], result))
	}
	done := 0
	for _, n := range tally {
		done += n
	}
	_, _ = fmt.Fprintf(p.stdout, "%d of %d hooks imported%s.\n", done, len(hooks), strings.TrimRight(": "+strings.Join(parts, ", "), ": "))
	for _, u := range unread {
		_, _ = fmt.Fprintln(p.stderr, u)
	}
	switch {
	case ctx.Err() != nil:
		return errors.New("interrupted; start it again, and what is imported already is recognized")
	case err != nil:
		return err
	}
	p.tellHere(api)
	if len(unread) > 0 {
		return errFindings
	}
	return nil
}

// send imports hooks one after the other, so that a later state of a conversation comes after an earlier one.
func (c importCommand) send(ctx context.Context, p *program, api *gateway.API, hooks []storedHook) (tally map[string]int, unread []string, err error) {
	query := url.Values{"source": {c.Source}}
	if c.Only != "" {
		query.Set("only", c.Only)
	}
	if c.ReceivedAt != "" {
		query.Set("received_at", c.ReceivedAt)
	}
	bar, last := newProgress(p.stderr), time.Time{}
	defer bar.end()
	tally = map[string]int{}
	for i, h := range hooks {
		if now := time.Now(); now.Sub(last) > 100*time.Millisecond || !bar.bar {
			bar.show(int64(i), int64(len(hooks)), "")
			last = now
		}
		var d gateway.Decoded
		err := api.Send(ctx, "/import", query, h.contentType, h.body, &d)
		if problem, ok := errors.AsType[*gateway.ProblemError](err); ok && problem.Status == http.StatusUnprocessableEntity {
			unread = append(unread, h.place+": "+problem.Error())
			continue
		}
		if err != nil {
			return tally, unread, fmt.Errorf("%s: %w", h.place, err)
		}
		tally[d.Result]++
	}
	bar.show(int64(len(hooks)), int64(len(hooks)), "")
	return tally, unread, nil
}

// read reads all files.
func (c importCommand) read() ([]storedHook, error) {
	var hooks []storedHook
	for _, name := range c.Files {
		err := filepath.WalkDir(name, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			if hidden := strings.HasPrefix(d.Name(), "."); hidden && path != name {
				return nil
			}
			read, err := readHooks(path)
			hooks = append(hooks, read...)
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	if len(hooks) == 0 {
		return nil, errors.New("there is no hook in these files")
	}
	return hooks, nil
}

// readHooks reads the hooks of a file: JSON objects one after the other or in a list, or anything else as one body.
func readHooks(path string) ([]storedHook, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	text = bytes.TrimPrefix(text, []byte("\ufeff"))
	whole := []storedHook{{place: path, contentType: "application/x-www-form-urlencoded", body: text}}
	trimmed := bytes.TrimSpace(text)
	if len(trimmed) == 0 {
		return nil, nil
	}
	if trimmed[0] != '{' && trimmed[0] != '[' {
		return whole, nil
	}
	whole[0].contentType = "application/json"
	var values []json.RawMessage
	var places []int
	for d := json.NewDecoder(bytes.NewReader(text)); ; {
		start := d.InputOffset()
		var value json.RawMessage
		if err := d.Decode(&value); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return whole, nil // broken JSON may still be a hook: the decoder says so, or why not
		}
		values, places = append(values, value), append(places, lineOf(text, int(start)))
	}
	var hooks []storedHook
	for i, value := range values {
		var list []json.RawMessage
		if json.Unmarshal(value, &list) != nil {
			list = []json.RawMessage{value}
		}
		for n, one := range list {
			place := path
			if len(values) > 1 {
				place = fmt.Sprintf("%s:%d", path, places[i])
			}
			if len(list) > 1 {
				place += fmt.Sprintf(" item %d", n+1)
			}
			hooks = append(hooks, storedHook{place: place, contentType: "application/json", body: one})
		}
	}
	return hooks, nil
}

// lineOf is the line that the value behind an offset begins on.
func lineOf(text []byte, offset int) int {
	for offset < len(text) && (text[offset] == '\n' || text[offset] == '\r' || text[offset] == ' ' || text[offset] == '\t') {
		offset++
	}
	return 1 + bytes.Count(text[:offset], []byte("\n"))
}
