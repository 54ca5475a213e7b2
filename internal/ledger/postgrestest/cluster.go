// Package postgrestest starts private PostgreSQL clusters for tests: on a free port of the loopback interface, in a
// temporary folder, as an unprivileged user, for servers refuse to run as root.
//
// This file is that.
package postgrestest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Variable is the environment variable that names the folder of PostgreSQL's programs, such as
// /usr/lib/postgresql/15/bin. Tests that need a server are skipped without it.
const Variable = "AFTERCHAT_POSTGRES"

// ErrNone means that Variable is not set.
var ErrNone = errors.New(Variable + " does not name the folder of PostgreSQL's programs; make e2e does that")

// Cluster is a server of its own.
type Cluster struct {
	programs string
	folder   string
	port     int
	owner    *syscall.Credential // nil: this process's own
	server   *exec.Cmd
	ended    chan struct{}
	log      *os.File
}

// Start makes a cluster and starts its server; Remove ends it. settings are lines of postgresql.conf.
func Start(ctx context.Context, settings ...string) (_ *Cluster, err error) {
	programs := os.Getenv(Variable)
	if programs == "" {
		return nil, ErrNone
	}
	folder, err := os.MkdirTemp("", "afterchat-postgres-")
	if err != nil {
		return nil, err
	}
	c := &Cluster{programs: programs, folder: folder}
	defer func() {
		if err != nil {
			c.Remove()
		}
	}()
	if os.Getuid() == 0 {
		if c.owner, err = unprivileged(); err != nil {
			return nil, err
		}
		if err := os.Chown(folder, int(c.owner.Uid), int(c.owner.Gid)); err != nil {
			return nil, err
		}
	}
	if c.log, err = os.OpenFile(filepath.Join(folder, "log"), os.O_CREATE|os.O_RDWR|os.O_APPEND, 0o600); err != nil {
		return nil, err
	}
	initdb := c.command(ctx, "initdb", "--pgdata", c.data(), "--username", "afterchat", "--auth", "trust", "--encoding", "UTF8", "--locale", "C")
	if out, err := initdb.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("initdb: %w\n%s", err, out)
	}
	if c.port, err = freePort(ctx); err != nil {
		return nil, err
	}
	var lines bytes.Buffer
	fmt.Fprintf(&lines, "listen_addresses = '127.0.0.1'\nport = %d\nunix_socket_directories = '%s'\nmax_connections = 200\nshared_buffers = '128MB'\n", c.port, folder)
	for _, line := range settings {
		fmt.Fprintln(&lines, line)
	}
	if err := os.WriteFile(filepath.Join(c.data(), "postgresql.auto.conf"), lines.Bytes(), 0o600); err != nil {
		return nil, err
	}
	return c, c.Launch(ctx)
}

// unprivileged finds somebody to run as: postgres, whom Debian's package makes, or nobody.
func unprivileged() (*syscall.Credential, error) {
	var failures error
	for _, name := range []string{"postgres", "nobody"} {
		found, err := user.Lookup(name)
		if err != nil {
			failures = errors.Join(failures, err)
			continue
		}
		uid, err := strconv.ParseUint(found.Uid, 10, 32)
		if err != nil {
			return nil, err
		}
		gid, err := strconv.ParseUint(found.Gid, 10, 32)
		return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, err
	}
	return nil, failures
}

func freePort(ctx context.Context) (int, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer func() { _ = l.Close() }()
	address, ok := l.Addr().(*net.TCPAddr)
	if !ok {
		return 0, fmt.Errorf("%s is no TCP address", l.Addr())
	}
	return address.Port, nil
}

func (c *Cluster) data() string { return filepath.Join(c.folder, "data") }

// Data is the folder of the server's files.
func (c *Cluster) Data() string { return c.data() }

func (c *Cluster) command(ctx context.Context, name string, args ...string) *exec.Cmd {
	command := exec.CommandContext(ctx, filepath.Join(c.programs, name), args...)
	command.Dir = c.folder
	command.SysProcAttr = &syscall.SysProcAttr{Credential: c.owner, Setpgid: true}
	return command
}

