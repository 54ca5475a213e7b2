// Package postgres is the ledger in a PostgreSQL database: the engine for any number of replicas.
//
// A Ledger is safe for use by several goroutines, and many Ledgers of many processes share a database. What happens to a
// row is decided here, by package row, while the row is locked: every change is one transaction of two round trips, the
// first of which locks and reads and the second of which writes and commits. Hooks that wait share a transaction, and so
// do settlements. What falls due is told to the other replicas by NOTIFY.
//
// Times of leases and of what falls due are the database's clock, so that replicas need not agree on the time.
//
// This file opens and closes.
package postgres

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"log/slog"
	"math/rand/v2"
	"net"
	"regexp"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/afterchat/afterchat/internal/ledger"
	"github.com/afterchat/afterchat/internal/ledger/row"
)

// Options are what a caller may choose. The zero value keeps everything for ever and is heard by nobody.
type Options struct {
	Retention ledger.Retention
	// Observer hears of this replica's commits, and of what falls due because of any replica's. Of what other replicas do
	// it hears within some milliseconds, and after an interruption of everything at once.
	Observer ledger.Observer
	Logger   *slog.Logger // nil: silent
	// BatchLimit is how many hooks, or settlements, share a transaction at most; 0: 256.
	BatchLimit int
	// Connections is how many connections are used at most, besides one that listens; 0: 10. It is 4 at least.
	Connections int

	copies bool             // it is opened to be filled by a copy
	alone  bool             // nobody else may have it open
	clock  func() time.Time // nil: time.Now
}

const (
	defaultBatch       = 256
	defaultConnections = 10
	// slots is how many rows the counters of one name are spread over. Two replicas that share one wait for each other's
	// commits, no more.
	slots = 96
	// identityAge is how long it takes at least until a conversation whose bodies are gone is forgotten altogether: a
	// hook that comes later makes a new one, with the same id.
	identityAge = 365 * 24 * time.Hour
	// transactionTimeout ends a transaction that hangs, in this process and, as idle or waiting, in the server.
	transactionTimeout = 10 * time.Second
	// hookPatience and patience are for how long a transaction is tried again that failed for no reason of its own: a
	// lost connection, a deadlock, a server that starts. A hook comes once, so it has more.
	hookPatience = 8 * time.Second
	patience     = 2 * time.Second
	// freshFor is short, for what another replica has claimed takes the room of what is claimed here.
	freshFor = 500 * time.Millisecond
)

// Ledger is an open ledger. Open makes one.
type Ledger struct {
	options Options
	place   string // host and database, for messages
	schema  string
	codec   row.Codec
	pool    *pgxpool.Pool
	slot    int16 // of accepts; slot + 2 of settles, so that no hook waits for the commit of one; slot + 1 of everything else
	replica string

	fresh     row.Fresh              // conversations that this replica has accepted just now
	config    atomic.Pointer[string] // hash of the configuration that was saved last; nil: none
	pruned    atomic.Int64           // when snapshots that nobody needs were looked for, in microseconds
	indexed   atomic.Bool            // all indexes are there
	busyAt    atomic.Int64           // when many hooks committed together last, in nanoseconds
	wantedAt  atomic.Int64           // when a list waited for the indexer last, in nanoseconds
	names     atomic.Pointer[names]  // nil: nothing has been renamed
	retention atomic.Pointer[ledger.Retention]
	room      room
	crowd     row.Crowd
	squeezing chan struct{} // held by the one who makes room for a hook
	restored  atomic.Int64  // when it was restored from a copy, in microseconds of the database; 0: never
	owed      atomic.Bool   // bodies of today went near max_size, and their space has not been given back

	accepts group[arrival]
	settles group[settling]
	news    news

	observing sync.Mutex // one call of the observer at a time
	stop      context.CancelFunc
	working   sync.WaitGroup // goroutines that end after stop

	mu     sync.RWMutex // guards closed; held while somebody joins users
	closed bool
	users  sync.WaitGroup // calls under way
}

// Open connects to the database that url names, as libpq writes it (postgres://user:password@host/database), and brings
// the schema up to date. Everything is kept in the database's schema "afterchat", or in the one that the URL names with
// search_path. Close ends it.
//
// It refuses a database that would lose what it has committed: synchronous_commit below "on", fsync off, a standby. It
// returns ledger.ErrNewer if a newer version has changed the schema in a way that this one cannot work with, and another
// error while a copy into the database has not been finished. No error shows the password.
func Open(ctx context.Context, url string, o Options) (_ *Ledger, err error) {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.clock == nil {
		o.clock = time.Now
	}
	if o.BatchLimit <= 0 {
		o.BatchLimit = defaultBatch
	}
	if o.Connections <= 0 {
		o.Connections = defaultConnections
	}
	config, err := parse(url, o)
	if err != nil {
		return nil, err
	}
	l := &Ledger{
		squeezing: make(chan struct{}, 1), options: o, place: place(config), slot: int16(3 * rand.IntN(slots/3)), replica: strconv.FormatUint(rand.Uint64(), 36),
		schema: config.ConnConfig.RuntimeParams["search_path"], fresh: row.Fresh{For: freshFor},
	}
	l.Keep(o.Retention)
	if err := l.open(ctx, config); err != nil {
		return nil, fmt.Errorf("ledger %s: %w", l.place, err)
	}
	return l, nil
}

