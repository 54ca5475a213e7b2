// This file writes the profile by which the compiler arranges the program: afterchat/default.pgo.

package cmd_test

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
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
	if name == "" {
		b.Skip("it is for `make profile`, which says in " + profileFile + " where the profile goes")
	}
	if os.Getenv(postgrestest.Variable) == "" {
		b.Fatal("no programs of PostgreSQL; `apt-get install postgresql`, or name their folder in " + postgrestest.Variable)
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
	var out bytes.Buffer
	if err := both.Write(&out); err != nil {
		b.Fatal(err)
	}
	if err := os.WriteFile(name, out.Bytes(), 0o600); err != nil {
		b.Fatal(err)
	}
}

// profile runs m under load for a quarter of a minute.
func (s *bench) profile(m *measured) *profile.Profile {
	s.Helper()
	replaceIn(s, m.configuration, "admin: {", "admin: {pprof: true, ")
	m.run(s)
	defer m.stop()
	h := newHooks(4000)
	s.closedLoop(m.served(), h, 64, 2*time.Second)
	var taken *profile.Profile
	var err error
	over := make(chan struct{})
	go func() {
		defer close(over)
		taken, err = readProfile(fmt.Sprintf("http://%s/debug/pprof/profile?seconds=12", m.admin))
	}()
	s.closedLoop(m.served(), h, 64, 13*time.Second)
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
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: %s", address, response.Status)
	}
	return profile.Parse(response.Body)
}
