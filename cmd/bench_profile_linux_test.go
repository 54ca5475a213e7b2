// This file writes the profile by which the compiler arranges the program: afterchat/default.pgo.

package cmd_test

import (
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/pprof/profile"

	"github.com/afterchat/afterchat/internal/ledger/postgrestest"
)

// profileFile names the file to write.
const profileFile = "AFTERCHAT_PROFILE"

// BenchmarkProfile profiles gateways at 64 connections that deliver, one on each engine.
func BenchmarkProfile(b *testing.B) {
	name := os.Getenv(profileFile)
	if name == "" || os.Getenv(postgrestest.Variable) == "" {
		b.Skip("it is for `make profile`, which says in " + profileFile + " where the profile goes and in " + postgrestest.Variable + " where PostgreSQL is")
	}
	c, err := postgrestest.Start(b.Context(), "synchronous_commit = on")
	if err != nil {
		b.Fatal(err)
	}
	defer c.Remove()
	s := newBench(b)
	profiles := []*profile.Profile{
		s.profile(newMeasured(b, benchTargetOf(s.target.address, keepingUp))),
		s.profile(newMeasured(b, benchTargetOf(s.target.address, keepingUp)).at(s, c.URL("search_path=public"))),
	}
	both, err := profile.Merge(profiles)
	if err != nil {
		b.Fatal(err)
	}
	for _, m := range both.Mapping { // where the program lay says nothing
		m.File, m.BuildID = "afterchat", ""
	}
	file, err := os.Create(name)
	if err != nil {
		b.Fatal(err)
	}
	if err := both.Write(file); err != nil {
		b.Fatal(err)
	}
	if err := file.Close(); err != nil {
		b.Fatal(err)
	}
}

// profile runs m under load for a quarter of a minute.
func (s *bench) profile(m *measured) *profile.Profile {
	s.Helper()
	text, err := os.ReadFile(m.configuration)
	if err == nil {
		err = os.WriteFile(m.configuration, []byte(strings.Replace(string(text), "admin: {", "admin: {pprof: true, ", 1)), 0o600)
	}
	if err != nil {
		s.Fatal(err)
	}
	m.run(s)
	defer m.stop()
	h := newHooks(4000)
	s.closedLoop(m.served(), h, 64, 2*time.Second)
	over := make(chan struct{})
	go func() {
		defer close(over)
		s.closedLoop(m.served(), h, 64, 13*time.Second)
	}()
	taken, err := readProfile(fmt.Sprintf("http://%s/debug/pprof/profile?seconds=12", m.admin))
	<-over
	m.drained(s, time.Minute)
	s.target.forget()
	if err != nil {
		s.Fatal(err)
	}
	return taken
}

func readProfile(address string) (*profile.Profile, error) {
	response, err := http.Get(address) //nolint:gosec,noctx // a benchmark of the listener
	if err != nil {
		return nil, err
	}
	defer func() { _ = response.Body.Close() }()
	return profile.Parse(response.Body)
}
