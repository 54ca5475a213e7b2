// This file names a whole configuration, so that an operator sees whether a change has arrived.

package config

import (
	"crypto/pbkdf2"
	"crypto/sha256"
	"encoding/hex"
	"reflect"
)

// hashCost is how many rounds stand between the hash of a configuration and somebody who guesses its secrets: the hash is
// in logs. It takes some milliseconds.
const hashCost = 20_000

// Hash names everything that the configuration says, with its defaults and what variables and file("…") stand for, secrets
// included: 64 hexadecimal digits, the same on every machine with the same values. Names of files, comments, the order of
// keys and tests do not count. It takes some milliseconds.
func (c *Config) Hash() string {
	h := sha256.New()
	d := digester{h}
	for _, part := range []any{c.Server, c.Admin, c.Ledger, c.Log, c.Transcript, c.Alerts} {
		d.value(reflect.ValueOf(part))
	}
	d.feed("ledger %q", c.Ledger.URL.Reveal()) // its text is masked
	for _, s := range c.Sources {
		d.feed("source %q", s.Name)
		d.value(reflect.ValueOf(s))
	}
	for _, t := range c.Targets {
		d.feed("target %q %q", t.Name, t.Account)
		d.value(reflect.ValueOf(t.TargetOptions))
	}
	d.feed("routes %q", c.Pipeline.Hash())
	key, err := pbkdf2.Key(sha256.New, string(h.Sum(nil)), []byte("afterchat configuration"), hashCost, sha256.Size)
	if err != nil {
		panic(err) // the length is one that every hash has
	}
	return hex.EncodeToString(key)
}
