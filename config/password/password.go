// Package password makes and checks the hashes of passwords that stand in a configuration: argon2id in the usual form,
// $argon2id$v=19$m=19456,t=2,p=1$SALT$HASH (RFC 9106, and the OWASP cheat sheet for the parameters).
package password

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/crypto/argon2"
)

// ErrHash is returned by Check for a text that is no hash of a password.
var ErrHash = errors.New("it is no argon2id hash; make one with: afterchat config password")

// Parameters of new hashes: 19 MiB, two passes, one thread.
const (
	memory  = 19 * 1024 // KiB
	passes  = 2
	threads = 1
	salt    = 16 // bytes
	size    = 32 // bytes
)

// What a hash may ask of this machine at most: a typing mistake must not take all its memory at every log-in.
const (
	mostMemory  = 1 << 20 // KiB
	mostPasses  = 32
	mostThreads = 64
	mostBytes   = 1024
)

// Least is how many characters a password needs.
const Least = 12

// Hash returns a hash of a password, with a salt of its own.
func Hash(text string) string {
	s := make([]byte, salt)
	_, _ = rand.Read(s) // never fails
	key := argon2.IDKey([]byte(text), s, passes, memory, threads, size)
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, memory, passes, threads, encode(s), encode(key))
}

// Check returns ErrHash unless hash is one that Matches can use.
func Check(hash string) error {
	_, err := parse(hash)
	return err
}

// Matches tells whether hash is one of text. It takes some hundredths of a second.
func Matches(hash, text string) bool {
	h, err := parse(hash)
	if err != nil {
		return false
	}
	key := argon2.IDKey([]byte(text), h.salt, h.passes, h.memory, h.threads, uint32(len(h.key))) //nolint:gosec // parse bounds it
	return subtle.ConstantTimeCompare(key, h.key) == 1
}

type parsed struct {
	memory, passes uint32
	threads        uint8
	salt, key      []byte
}

func parse(hash string) (p parsed, err error) {
	parts := strings.Split(hash, "$")
	if len(parts) != 6 || parts[0] != "" || parts[1] != "argon2id" || parts[2] != fmt.Sprintf("v=%d", argon2.Version) {
		return p, ErrHash
	}
	var threads uint32
	if n, err := fmt.Sscanf(parts[3], "m=%d,t=%d,p=%d", &p.memory, &p.passes, &threads); n != 3 || err != nil ||
		parts[3] != fmt.Sprintf("m=%d,t=%d,p=%d", p.memory, p.passes, threads) {
		return p, ErrHash
	}
	salt, saltErr := base64.RawStdEncoding.Strict().DecodeString(parts[4])
	key, keyErr := base64.RawStdEncoding.Strict().DecodeString(parts[5])
	bounded := p.memory >= 8*threads && p.memory <= mostMemory && p.passes >= 1 && p.passes <= mostPasses && threads >= 1 && threads <= mostThreads &&
		len(salt) >= 8 && len(salt) <= mostBytes && len(key) >= 16 && len(key) <= mostBytes
	if saltErr != nil || keyErr != nil || !bounded {
		return p, ErrHash
	}
	p.threads, p.salt, p.key = uint8(threads), salt, key //nolint:gosec // bounded above
	return p, nil
}

func encode(b []byte) string { return base64.RawStdEncoding.EncodeToString(b) }