// another makes the folder of a second server, without data.
func (c *Cluster) another() (_ *Cluster, err error) {
	s := &Cluster{programs: c.programs, owner: c.owner}
	if s.folder, err = os.MkdirTemp("", "afterchat-postgres-"); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			s.Remove()
		}
	}()
	if s.owner != nil {
		if err := os.Chown(s.folder, int(s.owner.Uid), int(s.owner.Gid)); err != nil {
			return nil, err
		}
	}
	s.log, err = os.OpenFile(filepath.Join(s.folder, "log"), os.O_CREATE|os.O_RDWR|os.O_APPEND, 0o600)
	return s, err
}

// Restore starts a second server on the files that fill writes into a folder, which are files of this one at some
// moment. It does not follow this one.
func (c *Cluster) Restore(ctx context.Context, fill func(folder string) error) (_ *Cluster, err error) {
	s, err := c.another()
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			s.Remove()
		}
	}()
	if err := os.Mkdir(s.data(), 0o700); err != nil {
		return nil, err
	}
	if err := fill(s.data()); err != nil {
		return nil, err
	}
	if s.owner != nil {
		err := filepath.WalkDir(s.data(), func(path string, _ os.DirEntry, err error) error {
			return errors.Join(err, os.Chown(path, int(s.owner.Uid), int(s.owner.Gid)))
		})
		if err != nil {
			return nil, err
		}
	}
	if s.port, err = freePort(ctx); err != nil {
		return nil, err
	}
	if err := s.set(fmt.Sprintf("port = %d", s.port), fmt.Sprintf("unix_socket_directories = '%s'", s.folder)); err != nil {
		return nil, err
	}
	return s, s.Launch(ctx)
}

// Standby makes a second server that follows this one, which from then on commits nothing that the standby has not
// written to disk.
func (c *Cluster) Standby(ctx context.Context) (_ *Cluster, err error) {
	s, err := c.another()
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			s.Remove()
		}
	}()
	copying := s.command(ctx, "pg_basebackup", "--pgdata", s.data(), "--write-recovery-conf", "--checkpoint", "fast",
		"--dbname", fmt.Sprintf("host=127.0.0.1 port=%d user=afterchat application_name=standby", c.port))
	if out, err := copying.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("pg_basebackup: %w\n%s", err, out)
	}
	if s.port, err = freePort(ctx); err != nil {
		return nil, err
	}
	if err := s.set(fmt.Sprintf("port = %d", s.port), fmt.Sprintf("unix_socket_directories = '%s'", s.folder)); err != nil {
		return nil, err
	}
	if err := s.Launch(ctx); err != nil {
		return nil, err
	}
	if err := c.set("synchronous_standby_names = '*'"); err != nil {
		return nil, err
	}
	return s, c.control(ctx, "reload")
}

// Promote makes a standby the primary.
func (c *Cluster) Promote(ctx context.Context) error { return c.control(ctx, "promote") }

func (c *Cluster) control(ctx context.Context, action string) error {
	if out, err := c.command(ctx, "pg_ctl", action, "--pgdata", c.data()).CombinedOutput(); err != nil {
		return fmt.Errorf("pg_ctl %s: %w\n%s", action, err, out)
	}
	return nil
}

