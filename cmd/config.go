// This file is `afterchat config`.

package cmd

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"unicode/utf8"

	"github.com/afterchat/afterchat/internal/gateway"
)

type configCommand struct {
	Print    configPrintCommand    `cmd:"" help:"Print the effective configuration: all files together, every default, secrets as ***."`
	Password configPasswordCommand `cmd:"" help:"Read a password for the console and print its hash, for admin.password."`
}

type configPrintCommand struct{}

// Run prints what the configuration comes to, as YAML that could be the configuration itself but for the secrets.
func (configPrintCommand) Run(p *program) error {
	cfg, err := p.load()
	if err != nil {
		return err
	}
	return cfg.WriteMasked(p.stdout)
}

type configPasswordCommand struct{}

// Run asks twice on a terminal, and else reads one line. What is to be copied into a file is in quotes; what another program
// takes is the bare hash.
func (configPasswordCommand) Run(p *program) error {
	read := func(ask string) (string, error) { return readPassword(p.stderr, ask) }
	text, err := read("Password: ")
	if err != nil {
		return err
	}
	if n := utf8.RuneCountInString(text); n < gateway.LeastPassword {
		return fmt.Errorf("the password has %d characters, but at least %d are needed", n, gateway.LeastPassword)
	}
	if isTerminal(os.Stdin) {
		again, err := read("Once more: ")
		if err != nil {
			return err
		}
		if again != text {
			return errors.New("the two are not the same")
		}
	}
	hash := gateway.HashPassword(text)
	if isTerminal(p.stdout) {
		hash = "'" + hash + "'"
	}
	_, err = fmt.Fprintln(p.stdout, hash)
	return err
}

// readPassword reads a line from standard input, which a terminal does not show meanwhile.
func readPassword(w io.Writer, ask string) (string, error) {
	if isTerminal(os.Stdin) {
		_, _ = io.WriteString(w, ask)
		interrupted := make(chan os.Signal, 1)
		signal.Notify(interrupted, os.Interrupt)
		show := hideTyping()
		go func() {
			if _, ok := <-interrupted; ok {
				show()
				os.Exit(exitFindings)
			}
		}()
		defer func() {
			signal.Stop(interrupted)
			close(interrupted)
			show()
			_, _ = io.WriteString(w, "\n")
		}()
	}
	line, err := bufio.NewReader(os.Stdin).ReadString('\n')
	if err != nil && (!errors.Is(err, io.EOF) || line == "") {
		return "", errors.New("there is no password on standard input")
	}
	return strings.TrimRight(line, "\r\n"), nil
}

// hideTyping has the terminal not show what is typed, where it knows how. What it returns undoes that.
func hideTyping() (show func()) {
	stty := func(mode string) {
		c := exec.Command("stty", mode) //nolint:noctx // it is over at once
		c.Stdin = os.Stdin
		_ = c.Run()
	}
	stty("-echo")
	return func() { stty("echo") }
}
