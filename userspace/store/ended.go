package store

import (
	"context"
	"database/sql"
	"net/netip"
	"slices"
	"time"

	"gabion/userspace/decision"
)

// Ended tells of kernel entries whether their decisions are on record and not in force at now:
// expired or revoked. Such an entry is a leftover. Entries that carry an id are looked up by it, those
// whose id is lost by their prefix and the end they carry.
func (s *Store) Ended(ctx context.Context, now time.Time, rules []decision.Rule) ([]bool, error) {
	out := make([]bool, 0, len(rules))
	for part := range slices.Chunk(rules, maxArgs) {
		byID, err := s.endedIDs(ctx, now, part)
		if err != nil {
			return nil, err
		}
		byPrefix, err := s.endedPrefixes(ctx, now, part)
		if err != nil {
			return nil, err
		}
		for _, r := range part {
			endsThen := func(planned time.Time) bool { return planned.Sub(r.Until).Abs() <= decision.UntilSlack }
			nameless := r.DecisionID == 0
			out = append(out, byID[r.DecisionID] || nameless && slices.ContainsFunc(byPrefix[r.Prefix], endsThen))
		}
	}
	return out, nil
}

func (s *Store) endedIDs(ctx context.Context, now time.Time, rules []decision.Rule) (map[uint64]bool, error) {
	var ids []uint64
	for _, r := range rules {
		if r.DecisionID != 0 && r.DecisionID <= decision.MaxID {
			ids = append(ids, r.DecisionID)
		}
	}
	out := map[uint64]bool{}
	if len(ids) == 0 {
		return out, nil
	}
	w := &where{}
	w.in("id", idArgs(ids))
	w.add("until <= ?", toNano(now))
	err := s.rows(ctx, "SELECT id FROM decisions"+w.String(), w.args, func(rows *sql.Rows) error {
		var id int64
		err := rows.Scan(&id)
		out[uint64(id)] = err == nil
		return err
	})
	return out, err
}

// endedPrefixes returns the ends that ended decisions on the prefixes of nameless rules were made with.
func (s *Store) endedPrefixes(ctx context.Context, now time.Time, rules []decision.Rule) (map[netip.Prefix][]time.Time, error) {
	var prefixes []any
	for _, r := range rules {
		if r.DecisionID == 0 {
			prefixes = append(prefixes, r.Prefix.String())
		}
	}
	out := map[netip.Prefix][]time.Time{}
	if len(prefixes) == 0 {
		return out, nil
	}
	w := &where{}
	w.in("prefix", prefixes)
	w.add("until <= ?", toNano(now))
	err := s.rows(ctx, "SELECT prefix, planned FROM decisions"+w.String(), w.args, func(rows *sql.Rows) error {
		var text string
		var planned int64
		if err := rows.Scan(&text, &planned); err != nil {
			return err
		}
		p, err := netip.ParsePrefix(text)
		if err == nil {
			out[p] = append(out[p], fromNano(planned))
		}
		return err
	})
	return out, err
}