// set adds lines to the server's settings; the last one of a name counts.
func (c *Cluster) set(lines ...string) error {
	file, err := os.OpenFile(filepath.Join(c.data(), "postgresql.auto.conf"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = file.WriteString(strings.Join(lines, "\n") + "\n")
	return errors.Join(err, file.Close())
}

// launchPatience is for how long a server may refuse to start, because of what a killed one has left behind, and how
// long it may take to answer.
const launchPatience = 60 * time.Second

// Launch starts the server, after Kill perhaps, and returns when it answers.
func (c *Cluster) Launch(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, launchPatience)
	defer cancel()
	for {
		if err := c.begin(ctx); err != nil {
			return err
		}
		if c.answers(ctx) {
			return nil
		}
		if ctx.Err() != nil {
			return fmt.Errorf("the server does not answer: %s", c.Log())
		}
	}
}

// begin starts the server's first process.
func (c *Cluster) begin(ctx context.Context) error {
	c.server = c.command(context.WithoutCancel(ctx), "postgres", "-D", c.data())
	c.server.Stdout, c.server.Stderr = c.log, c.log
	if err := c.server.Start(); err != nil {
		return err
	}
	server, ended := c.server, make(chan struct{})
	c.ended = ended
	go func() {
		defer close(ended)
		_ = server.Wait()
	}()
	return nil
}

// Reachable asks the server whether it takes connections now.
func (c *Cluster) Reachable(ctx context.Context) error {
	return c.command(ctx, "pg_isready", "--quiet", "--dbname", "postgres", "--username", "afterchat", "--host", "127.0.0.1", "--port", strconv.Itoa(c.port)).Run()
}

// answers waits until the server takes connections; false if it ended, or ctx did.
func (c *Cluster) answers(ctx context.Context) bool {
	for {
		if c.Reachable(ctx) == nil {
			return true
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-c.ended:
			return false
		case <-ctx.Done():
			return false
		}
	}
}

// Stop ends the server orderly. Launch starts it again.
func (c *Cluster) Stop(ctx context.Context) error {
	if err := c.control(ctx, "stop"); err != nil {
		return err
	}
	<-c.ended
	return nil
}

// Checksums has the server, which must not run, find damage to its files.
func (c *Cluster) Checksums(ctx context.Context) error {
	if out, err := c.command(ctx, "pg_checksums", "--enable", "--pgdata", c.data()).CombinedOutput(); err != nil {
		return fmt.Errorf("pg_checksums: %w\n%s", err, out)
	}
	return nil
}

// Running tells whether the server's first process is there. One that has no room for its log ends by itself.
func (c *Cluster) Running() bool {
	select {
	case <-c.ended:
		return false
	default:
		return true
	}
}

// Process is the id of the server's first process.
func (c *Cluster) Process() int { return c.server.Process.Pid }

// Ask returns the one value that a query has for an answer, as text.
func (c *Cluster) Ask(ctx context.Context, query string) (string, error) {
	out, err := c.command(ctx, "psql", "--no-psqlrc", "--tuples-only", "--no-align", "--dbname", c.URL(""), "--command", query).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("psql: %w\n%s", err, out)
	}
	return strings.TrimSpace(string(out)), nil
}

// Time asks the server what time it is.
func (c *Cluster) Time(ctx context.Context) (time.Time, error) {
	text, err := c.Ask(ctx, "SELECT extract(epoch FROM clock_timestamp())")
	if err != nil {
		return time.Time{}, err
	}
	seconds, err := strconv.ParseFloat(text, 64)
	return time.UnixMicro(int64(seconds * 1e6)), err
}

// Log returns what the server has said.
func (c *Cluster) Log() string {
	text, err := os.ReadFile(c.log.Name())
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// Address is where the server listens.
func (c *Cluster) Address() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(c.port)) }

// URL is where the cluster's database is. more is added to the query, such as search_path=shop.
func (c *Cluster) URL(more string) string {
	return fmt.Sprintf("postgres://afterchat@127.0.0.1:%d/postgres?sslmode=disable&%s", c.port, more)
}

// URLWith is where the database is as long as one of the two takes writes.
func (c *Cluster) URLWith(standby *Cluster) string {
	return fmt.Sprintf("postgres://afterchat@127.0.0.1:%d,127.0.0.1:%d/postgres?sslmode=disable&target_session_attrs=read-write", c.port, standby.port)
}

// Kill ends all of the server's processes at once, as the end of its machine would.
func (c *Cluster) Kill() {
	if c.server == nil || c.server.Process == nil || !c.Running() {
		return
	}
	first := c.server.Process.Pid
	// Each has a session of its own, so that they have no group in common.
	children, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", first, first))
	_ = syscall.Kill(first, syscall.SIGKILL)
	for text := range strings.FieldsSeq(string(children)) {
		if child, err := strconv.Atoi(text); err == nil {
			_ = syscall.Kill(child, syscall.SIGKILL)
		}
	}
	<-c.ended
}

// Remove ends the server and removes all that there was.
func (c *Cluster) Remove() {
	c.Kill()
	if c.log != nil {
		_ = c.log.Close()
	}
	_ = os.RemoveAll(c.folder)
}
