package store

import (
	"context"
	"database/sql"
	"fmt"
	"net/netip"
	"slices"
	"time"
)

// EndDecisions ends decisions at now: they stay on record and are not active any more. It returns
// when that is committed. Ids that are unknown or ended already are left alone.
func (s *Store) EndDecisions(ctx context.Context, ids []uint64, now time.Time) error {
	for part := range slices.Chunk(ids, maxArgs) {
		w := &where{args: []any{toNano(now)}}
		w.in("id", idArgs(part))
		w.add("until > ?", toNano(now))
		if err := s.exec(ctx, "UPDATE decisions SET until = ?"+w.String(), w.args...); err != nil {
			return fmt.Errorf("end decisions: %w", err)
		}
	}
	return nil
}

// Allow is one entry of the user's allowlist.
type Allow struct {
	Prefix    netip.Prefix
	Comment   string
	CreatedAt time.Time
	ExpiresAt time.Time // zero: never
}

// Allows returns the user's allowlist, also entries that have expired.
func (s *Store) Allows(ctx context.Context) ([]Allow, error) {
	var out []Allow
	const query = "SELECT prefix, comment, created_at, expires_at FROM allows ORDER BY prefix"
	err := s.rows(ctx, query, nil, func(rows *sql.Rows) error {
		var a Allow
		var prefix string
		var created, expires int64
		if err := rows.Scan(&prefix, &a.Comment, &created, &expires); err != nil {
			return err
		}
		var err error
		a.Prefix, err = netip.ParsePrefix(prefix)
		if err == nil {
			a.CreatedAt, a.ExpiresAt = fromNano(created), fromNano(expires)
			out = append(out, a)
		}
		return err
	})
	return out, err
}

// AddAllow records an entry of the allowlist, in place of one for the same prefix. It returns when
// that is committed.
func (s *Store) AddAllow(ctx context.Context, a Allow) error {
	const query = "INSERT OR REPLACE INTO allows (prefix, comment, created_at, expires_at) VALUES (?, ?, ?, ?)"
	err := s.exec(ctx, query, a.Prefix.Masked().String(), a.Comment, toNano(a.CreatedAt), toNano(a.ExpiresAt))
	if err != nil {
		return fmt.Errorf("add %s to the allowlist: %w", a.Prefix, err)
	}
	return nil
}

// RemoveAllow deletes an entry of the allowlist; ErrNotFound when there is none for exactly that
// prefix.
func (s *Store) RemoveAllow(ctx context.Context, prefix netip.Prefix) error {
	err := s.do(ctx, func(ctx context.Context, tx *sql.Tx) error {
		n, err := affected(tx.ExecContext(ctx, "DELETE FROM allows WHERE prefix = ?", prefix.Masked().String()))
		if err == nil && n == 0 {
			return ErrNotFound
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("remove %s from the allowlist: %w", prefix, err)
	}
	return nil
}

// pruneStep is how many rows one transaction of Prune deletes: appends get their turn in between.
const pruneStep = 500

// Prune deletes decisions that ended before the given time, and alerts raised before it that have
// no decision left. It returns how many of both.
func (s *Store) Prune(ctx context.Context, before time.Time) (decisions, alerts int64, err error) {
	decisions, err = s.prune(ctx, `DELETE FROM decisions WHERE id IN
		(SELECT id FROM decisions WHERE until < ? ORDER BY until LIMIT ?)`, before)
	if err != nil {
		return decisions, 0, fmt.Errorf("prune decisions: %w", err)
	}
	alerts, err = s.prune(ctx, `DELETE FROM alerts WHERE id IN
		(SELECT id FROM alerts WHERE created_at < ? AND NOT EXISTS
		(SELECT 1 FROM decisions WHERE decisions.alert_id = alerts.id) ORDER BY created_at LIMIT ?)`, before)
	if err != nil {
		return decisions, alerts, fmt.Errorf("prune alerts: %w", err)
	}
	return decisions, alerts, nil
}

func (s *Store) prune(ctx context.Context, query string, before time.Time) (total int64, err error) {
	for {
		var n int64
		err := s.do(ctx, func(ctx context.Context, tx *sql.Tx) (err error) {
			n, err = affected(tx.ExecContext(ctx, query, toNano(before), pruneStep))
			return err
		})
		if err != nil {
			return total, err
		}
		total += n
		if n < pruneStep {
			return total, nil
		}
	}
}

func (s *Store) exec(ctx context.Context, query string, args ...any) error {
	return s.do(ctx, func(ctx context.Context, tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, query, args...)
		return err
	})
}

func affected(r sql.Result, err error) (int64, error) {
	if err != nil {
		return 0, err
	}
	return r.RowsAffected()
}
