// Package file appends each conversation as one line of JSON to a file: a log of what was received, an outbox for
// another program, a target without any account.
//
// This file declares the type and pushes one record.
package file

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"

	"github.com/afterchat/afterchat/connectors"
	"github.com/afterchat/afterchat/connectors/rest"
)

//go:embed mapping.yaml
var mapping string

// Settings say which file.
type Settings struct {
	Path string `yaml:"path" doc:"the file, relative to the configuration's folder; created when missing, its folder is not" required:"true" example:"outbox.jsonl"`
	Sync bool   `yaml:"sync" doc:"wait until each line is on disk (fsync); without it a power cut may lose lines that count as delivered"`
	Mode Mode   `yaml:"mode" doc:"permissions of a new file, octal" example:"0640"`
}

// Validate reports every setting that cannot work.
func (s Settings) Validate() error {
	var errs []error
	if s.Path == "" {
		errs = append(errs, &connectors.SettingError{Key: "path", Problem: "is missing", Hint: "write a path such as outbox.jsonl"})
	}
	if s.Mode&0o600 != 0o600 {
		errs = append(errs, &connectors.SettingError{
			Key: "mode", Problem: "must let the owner read and write", Hint: "write 0640 or 0600",
		})
	}
	return errors.Join(errs...)
}

// Mode is a file's permissions, written in octal.
type Mode fs.FileMode

// UnmarshalText reads octal permissions such as 0640, 640 or 0o640.
func (m *Mode) UnmarshalText(text []byte) error {
	s := string(text)
	if len(s) > 2 && s[0] == '0' && (s[1] == 'o' || s[1] == 'O') {
		s = s[2:]
	}
	bits, err := strconv.ParseUint(s, 8, 32)
	if err != nil || bits > 0o777 {
		return fmt.Errorf("%q are no permissions; write them in octal, such as 0640", text)
	}
	*m = Mode(bits)
	return nil
}

// MarshalText writes the permissions in octal.
func (m Mode) MarshalText() ([]byte, error) { return fmt.Appendf(nil, "%04o", uint32(m)), nil }

// Type declares the connector.
func Type() connectors.Type {
	return connectors.Define("file", connectors.Definition[Settings]{
		Doc:      "appends each conversation to a file, one JSON object a line",
		Defaults: Settings{Sync: true, Mode: 0o640},
		Fields: func(Settings) []connectors.Field {
			return []connectors.Field{{
				Name: "line", Type: connectors.Any, Required: true,
				Doc: "what is written as one line of JSON; keep the conversation's id in it, so that a line is found again after a crash",
			}}
		},
		Once:    func(Settings) connectors.Once { return connectors.OnceLookup },
		Mapping: mapping,
		New:     open,
	})
}

// target is one configured file.
type target struct {
	path string
	sync bool
	mode fs.FileMode
	log  *slog.Logger
	// turn holds one token: who has it may use handle.
	turn   chan struct{}
	handle *os.File // nil until the first push; replaced when the path leads to another file
}

func open(s Settings, env connectors.Env) (connectors.Connector, error) {
	path := s.Path
	if !filepath.IsAbs(path) {
		path = filepath.Join(env.Folder, path)
	}
	return &target{path: path, sync: s.Sync, mode: fs.FileMode(s.Mode), log: env.Logger, turn: make(chan struct{}, 1)}, nil
}

// Push appends the record's line. If an earlier attempt may have written it, it reads the file first and appends
// nothing when the same line is there. A further revision is a further line.
func (t *target) Push(ctx context.Context, rec connectors.Record) (connectors.Receipt, error) {
	line, err := encode(rec)
	if err != nil {
		return connectors.Receipt{}, err
	}
	select {
	case t.turn <- struct{}{}:
		defer func() { <-t.turn }()
	case <-ctx.Done():
		return connectors.Receipt{}, t.classify(ctx.Err(), false)
	}
	offset, uncertain, err := t.write(ctx, line, rec.Uncertain)
	if err != nil {
		return connectors.Receipt{}, t.classify(err, uncertain)
	}
	return connectors.Receipt{ID: filepath.Base(t.path) + ":" + strconv.FormatInt(offset, 10)}, nil
}

// encode returns the line of a record, without a line feed.
func encode(rec connectors.Record) ([]byte, error) {
	line, err := rest.JSON(rec.Fields["line"])
	if err != nil {
		return nil, &connectors.Error{Kind: connectors.Rejected, Err: err, Hint: "correct line in the mapping"}
	}
	return line, nil
}

// write returns the offset of the line. The error is uncertain if the line may be in the file all the same.
func (t *target) write(ctx context.Context, line []byte, look bool) (offset int64, uncertain bool, err error) {
	f, err := t.locked(ctx)
	if err != nil {
		return 0, false, err
	}
	defer func() { err = errors.Join(err, unlock(f)) }()
	info, err := f.Stat()
	if err != nil {
		return 0, false, err
	}
	if look {
		at, err := find(ctx, f, line)
		if err != nil {
			return 0, false, err
		}
		if at >= 0 {
			return at, true, t.finish(f, at+int64(len(line)), info.Size())
		}
	}
	return t.append(f, line, info.Size())
}

// finish makes sure that a line that was found ends with a line feed and is on disk. end is where the line ends.
func (t *target) finish(f *os.File, end, size int64) error {
	if end == size {
		if _, err := f.Write([]byte("\n")); err != nil {
			return err
		}
	}
	return t.flush(f)
}

// append writes the line in one call. If the last line of the file was torn by a crash, the new one begins on a fresh
// line. When writing fails, what was written is taken back.
func (t *target) append(f *os.File, line []byte, size int64) (offset int64, uncertain bool, err error) {
	torn, err := isTorn(f, size)
	if err != nil {
		return 0, false, err
	}
	data := make([]byte, 0, len(line)+2)
	if torn {
		t.log.Warn("the last line of the file is torn; it is left as it is and the next one begins after it", "file", t.path, "offset", size)
		data = append(data, '\n')
	}
	offset = size + int64(len(data))
	data = append(append(data, line...), '\n')
	if _, err := f.Write(data); err != nil {
		return 0, f.Truncate(size) != nil, err
	}
	return offset, true, t.flush(f)
}

func (t *target) flush(f *os.File) error {
	if !t.sync {
		return nil
	}
	return f.Sync()
}

// Check opens the file if it is there, else it sees whether one could be made. It leaves nothing behind.
func (t *target) Check(context.Context) error {
	if err := t.try(); err != nil {
		return t.classify(err, false)
	}
	return nil
}

func (t *target) try() error {
	info, err := os.Stat(t.path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		probe, err := os.CreateTemp(filepath.Dir(t.path), ".afterchat-check-*")
		if err != nil {
			return err
		}
		return errors.Join(probe.Close(), os.Remove(probe.Name()))
	case err != nil:
		return err
	case !info.Mode().IsRegular():
		return errNotRegular
	}
	f, err := os.OpenFile(t.path, os.O_RDWR|os.O_APPEND, 0)
	if err != nil {
		return err
	}
	return f.Close()
}
