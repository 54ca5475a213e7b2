// This file keeps configurations by hash, as long as something may be rendered with them.

package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"time"
)

// SaveConfig keeps the snapshot of a configuration under its hash. Saving one that is there changes nothing. It is in
// force until the ledger is closed; after that retention keeps it as long as a delivery or an attempt refers to it.
func (l *Ledger) SaveConfig(ctx context.Context, hash string, snapshot []byte) error {
	packed := l.codec.Pack(snapshot)
	l.configs.Store(hash, packed)
	return l.write(ctx, func(t *tx) error {
		return t.exec(`INSERT INTO config VALUES (?, ?) ON CONFLICT (hash) DO NOTHING`, hash, packed)
	})
}

// Config returns the snapshot of a configuration, or ledger.ErrNotFound.
func (l *Ledger) Config(ctx context.Context, hash string) ([]byte, error) {
	var packed []byte
	if err := l.read(ctx, `SELECT snapshot FROM config WHERE hash = ?`, []any{hash}, &packed); err != nil {
		return nil, fmt.Errorf("configuration %s: %w", hash, err)
	}
	return l.codec.Unpack(packed)
}

// configEvery is how often snapshots that nothing refers to are looked for: it takes a walk over all deliveries and attempts.
const configEvery = 24 * time.Hour

// unneeded finds snapshots that no delivery was accepted under, tried with, or is bound to, and no attempt was made with.
const unneeded = `SELECT hash FROM config WHERE hash NOT IN
	(SELECT config FROM delivery UNION SELECT tried FROM delivery UNION SELECT pinned FROM delivery UNION SELECT config FROM attempt)`

// dropConfigs removes snapshots that nothing refers to. A delivery can only come to refer to one that has been saved
// since the start, so nobody waits while they are looked for.
func (l *Ledger) dropConfigs(now time.Time) func(context.Context) (bool, error) {
	return func(ctx context.Context) (more bool, err error) {
		if last := l.pruned.Load(); last > 0 && now.UnixMicro() < last+configEvery.Microseconds() {
			return false, nil
		}
		hashes, err := l.unneededConfigs(ctx)
		if err != nil {
			return false, err
		}
		if len(hashes) > 0 {
			err = l.write(ctx, func(t *tx) error {
				for _, hash := range hashes {
					if err := t.exec(`DELETE FROM config WHERE hash = ?`, hash); err != nil {
						return err
					}
				}
				return nil
			})
		}
		if err == nil {
			l.pruned.Store(now.UnixMicro())
		}
		return false, err
	}
}

func (l *Ledger) unneededConfigs(ctx context.Context) (hashes []string, err error) {
	if err := l.enter(); err != nil {
		return nil, err
	}
	defer l.users.Done()
	rows, err := l.readers.Load().QueryContext(ctx, unneeded)
	if err != nil {
		return nil, err
	}
	err = each(rows, func(rows *sql.Rows) error {
		var hash string
		err := rows.Scan(&hash)
		if _, saved := l.configs.Load(hash); !saved {
			hashes = append(hashes, hash)
		}
		return err
	})
	return hashes, err
}