// parse reads a URL and adds what every connection needs.
func parse(url string, o Options) (*pgxpool.Config, error) {
	config, err := pgxpool.ParseConfig(url)
	if err != nil {
		// The error of the parser quotes parts of the URL.
		return nil, errors.New("ledger: the URL cannot be read; write postgres://user:password@host:5432/database, with % escapes in the password")
	}
	config.MaxConns = int32(max(o.Connections, 4))
	config.MinIdleConns = min(2, config.MaxConns)
	config.ConnConfig.ConnectTimeout, config.ConnConfig.DialFunc = connectTimeout, dial
	set := config.ConnConfig.RuntimeParams
	defaults := map[string]string{
		"search_path": "afterchat", "application_name": "afterchat",
		// A replica that is frozen in the middle of a transaction must not keep its locks.
		"idle_in_transaction_session_timeout": milliseconds(transactionTimeout), "lock_timeout": milliseconds(transactionTimeout),
		"tcp_keepalives_idle": "10", "tcp_keepalives_interval": "5", "tcp_keepalives_count": "3",
	}
	for name, value := range defaults {
		if _, chosen := set[name]; !chosen {
			set[name] = value
		}
	}
	if !schemaName.MatchString(set["search_path"]) {
		return nil, errors.New("ledger: search_path names one schema, in lower-case letters, digits and _")
	}
	config.AfterConnect = func(ctx context.Context, conn *pgx.Conn) error { return check(ctx, conn) }
	return config, nil
}

var schemaName = regexp.MustCompile(`^[a-z_][a-z0-9_]{0,62}$`)

func milliseconds(d time.Duration) string { return strconv.FormatInt(d.Milliseconds(), 10) }

// place says where the database is, without user and password.
func place(c *pgxpool.Config) string {
	return net.JoinHostPort(c.ConnConfig.Host, strconv.Itoa(int(c.ConnConfig.Port))) + "/" + c.ConnConfig.Database
}

// Errors of a server that cannot be trusted with a ledger.
var (
	errUnsafe  = errors.New("the server may lose what it has committed")
	errOld     = errors.New("the server is older than PostgreSQL 14")
	errStandby = errors.New("the server is a standby; name the primary, or all servers with target_session_attrs=read-write")
)

// check refuses a connection whose commits are not on disk when they are acknowledged.
func check(ctx context.Context, conn *pgx.Conn) error {
	var commit, fsync string
	var standby bool
	var version int
	err := conn.QueryRow(ctx, `SELECT current_setting('synchronous_commit'), current_setting('fsync'), pg_is_in_recovery(),
		current_setting('server_version_num')::int`).Scan(&commit, &fsync, &standby, &version)
	switch {
	case err != nil:
		return err
	case version < 140000:
		return errOld
	case standby:
		return errStandby
	case fsync != "on":
		return fmt.Errorf("%w: fsync is %s; set it on in postgresql.conf", errUnsafe, fsync)
	case commit != "on" && commit != "remote_apply":
		return fmt.Errorf("%w: synchronous_commit is %s; ALTER DATABASE … SET synchronous_commit = on", errUnsafe, commit)
	}
	return nil
}

func (l *Ledger) open(ctx context.Context, config *pgxpool.Config) (err error) {
	if l.codec, err = row.NewCodec(); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			l.codec.Close()
		}
	}()
	if l.pool, err = pgxpool.NewWithConfig(context.WithoutCancel(ctx), config); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			l.pool.Close()
		}
	}()
	if err := l.prepare(ctx); err != nil {
		return explain(err)
	}
	l.accepts = newGroup(l.options.BatchLimit, l.acceptAll)
	l.settles = newGroup(l.options.BatchLimit, l.settleAll)
	l.news = newNews(l)
	listening, err := l.listen(ctx)
	if err != nil {
		return explain(err)
	}
	base, stop := context.WithCancel(context.WithoutCancel(ctx))
	l.stop = stop
	l.working.Go(func() { l.hear(base, listening) })
	if !l.options.copies {
		l.working.Go(func() { l.index(base) })
	}
	go l.accepts.run(l)
	go l.settles.run(l)
	go l.news.run()
	return nil
}

// prepare brings schema and partitions up to date.
func (l *Ledger) prepare(ctx context.Context) error {
	conn, err := l.pool.Acquire(ctx)
	if err != nil {
		return err
	}
	defer conn.Release()
	if err := migrate(ctx, conn.Conn(), l.schema); err != nil {
		return err
	}
	if !l.options.copies {
		if err := checkCopied(ctx, conn.Conn()); err != nil {
			return err
		}
		if err := l.noticeDump(ctx, conn.Conn()); err != nil {
			return err
		}
	}
	if err := l.ensureDays(ctx); err != nil {
		return err
	}
	return l.buildIndexes(ctx)
}

// Close lets the operations that are under way finish and lets go of the database. After it every method returns
// ledger.ErrClosed. Leases that have not been settled end by themselves, at their time.
func (l *Ledger) Close() error {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return ledger.ErrClosed
	}
	l.closed = true
	l.mu.Unlock()

	l.users.Wait()
	l.accepts.close()
	l.settles.close()
	l.news.close()
	l.stop()
	l.working.Wait()
	l.pool.Close()
	l.codec.Close()
	return nil
}

// enter joins users, unless the ledger is closed. The caller leaves with users.Done.
func (l *Ledger) enter() error {
	l.mu.RLock()
	defer l.mu.RUnlock()
	if l.closed {
		return ledger.ErrClosed
	}
	l.users.Add(1)
	return nil
}

// key is the number of a lock in the database that all replicas of a schema share.
func (l *Ledger) key(kind, name string) int64 { return lockKey(l.schema, kind, name) }

func lockKey(schema, kind, name string) int64 {
	h := fnv.New64a()
	for _, part := range []string{"afterchat", schema, kind, name} {
		_, _ = h.Write([]byte(part))
		_, _ = h.Write([]byte{0})
	}
	return int64(h.Sum64())
}
