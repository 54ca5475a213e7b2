// This file is `afterchat import`: hooks that were stored elsewhere are taken as if they had just come in.

package cmd

import (
	"bufio"
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
	reach

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
	broken      string // why it could not be read from the file
	read        int64  // bytes of the file up to its end
}

// Run imports file by file, in the order of their names. What is imported twice is recognized.
func (c importCommand) Run(p *program) error {
	files, bytes, err := c.list()
	if err != nil {
		return err
	}
	ctx, cancel := untilSignal()
	defer cancel()
	api, err := p.openAPI(ctx, c.reach, gateway.Admin)
	if err != nil {
		return err
	}
	defer api.Close() //nolint:errcheck // what was imported is stored
	job := importing{api: api, query: c.query(), bar: newProgress(p.stderr), bytes: bytes, tally: map[string]int{}}
	for _, f := range files {
		if err = job.file(ctx, f); err != nil {
			break
		}
	}
	job.tell(p)
	switch {
	case ctx.Err() != nil:
		return errors.New("interrupted; start it again, and what is imported already is recognized")
	case err != nil:
		return err
	case job.hooks == 0:
		return errors.New("there is no hook in these files")
	}
	p.tellHere(api)
	if len(job.unread) > 0 {
		return errFindings
	}
	return nil
}

func (c importCommand) query() url.Values {
	query := url.Values{"source": {c.Source}}
	if c.Only != "" {
		query.Set("only", c.Only)
	}
	if c.ReceivedAt != "" {
		query.Set("received_at", c.ReceivedAt)
	}
	return query
}

// list finds all files, those of folders in the order of their names.
func (c importCommand) list() (files []string, bytes int64, err error) {
	for _, name := range c.Files {
		err := filepath.WalkDir(name, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || path != name && strings.HasPrefix(d.Name(), ".") {
				return err
			}
			info, err := os.Stat(path)
			if err != nil || info.IsDir() {
				return err
			}
			files, bytes = append(files, path), bytes+info.Size()
			return nil
		})
		if err != nil {
			return nil, 0, err
		}
	}
	return files, bytes, nil
}

// importing is an import under way.
type importing struct {
	api   *gateway.API
	query url.Values
	bar   *progress
	bytes int64 // of all files
	done  int64 // of files that are done

	hooks  int
	tally  map[string]int // by result
	unread []string
	shown  time.Time
}

// manyUnread bounds the list of hooks that could not be read.
const manyUnread = 100

// file imports the hooks of one file one after the other, so that a later state of a conversation comes after an earlier
// one.
func (i *importing) file(ctx context.Context, path string) error {
	last := int64(0)
	err := eachHook(path, func(h storedHook) error {
		i.hooks++
		last = h.read
		if err := i.send(ctx, h); err != nil {
			return fmt.Errorf("%s: %w", h.place, err)
		}
		i.show(i.done + h.read)
		return nil
	})
	if info, statErr := os.Stat(path); statErr == nil {
		last = info.Size()
	}
	if i.done += last; err == nil && i.hooks > 0 {
		i.show(i.done) // with what follows the last hook
	}
	return err
}

// show tells how much is done, not too often.
func (i *importing) show(done int64) {
	if now := time.Now(); !i.bar.bar || now.Sub(i.shown) > 100*time.Millisecond || done == i.bytes {
		i.shown = now
		i.bar.showBytes(done, i.bytes, count(i.hooks, "hook"))
	}
}

func (i *importing) send(ctx context.Context, h storedHook) error {
	failed := func(why string) {
		if len(i.unread) < manyUnread {
			i.unread = append(i.unread, h.place+": "+why)
		} else if len(i.unread) == manyUnread {
			i.unread = append(i.unread, "… and more that cannot be read")
		}
		i.tally["unreadable"]++
	}
	if h.broken != "" {
		failed(h.broken)
		return nil
	}
	var d gateway.Decoded
	err := i.api.Send(ctx, "/import", i.query, h.contentType, h.body, &d)
	if problem, ok := errors.AsType[*gateway.ProblemError](err); ok && problem.Status == http.StatusUnprocessableEntity {
		failed(problem.Error())
		return nil
	}
	if err == nil {
		i.tally[d.Result]++
	}
	return err
}

