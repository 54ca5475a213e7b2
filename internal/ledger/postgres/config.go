// This file keeps configurations by hash, as long as something may be rendered with them.

package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/afterchat/afterchat/internal/ledger/row"
)

// SaveConfig keeps the snapshot of a configuration under its hash. Saving one that is there changes nothing else than
// that it is in force: as long as this replica runs, until it saves another one, and for a day after that. Then retention
// keeps it as long as a delivery or an attempt refers to it.
func (l *Ledger) SaveConfig(ctx context.Context, hash string, snapshot []byte) error {
	l.config.Store(&hash)
	return l.exec(ctx, `INSERT INTO config (hash, snapshot, used_at) VALUES ($1, $2, `+nowMicros+`)
		ON CONFLICT (hash) DO UPDATE SET used_at = excluded.used_at`, hash, l.codec.Pack(snapshot))
}

// Config returns the snapshot of a configuration, or ledger.ErrNotFound.
func (l *Ledger) Config(ctx context.Context, hash string) ([]byte, error) {
	var packed []byte
	if err := l.read(ctx, `SELECT snapshot FROM config WHERE hash = $1`, []any{hash}, &packed); err != nil {
		return nil, fmt.Errorf("configuration %s: %w", hash, err)
	}
	return l.codec.Unpack(packed)
}

// configAge is for how long a snapshot is taken to be in force after a replica has said so last; each says so with every
// Retain.
const configAge = 24 * time.Hour

// inForce says that this replica's configuration is in force.
func (l *Ledger) inForce(ctx context.Context) error {
	hash := l.config.Load()
	if hash == nil {
		return nil
	}
	return l.exec(ctx, `UPDATE config SET used_at = `+nowMicros+` WHERE hash = $1 AND used_at < `+nowMicros+` - $2`,
		*hash, time.Hour.Microseconds())
}

// dropConfigs removes snapshots that are not in force and that no delivery was accepted under, tried with, or is bound
// to, and no attempt was made with. It takes a walk over all of them, so it is made when there is one that is old enough, and once a day.
func (l *Ledger) dropConfigs(ctx context.Context, now time.Time) error {
	if last := l.pruned.Load(); last > 0 && now.UnixMicro() < last+configAge.Microseconds() {
		return nil
	}
	own := ""
	if hash := l.config.Load(); hash != nil {
		own = *hash
	}
	until := row.Micros(now.Add(-configAge))
	var old bool
	err := l.read(ctx, `SELECT EXISTS (SELECT FROM config WHERE used_at < $1 AND hash <> $2)`, []any{until, own}, &old)
	if err == nil && old {
		_, err = l.pool.Exec(ctx, `DELETE FROM config WHERE used_at < $1 AND hash <> $2 AND hash NOT IN
			(SELECT config FROM delivery UNION SELECT tried FROM delivery UNION SELECT pinned FROM delivery UNION SELECT config FROM attempt)`, until, own)
	}
	if err == nil {
		l.pruned.Store(now.UnixMicro())
	}
	return err
}
