// This file is `afterchat init`: a configuration to start from.

package cmd

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/alecthomas/kong"

	"github.com/afterchat/afterchat/config"
)

type initCommand struct {
	Source   []string `required:"" placeholder:"TYPE" help:"Chat platform that sends the hooks: ${sources}. May be repeated."`
	Target   []string `required:"" placeholder:"TYPE" help:"Where conversations go: ${targets}. May be repeated."`
	Output   string   `short:"o" placeholder:"FILE" help:"File to write; - writes to standard output. The default is that of --config."`
	Force    bool     `help:"Overwrite the file if it is there."`
	TimeZone string   `default:"UTC" placeholder:"ZONE" help:"Time zone of the chat account, for platforms whose hooks name none, such as Europe/Prague."`
}

// defaultConfig is where every command looks for the configuration, and where the hint of init need not name it.
const defaultConfig = "afterchat.yaml"

// typeNames are the types that this program was built with, for help texts.
func typeNames(known config.Known) kong.Vars {
	var sources, targets []string
	for _, s := range known.Sources {
		sources = append(sources, s.Name)
	}
	for _, t := range known.Targets {
		targets = append(targets, t.Name())
	}
	return kong.Vars{"sources": strings.Join(sources, ", "), "targets": strings.Join(targets, ", ")}
}

// Run writes a commented file that passes check, and says which variables it needs.
func (c initCommand) Run(p *program) error {
	if err := c.sound(); err != nil {
		return err
	}
	starter, err := config.NewStarter(p.known, c.Source, c.Target, c.TimeZone)
	if err != nil {
		return err
	}
	path := c.Output
	if path == "" {
		path = p.commands.Config
	}
	if path == "-" {
		if _, err := io.WriteString(p.stdout, starter.Text); err != nil {
			return err
		}
		_, err := io.WriteString(p.stderr, nextSteps(starter, p.commands.Config))
		return err
	}
	if err := c.save(path, starter.Text); err != nil {
		return err
	}
	_, err = fmt.Fprintf(p.stdout, "wrote %s\n\n%s", path, nextSteps(starter, path))
	return err
}

// sound checks what no declaration does.
func (c initCommand) sound() error {
	if _, err := time.LoadLocation(c.TimeZone); err != nil || c.TimeZone == "Local" || c.TimeZone == "" {
		return fmt.Errorf("unknown time zone %q; write a name of the IANA database, such as Europe/Prague", c.TimeZone)
	}
	for _, names := range [][]string{c.Source, c.Target} {
		seen := map[string]bool{}
		for _, name := range names {
			if seen[name] {
				return fmt.Errorf("%s is there twice; a second one is easily added to the file under another name", name)
			}
			seen[name] = true
		}
	}
	return nil
}

// save writes the file. It replaces one only when told to.
func (c initCommand) save(path, text string) error {
	mode := os.O_WRONLY | os.O_CREATE | os.O_EXCL
	if c.Force {
		mode = os.O_WRONLY | os.O_CREATE | os.O_TRUNC
	}
	f, err := os.OpenFile(path, mode, 0o644)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s is there already; --force overwrites it, -o FILE writes another", path)
	}
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	return errors.Join(err, f.Close())
}

// nextSteps lists what is not in the file: secrets, made just now where any will do, and the address of the hook.
func nextSteps(s config.Starter, path string) string {
	var out strings.Builder
	say := func(format string, args ...any) { _, _ = fmt.Fprintf(&out, format+"\n", args...) }
	secrets := map[string]string{}
	say("Set these variables for afterchat; the file holds no secret:\n")
	for _, v := range s.Variables {
		value, about := v.Example, v.Doc+"; put yours here"
		if value == "" {
			value, about = newSecret(), v.Doc+", made just now"
			secrets[v.Name] = value
		}
		say("  export %s='%s'   # %s", v.Name, strings.ReplaceAll(value, "'", `'\''`), about)
	}
	say("\nEnter this address at the chat platform, with your own host:\n")
	for _, hook := range s.Hooks {
		say("  %s: https://YOUR-HOST%s/%s", hook.Type, hook.Path, secrets[hook.Secret])
	}
	if len(s.Examples) > 0 {
		say("\nThese settings hold examples, see whether they suit you: %s", strings.Join(s.Examples, ", "))
	}
	flag := ""
	if path != defaultConfig {
		flag = " -c " + path
	}
	say("\nThen:\n\n  afterchat check%s --live   # is the file right, and does the target let us in?\n  afterchat serve%s", flag, flag)
	return out.String()
}

// newSecret makes the last part of a hook's address: 192 random bits.
func newSecret() string {
	b := make([]byte, 24)
	_, _ = rand.Read(b) // never fails, says its documentation
	return hex.EncodeToString(b)
}
