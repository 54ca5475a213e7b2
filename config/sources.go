// This file reads sources and what is checked about listeners and paths.

package config

import (
	"cmp"
	"crypto/tls"
	"fmt"
	"net"
	"net/netip"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// leastSecret is how long the secret of a hook's path must be, in characters. 16 random hex digits are 64 bits.
const leastSecret = 16

// fileHint is for files that cannot be read.
const fileHint = "check the path, which starts in the folder of this file, and the permissions"

const secretHint = "make one with: openssl rand -hex 24"

// namePattern is what sources and targets may be called: the names stand in paths, metrics and expressions.
var namePattern = regexp.MustCompile(`^[a-z0-9_-]{1,63}$`)

// hookPath is what the path of a hook may be: nothing that needs escaping, nothing that a router takes for a pattern.
var hookPath = regexp.MustCompile(`^(/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)+$`)

// name checks the name of a source or target.
func (l *loader) name(n *node, what string) {
	if !namePattern.MatchString(n.text) {
		l.add(n.at, "use 1 to 63 of a-z, 0-9, _ and -", "%q cannot be the name of a %s", n.shown(), what)
	}
}

// sources reads all sources.
func (l *loader) sources(n *node, _ span) {
	if n.isNull() {
		return
	}
	if n.kind != mappingKind {
		l.add(n.at, "write a name and below it type, secret, …", "sources must be a mapping, but this is %s", n.kind)
		return
	}
	l.private = true
	defer func() { l.private = false }()
	for _, e := range n.entries {
		l.config.Sources = append(l.config.Sources, l.source(e))
	}
	l.names(n, "source")
	l.paths(n)
}

// source reads one source.
func (l *loader) source(e entry) Source {
	s := Source{Name: e.key.text}
	l.name(e.key, "source")
	before := len(l.found)
	l.structs(e.value, e.key.at, fmt.Sprintf("source %q", s.Name), nil, reflect.ValueOf(&s).Elem())
	s.Path = cmp.Or(s.Path, "/in/"+s.Name)
	if s.HMAC != nil {
		s.HMAC.Encoding = cmp.Or(s.HMAC.Encoding, "hex")
	}
	if e.value.kind != mappingKind {
		return s
	}
	l.sourceType(e, s)
	l.zoneAt(e.value.value("time_zone"), s.TimeZone)
	l.networks(e.value.value("allow"), s.Allow)
	if at := e.value.value("path"); at != nil && len(l.found) == before && !hookPath.MatchString(s.Path) {
		l.add(at.at, "write a path such as /in/shop", "%q cannot be the path of a hook", at.shown())
	}
	l.sourceSecret(e, s)
	return s
}

// sourceType checks that the platform is known and has what it needs.
func (l *loader) sourceType(e entry, s Source) {
	at := e.value.value("type")
	if at == nil || s.Type == "" {
		return
	}
	var names []string
	for _, t := range l.known.Sources {
		names = append(names, t.Name)
		if t.Name != s.Type {
			continue
		}
		if _, has := e.value.get("time_zone"); t.NeedsTimeZone && !has {
			l.add(e.key.at, "write time_zone: Europe/Prague, or the zone that is set in the chat account",
				"source %q needs the key %q, because %s sends times without a zone", s.Name, "time_zone", t.Name)
		}
		return
	}
	l.unknown(at, "type", names)
}

// shellVariable is how a shell would name a variable, which YAML takes for text.
var shellVariable = regexp.MustCompile(`^\$[A-Za-z_(]`)

// sourceSecret checks the last part of the path. Without Basic credentials and signature it is all that keeps
// strangers out.
func (l *loader) sourceSecret(e entry, s Source) {
	n := e.value.value("secret")
	open := s.Basic == nil && s.HMAC == nil
	if n == nil {
		if open {
			l.add(e.key.at, secretHint, "source %q needs the key %q", s.Name, "secret")
		}
		return
	}
	nodes := []*node{n}
	if n.kind == listKind {
		nodes = n.items
	}
	if len(nodes) == 0 && open {
		l.add(n.at, secretHint, "secret is empty")
	}
	for i, one := range nodes {
		if !l.readable(one) || i >= len(s.Secret) || foreignVariable.MatchString(one.yaml.Value) {
			continue // or it was reported
		}
		text := s.Secret[i].Reveal()
		switch {
		case len(text) < leastSecret && (open || text == ""):
			l.add(one.at, secretHint, "secret has %d characters, but at least %d are needed", len(text), leastSecret)
		case shellVariable.MatchString(one.yaml.Value):
			l.add(one.at, "write ${env.NAME} for the value of a variable", "secret is the text %q with a dollar sign, not the value of a variable", "$…")
		case strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r > '~' || strings.ContainsRune(`/?#%\;`, r) }):
			l.add(one.at, secretHint, "secret has characters that cannot stand in a path")
		}
	}
}

// names checks that no earlier name is that of another entry, of today or earlier. A name may come back: was: [help, desk]
// of help says that it was called desk in between.
func (l *loader) names(n *node, what string) {
	taken := map[string]string{}
	for _, e := range n.entries {
		taken[e.key.text] = e.key.text
	}
	for _, e := range n.entries {
		was := e.value.value("was")
		if was == nil {
			continue
		}
		for _, old := range append([]*node{was}, was.items...) {
			if old.kind != scalarKind || old.isNull() {
				continue
			}
			if other, clash := taken[old.text]; clash && other != e.key.text {
				l.add(old.at, "remove it here or there: an earlier name can belong to one entry only", "%q is a name of the %s %q", old.shown(), what, other)
			}
			taken[old.text] = e.key.text
		}
	}
}