// tell sums up.
func (i *importing) tell(p *program) {
	i.bar.end()
	if i.hooks == 0 {
		return
	}
	imported := 0
	var parts []string
	for _, result := range slices.Sorted(maps.Keys(i.tally)) {
		parts = append(parts, fmt.Sprintf("%d %s", i.tally[result], result))
		if result != "unreadable" {
			imported += i.tally[result]
		}
	}
	line := fmt.Sprintf("%d of %d hooks imported", imported, i.hooks)
	if len(parts) > 0 {
		line += ": " + strings.Join(parts, ", ")
	}
	_, _ = fmt.Fprintln(p.stdout, line+".")
	for _, u := range i.unread {
		_, _ = fmt.Fprintln(p.stderr, printable(u))
	}
}

// maxStored is the largest hook that is read from a file, in bytes.
const maxStored = 32 << 20

// eachHook calls take with each hook of a file: JSON objects one after the other or in a list, or anything else as one
// body. It ends with the error of take.
func eachHook(path string, take func(storedHook) error) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close() //nolint:errcheck // it was only read
	in := bufio.NewReader(f)
	if mark, _ := in.Peek(3); string(mark) == "\ufeff" {
		_, _ = in.Discard(3)
	}
	first, err := firstByte(in)
	switch {
	case errors.Is(err, io.EOF):
		return nil
	case err != nil:
		return err
	case first != '{' && first != '[':
		return wholeHook(path, "application/x-www-form-urlencoded", take)
	}
	d := json.NewDecoder(in)
	n := 0
	give := func(value json.RawMessage, read int64) error {
		n++
		return take(storedHook{place: fmt.Sprintf("%s: hook %d", path, n), contentType: "application/json", body: value, read: read})
	}
	for {
		err := eachValue(d, give)
		syntax := isSyntax(err)
		switch {
		case err == nil:
		case errors.Is(err, io.EOF):
			return nil
		case syntax && n == 0:
			return wholeHook(path, "application/json", take) // broken JSON may still be a hook: the decoder says so, or why not
		case syntax:
			return take(storedHook{place: fmt.Sprintf("%s: hook %d", path, n+1), broken: "the JSON is broken here, and the rest of the file was not read: " + err.Error(), read: d.InputOffset()})
		default:
			return err
		}
	}
}

// isSyntax tells whether JSON is broken.
func isSyntax(err error) bool {
	_, broken := errors.AsType[*json.SyntaxError](err)
	return broken || errors.Is(err, io.ErrUnexpectedEOF)
}

// eachValue reads the next value; of a list, each of its items. give is told how many bytes are read with it, of an item
// about.
func eachValue(d *json.Decoder, give func(value json.RawMessage, read int64) error) error {
	var value json.RawMessage
	if err := d.Decode(&value); err != nil {
		return err
	}
	if value[0] != '[' {
		return give(value, d.InputOffset())
	}
	var list []json.RawMessage
	if err := json.Unmarshal(value, &list); err != nil {
		return err
	}
	read := d.InputOffset() - int64(len(value))
	for _, item := range list {
		read += int64(len(item)) + 1 // and a bracket or a comma
		if err := give(item, read); err != nil {
			return err
		}
	}
	return nil
}

// firstByte looks at the first byte that is no space.
func firstByte(in *bufio.Reader) (byte, error) {
	for {
		b, err := in.ReadByte()
		if err != nil {
			return 0, err
		}
		if b != ' ' && b != '\t' && b != '\r' && b != '\n' {
			return b, in.UnreadByte()
		}
	}
}

// wholeHook takes a file as one body.
func wholeHook(path, contentType string, take func(storedHook) error) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close() //nolint:errcheck // it was only read
	body, err := io.ReadAll(io.LimitReader(f, maxStored+1))
	if err != nil {
		return err
	}
	h := storedHook{place: path, contentType: contentType, body: body, read: int64(len(body))}
	if len(body) > maxStored {
		h.broken = fmt.Sprintf("it is larger than %d MiB", maxStored>>20)
	}
	return take(h)
}
