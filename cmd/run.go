// Package cmd is the command line as a library, one file per subcommand. A build of one's own calls Run with its own
// connector types added.
package cmd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
	"time"
	_ "time/tzdata" // zones are known on images without a zone database

	"github.com/alecthomas/kong"

	"github.com/afterchat/afterchat/config"
	"github.com/afterchat/afterchat/connectors"
	"github.com/afterchat/afterchat/internal/gateway"
)

// Exit codes.
const (
	exitFine     = 0
	exitFindings = 1
	exitUsage    = 2
)

// version is set by the linker in a release; see Version.
var version string

// Version returns what this program calls itself.
func Version() string {
	if version != "" {
		return version
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" && info.Main.Version != "(devel)" {
		return info.Main.Version
	}
	return "devel"
}

// commands is the grammar. Each command has its own file and a method Run(*program) error.
type commands struct {
	ShowVersion kong.VersionFlag `name:"version" help:"Print the version."`

	Config string `short:"c" placeholder:"FILE" default:"afterchat.yaml" env:"AFTERCHAT_CONFIG" help:"Configuration file, or a folder of them."`

	Serve      serveCommand      `cmd:"" help:"Take hooks and deliver them until stopped."`
	Check      checkCommand      `cmd:"" help:"Report every mistake and every warning in the configuration."`
	Explain    explainCommand    `cmd:"" help:"Show what a hook decodes to, which routes match and what each target would get. Sends nothing."`
	Test       testCommand       `cmd:"" help:"Run the tests of the configuration: samples and what is expected of them."`
	Init       initCommand       `cmd:"" help:"Write a commented configuration to start from, for a chat platform and a target."`
	Send       sendCommand       `cmd:"" help:"Post a hook to a running gateway, or send a marked test record to a target."`
	Replay     replayCommand     `cmd:"" help:"Send dead deliveries again."`
	Deliveries deliveriesCommand `cmd:"" help:"List deliveries, look at one, give one up."`
	Import     importCommand     `cmd:"" help:"Take stored hooks as if they had just come in."`
	Demo       demoCommand       `cmd:"" help:"Show everything without any account: a pretend help desk and sample chats."`
	Effective  configCommand     `cmd:"" name:"config" help:"Show the configuration, or make a password for the console."`
	Schema     schemaCommand     `cmd:"" help:"Print the JSON Schema of the configuration, for editors."`
	Connectors connectorsCommand `cmd:"" help:"List the kinds of targets, or describe one."`
	Ledger     ledgerCommand     `cmd:"" help:"Audit, repair, back up, upgrade or move what is stored."`
	Health     healthCommand     `cmd:"" help:"Ask a running gateway whether it can take hooks, for container health checks."`
	Version    versionCommand    `cmd:"" help:"Print the version."`
}

// program is what a command works with.
type program struct {
	commands *commands
	known    config.Known
	stdout   io.Writer
	stderr   io.Writer
}

// errFindings ends a command with exit code 1 when everything has been said already.
var errFindings = errors.New("findings")

// Run parses args, runs the command and returns the exit code: 0 fine, 1 findings or failure, 2 usage.
func Run(args []string, types ...connectors.Type) int {
	p := &program{
		commands: &commands{}, stdout: os.Stdout, stderr: os.Stderr,
		known: config.Known{Targets: types, Sources: gateway.SourceTypes()},
	}
	exited := -1
	parser, err := kong.New(p.commands,
		kong.Name("afterchat"),
		kong.Description("Delivers finished live chats to help desks, CRMs and HTTP APIs. Start with: afterchat demo"),
		kong.UsageOnError(), kong.Writers(p.stdout, p.stderr), kong.Exit(func(code int) { exited = code }),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}), kong.Help(printHelp), typeNames(p.known), kong.Vars{"version": versionText()},
	)
	if err != nil {
		_, _ = fmt.Fprintln(p.stderr, "afterchat:", err)
		return exitUsage
	}
	parsed, err := parser.Parse(args)
	switch {
	case exited >= 0:
		return exited // --help
	case err != nil:
		_, _ = fmt.Fprintf(p.stderr, "afterchat: %v\nRun \"afterchat --help\" for the commands.\n", err)
		return exitUsage
	}
	if err := parsed.Run(p); err != nil {
		if !errors.Is(err, errFindings) {
			_, _ = fmt.Fprintln(p.stderr, "afterchat:", err)
		}
		return exitFindings
	}
	return exitFine
}

// load reads the configuration. Mistakes in it are printed, and the error says no more than that.
func (p *program) load() (*config.Config, error) {
	return p.loadFrom(p.commands.Config, os.LookupEnv)
}

func (p *program) loadFrom(path string, lookup func(string) (string, bool)) (*config.Config, error) {
	cfg, err := config.Load(path, p.known, config.Environment{LookupEnv: lookup, ReadFile: os.ReadFile})
	if errors.Is(err, fs.ErrNotExist) {
		return nil, noFile(path)
	}
	if problems, ok := errors.AsType[config.Problems](err); ok {
		if err := problems.Write(p.stderr, "text"); err != nil {
			return nil, err
		}
		return nil, errFindings
	}
	return cfg, err
}

// noFile says what to do where there is no configuration.
func noFile(path string) error {
	return fmt.Errorf("there is no configuration file %s; write one with afterchat init, or say with -c where it is", path)
}

// logger writes in the configured form, in UTC with milliseconds.
func logger(w io.Writer, cfg config.Log) *slog.Logger {
	return leveledLogger(w, cfg.Format, logLevel(cfg))
}

func logLevel(cfg config.Log) (level slog.Level) {
	_ = level.UnmarshalText([]byte(cfg.Level)) // checked by config; the zero value is info
	return level
}

// leveledLogger is logger with a level that may change.
func leveledLogger(w io.Writer, format string, level slog.Leveler) *slog.Logger {
	options := &slog.HandlerOptions{Level: level, ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey && len(groups) == 0 {
			return slog.String(slog.TimeKey, a.Value.Time().UTC().Format("2006-01-02T15:04:05.000Z"))
		}
		return a
	}}
	if format == "json" {
		return slog.New(slog.NewJSONHandler(w, options))
	}
	return slog.New(slog.NewTextHandler(w, options))
}

// untilSignal returns a context that ends at SIGINT or SIGTERM. A second signal ends the process at once, which a
// ledger survives.
func untilSignal() (context.Context, context.CancelFunc) {
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	go func() {
		<-ctx.Done()
		cancel() // from here on a signal has its default effect
	}()
	return ctx, cancel
}

// clock is the time of day for messages.
func clock() string { return time.Now().Format("15:04:05") }
