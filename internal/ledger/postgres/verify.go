// This file audits: the counters against the rows, the conservation law, and that nothing pending lacks what it needs.

package postgres

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/afterchat/afterchat/internal/chat"
	"github.com/afterchat/afterchat/internal/ledger"
)

// audits are queries that answer with a target and what is wrong with it, and with nothing in a sound ledger.
var audits = []string{
	`SELECT target, format('%s revisions were accepted, but %s are pending, %s delivered, %s dead, %s skipped and %s superseded',
		accepted, pending, delivered, dead, skipped, superseded)
		FROM (` + counters + `) c WHERE accepted <> pending + delivered + dead + skipped + superseded`,
	`SELECT target, format('a counter is below 0: %s accepted, %s pending, %s delivered, %s dead, %s skipped, %s superseded, %s dead deliveries',
		accepted, pending, delivered, dead, skipped, superseded, dead_rows)
		FROM (` + counters + `) c WHERE least(accepted, pending, delivered, dead, skipped, superseded, dead_rows) < 0`,
	`SELECT c.target, format('%s pending are counted, %s are there', c.pending, coalesce(d.n, 0))
		FROM (` + counters + `) c LEFT JOIN (SELECT target, count(*) n FROM delivery WHERE state = 0 GROUP BY target) d ON d.target = c.target
		WHERE c.pending <> coalesce(d.n, 0)`,
	`SELECT c.target, format('%s dead deliveries are counted, %s are there', c.dead_rows, coalesce(d.n, 0))
		FROM (` + counters + `) c LEFT JOIN (SELECT target, count(*) n FROM delivery JOIN conversation n ON n.number = conversation
		WHERE state = 2 AND n.bodies GROUP BY target) d ON d.target = c.target WHERE c.dead_rows <> coalesce(d.n, 0)`,
	`SELECT target, format('%s dead are counted, %s can be replayed', dead, dead_rows) FROM (` + counters + `) c WHERE dead < dead_rows`,
	`SELECT target, format('%s deliveries are not counted', count(*)) FROM delivery d
		WHERE NOT EXISTS (SELECT FROM counter c WHERE c.target = d.target) GROUP BY target`,
	`SELECT d.target, format('a delivery has no conversation (number %s)', d.conversation) FROM delivery d
		LEFT JOIN conversation n ON n.number = d.conversation WHERE n.number IS NULL`,
	`SELECT d.target, format('the delivery of %s waits for revision %s, whose body is missing', n.id, d.want)
		FROM delivery d JOIN conversation n ON n.number = d.conversation
		LEFT JOIN body b ON b.day = n.day AND b.conversation = d.conversation AND b.revision = d.want WHERE d.state = 0 AND b.revision IS NULL`,
	`SELECT '', format('a body of conversation number %s belongs to nothing', b.conversation) FROM body b
		LEFT JOIN conversation n ON n.number = b.conversation WHERE n.number IS NULL`,
	`SELECT '', format('a summary of conversation number %s belongs to nothing', s.conversation) FROM summary s
		LEFT JOIN conversation n ON n.number = s.conversation WHERE n.number IS NULL OR NOT n.bodies`,
	`SELECT '', format('%s conversations are counted, %s are there', t.n, c.n)
		FROM (SELECT coalesce(sum(n), 0) n FROM total WHERE name = 'conversations') t, (SELECT count(*) n FROM conversation WHERE platform <> '` + chat.OwnPlatform + `') c WHERE t.n <> c.n`,
	`SELECT '', format('%s quarantined hooks are counted, %s are there', t.n, q.n)
		FROM (SELECT coalesce(sum(n), 0) n FROM total WHERE name = 'quarantined') t, (SELECT count(*) n FROM quarantine) q WHERE t.n <> q.n`,
}

// Verify looks for contradictions and returns what it finds; nothing if all is well. It sees one moment of the ledger
// and may run beside everything else. It reads the whole ledger. Damage to the database's files is for pg_amcheck and
// data checksums to find.
func (l *Ledger) Verify(ctx context.Context) (findings []ledger.Finding, err error) {
	err = l.once(ctx, patience, func() error {
		var err error
		findings, err = audit(ctx, l.pool)
		return err
	})
	return findings, err
}

// beginner is a connection or a pool.
type beginner interface {
	BeginTx(ctx context.Context, o pgx.TxOptions) (pgx.Tx, error)
}

func audit(ctx context.Context, from beginner) (findings []ledger.Finding, err error) {
	err = pgx.BeginTxFunc(ctx, from, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}, func(view pgx.Tx) error {
		for _, audit := range audits {
			rows, err := view.Query(ctx, audit)
			if err != nil {
				return err
			}
			found, err := pgx.CollectRows(rows, pgx.RowToStructByPos[ledger.Finding])
			if err != nil {
				return err
			}
			findings = append(findings, found...)
		}
		return nil
	})
	return findings, err
}
