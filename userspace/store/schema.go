package store

import (
	"context"
	"database/sql"
	"fmt"
)

// applicationID marks an SQLite file as gabion's: "gabn" in the file's header.
const applicationID = 0x6761626e

// migrations[i] brings a store from version i to version i+1. A released one never changes.
//
// Times are nanoseconds since 1970, 0 for none. AUTOINCREMENT is there for its memory of the
// largest id ever used, which outlives the row: ids are never given out twice. An alert's events,
// metadata and labels are JSON, for they are read with their alert and never searched.
var migrations = []string{`
CREATE TABLE alerts (
	id               INTEGER PRIMARY KEY AUTOINCREMENT,
	uuid             TEXT    NOT NULL,
	machine          TEXT    NOT NULL,
	scenario         TEXT    NOT NULL,
	scenario_hash    TEXT    NOT NULL,
	scenario_version TEXT    NOT NULL,
	message          TEXT    NOT NULL,
	kind             TEXT    NOT NULL,
	capacity         INTEGER NOT NULL,
	events_count     INTEGER NOT NULL,
	leakspeed        TEXT    NOT NULL,
	simulated        INTEGER NOT NULL,
	remediation      INTEGER NOT NULL,
	created_at       INTEGER NOT NULL,
	start_at         INTEGER NOT NULL,
	stop_at          INTEGER NOT NULL,
	scope            TEXT    NOT NULL,
	value            TEXT    NOT NULL,
	prefix           TEXT,             -- the addresses the source stands for, masked; NULL for none
	source           TEXT    NOT NULL, -- JSON
	meta             TEXT    NOT NULL, -- JSON
	labels           TEXT    NOT NULL, -- JSON
	events           TEXT    NOT NULL  -- JSON
) STRICT;
CREATE INDEX alerts_created ON alerts (created_at);
CREATE INDEX alerts_value ON alerts (value);
CREATE INDEX alerts_prefix ON alerts (prefix) WHERE prefix IS NOT NULL;

CREATE TABLE decisions (
	id         INTEGER PRIMARY KEY AUTOINCREMENT,
	uuid       TEXT    NOT NULL,
	alert_id   INTEGER REFERENCES alerts (id) ON DELETE SET NULL,
	origin     TEXT    NOT NULL,
	type       TEXT    NOT NULL,
	scope      TEXT    NOT NULL,
	value      TEXT    NOT NULL,
	prefix     TEXT,
	scenario   TEXT    NOT NULL,
	duration   INTEGER NOT NULL, -- nanoseconds
	created_at INTEGER NOT NULL,
	until      INTEGER NOT NULL,
	simulated  INTEGER NOT NULL
) STRICT;
CREATE INDEX decisions_until ON decisions (until);
CREATE INDEX decisions_created ON decisions (created_at);
CREATE INDEX decisions_value ON decisions (value);
CREATE INDEX decisions_prefix ON decisions (prefix) WHERE prefix IS NOT NULL;
CREATE INDEX decisions_alert ON decisions (alert_id) WHERE alert_id IS NOT NULL;

CREATE TABLE allows (
	prefix     TEXT    NOT NULL PRIMARY KEY,
	comment    TEXT    NOT NULL,
	created_at INTEGER NOT NULL,
	expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
`, `
-- The end that a decision was made with, which its kernel entry carries; until is earlier when it
-- was ended by hand. Of older decisions it is worked out from what is there.
ALTER TABLE decisions ADD COLUMN planned INTEGER NOT NULL DEFAULT 0;
UPDATE decisions SET planned = CASE
	WHEN duration BETWEEN 0 AND 4000000000000000000 THEN max(until, created_at + duration)
	ELSE until END;
`}

// migrate brings the database to the newest version, in one transaction: a store is never left
// between two versions.
func migrate(ctx context.Context, db *sql.DB) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() // a no-op after Commit
	var app, version, tables int
	for query, to := range map[string]*int{
		"PRAGMA application_id":              &app,
		"PRAGMA user_version":                &version,
		"SELECT count(*) FROM sqlite_master": &tables,
	} {
		if err := tx.QueryRowContext(ctx, query).Scan(to); err != nil {
			return err
		}
	}
	switch {
	case app != applicationID && (app != 0 || version != 0 || tables != 0):
		return fmt.Errorf("%w: another program's database is in its place: move it away", ErrForeign)
	case version > len(migrations):
		return fmt.Errorf("%w: it has version %d and this program knows %d: install the newer gabion again, or move the file away to begin anew", ErrNewer, version, len(migrations))
	case version == len(migrations):
		return nil
	}
	for _, script := range migrations[version:] {
		if _, err := tx.ExecContext(ctx, script); err != nil {
			return fmt.Errorf("migrate from version %d: %w", version, err)
		}
		version++
	}
	head := fmt.Sprintf("PRAGMA application_id = %d; PRAGMA user_version = %d", applicationID, version)
	if _, err := tx.ExecContext(ctx, head); err != nil {
		return fmt.Errorf("write version: %w", err)
	}
	return tx.Commit()
}
