package password_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/afterchat/afterchat/config/password"
)

func TestHash(t *testing.T) {
	t.Parallel()
	one, other := password.Hash("correct horse battery"), password.Hash("correct horse battery")
	if one == other {
		t.Error("two hashes of one password are the same: there is no salt")
	}
	for _, hash := range []string{one, other} {
		if err := password.Check(hash); err != nil {
			t.Errorf("%s: %v", hash, err)
		}
		if !password.Matches(hash, "correct horse battery") || password.Matches(hash, "correct horse batterx") || password.Matches(hash, "") {
			t.Errorf("%s matches the wrong passwords", hash)
		}
		if strings.Contains(hash, "correct") {
			t.Error("the password stands in its hash")
		}
	}
}

// TestForeign: a hash that another program has made: printf password | argon2 somesalt -id -t 2 -m 16 -p 4 -l 32 -e.
func TestForeign(t *testing.T) {
	t.Parallel()
	hash := "$argon2id$v=19$m=65536,t=2,p=4$c29tZXNhbHQ$GpZ3sK/oH9p7VIiV56G/64Zo/8GaUw434IimaPqxwCo"
	if !password.Matches(hash, "password") {
		t.Error("the hash of another program is not understood")
	}
}

func TestWrongHashes(t *testing.T) {
	t.Parallel()
	good := password.Hash("correct horse battery")
	for _, hash := range []string{
		"", "secret", "$argon2id$", good[1:], good + "$", strings.Replace(good, "argon2id", "argon2i", 1),
		strings.Replace(good, "v=19", "v=16", 1), strings.Replace(good, "m=19456", "m=9999999", 1), strings.Replace(good, "t=2", "t=0", 1),
		strings.Replace(good, "t=2", "t=+2", 1), strings.Replace(good, "p=1", "p=300", 1), good[:len(good)-30], good + "!",
		"$2y$10$abcdefghijklmnopqrstuuAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
	} {
		if err := password.Check(hash); !errors.Is(err, password.ErrHash) {
			t.Errorf("%q: %v", hash, err)
		}
		if password.Matches(hash, "correct horse battery") {
			t.Errorf("%q matches", hash)
		}
	}
}

func FuzzCheck(f *testing.F) {
	f.Add(password.Hash("correct horse battery"))
	f.Add("$argon2id$v=19$m=8,t=1,p=1$c29tZXNhbHQ$c29tZXNhbHRzb21lc2FsdA")
	f.Fuzz(func(t *testing.T, hash string) {
		if err := password.Check(hash); err != nil && !errors.Is(err, password.ErrHash) {
			t.Error(err)
		}
	})
}