// paths checks that no hook's path is, or lies below, another one's.
func (l *loader) paths(n *node) {
	for i, a := range l.config.Sources {
		for _, b := range l.config.Sources[:i] {
			if a.Path != b.Path && !strings.HasPrefix(a.Path, b.Path+"/") && !strings.HasPrefix(b.Path, a.Path+"/") {
				continue
			}
			e := n.entries[i]
			at := e.key.at
			if v := e.value.value("path"); v != nil {
				at = v.at
			}
			l.add(at, "give each source a path that no other one starts with", "path of source %q overlaps with that of source %q, %s",
				a.Name, b.Name, b.Path)
			break
		}
	}
}

// networks checks lists of networks in place: a single address stands for a network of one.
func (l *loader) networks(n *node, list []string) {
	if n == nil {
		return
	}
	nodes := []*node{n}
	if n.kind == listKind {
		nodes = n.items
	}
	for i, one := range nodes {
		if !l.readable(one) || i >= len(list) {
			continue
		}
		if a, err := netip.ParseAddr(list[i]); err == nil && a.Zone() == "" {
			list[i] = netip.PrefixFrom(a, a.BitLen()).String()
			continue
		}
		p, err := netip.ParsePrefix(list[i])
		switch {
		case err != nil:
			l.add(one.at, "write 203.0.113.0/24, 2001:db8::/32 or a single address", "%q is no network", one.shown())
		case p != p.Masked():
			l.add(one.at, "did you mean "+p.Masked().String()+"?", "%q is an address inside a network, not a network", one.shown())
		}
	}
}

// zone checks transcript.time_zone and its like.
func (l *loader) zone(section, zone string) {
	l.zoneAt(l.root.value(section).valueOrNil("time_zone"), zone)
}

// valueOrNil is value for a node that may be missing.
func (n *node) valueOrNil(key string) *node {
	if n == nil {
		return nil
	}
	return n.value(key)
}

func (l *loader) zoneAt(n *node, zone string) {
	if !l.readable(n) {
		return
	}
	if _, err := time.LoadLocation(zone); err != nil || zone == "Local" {
		l.add(n.at, "write a name of the IANA database, such as Europe/Prague, or UTC", "unknown time zone %q", n.shown())
	}
}

// server checks listeners and limits.
func (l *loader) server() {
	c := l.config
	server := l.root.value("server")
	l.address(server.valueOrNil("listen"), c.Server.Listen)
	l.networks(server.valueOrNil("trusted_proxies"), c.Server.TrustedProxies)
	l.tls(server.valueOrNil("tls"), c.TLSFiles())
	if c.Server.MaxInFlight < c.Server.MaxBody {
		n := server.valueOrNil("max_in_flight")
		if n == nil {
			n = server.valueOrNil("max_body")
		}
		l.add(n.at, "raise max_in_flight, or lower max_body", "max_in_flight (%s) is smaller than max_body (%s), so the largest hooks would never be taken",
			c.Server.MaxInFlight, c.Server.MaxBody)
	}
}

func (l *loader) address(n *node, address string) {
	if !l.readable(n) {
		return
	}
	_, port, err := net.SplitHostPort(address)
	number, numErr := strconv.ParseUint(port, 10, 16)
	if err != nil || numErr != nil || number > 65535 {
		l.add(n.at, `write ":8080" or "127.0.0.1:8080"`, "%q is no address to listen on", n.shown())
	}
}

// tls checks that the certificate can be served now.
func (l *loader) tls(n *node, files *TLS) {
	if n == nil || files == nil || files.CertFile == "" || files.KeyFile == "" {
		return
	}
	certificate, err := l.env.ReadFile(files.CertFile)
	if err != nil {
		l.add(n.value("cert_file").at, fileHint, "the certificate cannot be read: %s", cause(err))
	}
	key, keyErr := l.env.ReadFile(files.KeyFile)
	if keyErr != nil {
		l.add(n.value("key_file").at, fileHint, "the key cannot be read: %s", cause(keyErr))
	}
	if err != nil || keyErr != nil {
		return
	}
	if _, err := tls.X509KeyPair(certificate, key); err != nil {
		l.add(n.value("cert_file").at, "write both as PEM, the certificate first in its file and the chain behind it", "certificate and key do not work together: %s", err)
	}
}

// collide tells whether two addresses cannot be listened on at once.
func collide(one, other string) bool {
	host, port, err := net.SplitHostPort(one)
	otherHost, otherPort, otherErr := net.SplitHostPort(other)
	if err != nil || otherErr != nil || port != otherPort || port == "0" {
		return false
	}
	return host == otherHost || anyHost(host) || anyHost(otherHost)
}

func anyHost(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "" || err == nil && ip.IsUnspecified()
}

// loopback tells whether only this machine reaches an address.
func loopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	ip, ipErr := netip.ParseAddr(host)
	return err == nil && (host == "localhost" || ipErr == nil && ip.IsLoopback())
}

// TLSFiles returns the files of server.tls as seen from the working directory; nil when hooks come over plain HTTP.
func (c *Config) TLSFiles() *TLS {
	if c.Server.TLS == nil {
		return nil
	}
	return &TLS{CertFile: c.Resolve(c.Server.TLS.CertFile), KeyFile: c.Resolve(c.Server.TLS.KeyFile)}
}
